"""Imports Feast without the checks of argument types that it asks typeguard for: they cost most of the import."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_type_checks() -> Iterator[None]:
    """Import what is inside without typeguard, which compiles every method of Feast's classes anew.

    That takes 2.5 of the 4.3 seconds of the import, in each command that publishes or trains. Typeguard has no setting
    for it but `python -O`, which is for the whole process. Values are checked where they enter this project.
    """
    import typeguard

    checked = typeguard.typechecked
    typeguard.typechecked = lambda target: target
    try:
        yield
    finally:
        typeguard.typechecked = checked
