"""The catalogue: every declared signal, in an order in which they can be computed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module

from features.signals.base import Signal
from features.signals.families import FAMILIES
from features.tables.input_table import INPUT_TABLES, InputTable


@dataclass(frozen=True)
class Catalogue:
    """The signals of a company, and the families that they can belong to, each with what it is about."""

    signals: tuple[Signal, ...]
    families: Mapping[str, str]


@cache
def catalogue() -> tuple[Signal, ...]:
    """Every built-in signal; the inputs of each come before it."""
    return arrange_signals((signal for family in FAMILIES for signal in _declared_in(family)), INPUT_TABLES)


def built_in_families() -> dict[str, str]:
    """The built-in families, each with what it is about."""
    return {family: _about(family) for family in FAMILIES}


def arrange_signals(declared: Iterable[Signal], tables: Mapping[str, InputTable]) -> tuple[Signal, ...]:
    """The signals with their inputs resolved among these tables and each other; the inputs of each come before it.

    Raises LookupError, by name, for signals whose inputs do not exist.
    """
    signals = [signal if signal.table else replace(signal, table=tables.get(signal.inputs[0])) for signal in declared]
    return _sort_by_inputs(_resolve_inputs(signals))


def _declared_in(family: str) -> list[Signal]:
    members = vars(import_module(_module(family))).values()
    return [item for member in members if isinstance(member, tuple) for item in member if isinstance(item, Signal)]


def _about(family: str) -> str:
    return (import_module(_module(family)).__doc__ or "").partition(": ")[2]


def _module(family: str) -> str:
    return f"{Signal.__module__.rpartition('.')[0]}.{family}"


def _resolve_inputs(declared: list[Signal]) -> list[Signal]:
    """The signals with the full names of inputs that have windows: `events` of a 28-day signal is `events_28d`."""
    names = {signal.name for signal in declared}

    def full_name(signal: Signal, name: str) -> str:
        windowed = name + signal.name[signal.name.rfind("_") :]
        return windowed if not signal.table and windowed in names else name

    return [replace(signal, inputs=tuple(full_name(signal, name) for name in signal.inputs)) for signal in declared]


def _sort_by_inputs(signals: list[Signal]) -> tuple[Signal, ...]:
    ordered: dict[str, Signal] = {}
    waiting = signals
    while waiting:
        ready = [signal for signal in waiting if signal.table or all(name in ordered for name in signal.inputs)]
        if not ready:
            raise LookupError(f"no table or signal has the inputs of {', '.join(signal.name for signal in waiting)}")
        ordered |= {signal.name: _with_kinds(signal, ordered) for signal in ready}
        waiting = [signal for signal in waiting if signal.name not in ordered]
    return tuple(ordered.values())


def _with_kinds(signal: Signal, ordered: Mapping[str, Signal]) -> Signal:
    return signal if signal.table else replace(signal, input_kinds=tuple(ordered[name].kind for name in signal.inputs))
