"""The catalogue: every declared signal, in the order in which it can be computed."""

from dataclasses import replace
from functools import cache
from importlib import import_module

from features.signals.base import Signal
from features.tables.contract import CONTRACT
from features.tables.derived import DERIVED

FAMILIES = (
    "adoption",
    "value",
    "support",
    "relationship",
    "sentiment",
    "billing",
    "contract",
    "onboarding",
    "engagement",
    "fit",
)


@cache
def catalogue() -> tuple[Signal, ...]:
    """Every declared signal; the inputs of each come before it."""
    declared = [one for family in FAMILIES for one in _declared_in(family)]
    return _in_order(_named_inputs(declared))


def is_table(name: str) -> bool:
    """Whether an input is a table, raw or derived, rather than another signal."""
    return name in CONTRACT or name in DERIVED


def source_of(name: str) -> str:
    """The raw table that a table is made of: itself, where it is one."""
    return DERIVED[name].source if name in DERIVED else name


def _declared_in(family: str) -> list[Signal]:
    package = Signal.__module__.rpartition(".")[0]
    members = vars(import_module(f"{package}.{family}")).values()
    return [one for member in members if isinstance(member, tuple) for one in member if isinstance(one, Signal)]


def _named_inputs(declared: list[Signal]) -> list[Signal]:
    """With each input that is a windowed signal named in full: `events` of a 28-day signal is `events_28d`."""
    names = {signal.name for signal in declared}

    def full(signal: Signal, name: str) -> str:
        windowed = name + signal.name[signal.name.rfind("_") :]
        return windowed if not is_table(name) and windowed in names else name

    return [replace(one, inputs=tuple(full(one, name) for name in one.inputs)) for one in declared]


def _in_order(signals: list[Signal]) -> tuple[Signal, ...]:
    ordered: dict[str, Signal] = {}
    waiting = signals
    while waiting:
        ready = [one for one in waiting if all(is_table(name) or name in ordered for name in one.inputs)]
        if not ready:
            raise LookupError(f"no table or signal gives the inputs of {', '.join(one.name for one in waiting)}")
        ordered |= {one.name: one for one in ready}
        waiting = [one for one in waiting if one.name not in ordered]
    return tuple(ordered.values())
