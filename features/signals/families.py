"""The families of signals: a module each, in the order in which they are shown."""

from collections.abc import Iterable
from typing import get_args

from configs.sections.signals import Family

FAMILIES: tuple[Family, ...] = get_args(Family)


def family_order(families: Iterable[str]) -> tuple[str, ...]:
    """The built-in families and these, each once: the built-in ones first."""
    return tuple(dict.fromkeys((*FAMILIES, *families)))
