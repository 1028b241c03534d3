"""The catalogue: every declared signal, in an order in which they can be computed."""

from dataclasses import replace
from functools import cache
from importlib import import_module

from features.signals.base import Signal
from features.signals.families import FAMILIES
from features.tables.contract import CONTRACT
from features.tables.derived import DERIVED


@cache
def catalogue() -> tuple[Signal, ...]:
    """Every declared signal; the inputs of each come before it."""
    declared = [signal for family in FAMILIES for signal in _declared_in(family)]
    return _sort_by_inputs(_resolve_inputs(declared))


def is_table(name: str) -> bool:
    """Whether an input is a table, raw or derived, and not another signal."""
    return name in CONTRACT or name in DERIVED


def source_table(name: str) -> str:
    """The raw table behind a table, which may be the table itself."""
    return DERIVED[name].source if name in DERIVED else name


def _declared_in(family: str) -> list[Signal]:
    package = Signal.__module__.rpartition(".")[0]
    members = vars(import_module(f"{package}.{family}")).values()
    return [item for member in members if isinstance(member, tuple) for item in member if isinstance(item, Signal)]


def _resolve_inputs(declared: list[Signal]) -> list[Signal]:
    """The signals with the full names of inputs that have windows: `events` of a 28-day signal is `events_28d`."""
    names = {signal.name for signal in declared}

    def full_name(signal: Signal, name: str) -> str:
        windowed = name + signal.name[signal.name.rfind("_") :]
        return windowed if not is_table(name) and windowed in names else name

    return [replace(signal, inputs=tuple(full_name(signal, name) for name in signal.inputs)) for signal in declared]


def _sort_by_inputs(signals: list[Signal]) -> tuple[Signal, ...]:
    ordered: dict[str, Signal] = {}
    waiting = signals
    while waiting:
        ready = [signal for signal in waiting if all(is_table(name) or name in ordered for name in signal.inputs)]
        if not ready:
            raise LookupError(f"no table or signal has the inputs of {', '.join(signal.name for signal in waiting)}")
        ordered |= {signal.name: signal for signal in ready}
        waiting = [signal for signal in waiting if signal.name not in ordered]
    return tuple(ordered.values())
