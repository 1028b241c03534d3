"""Imports Feast without the checks of argument types that it asks typeguard for: they cost most of the import."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_type_checks() -> Iterator[None]:
    """Import what is inside without typeguard, which compiles every method of Feast's classes anew.

    That takes 2.8 of the 4.2 seconds of the import, in each command that publishes or trains. Only an import by the
    whole process would turn it off otherwise (`python -O`). Values are checked where they enter this project.
    """
    import typeguard

    checked = typeguard.typechecked
    typeguard.typechecked = lambda target: target
    try:
        yield
    finally:
        typeguard.typechecked = checked
