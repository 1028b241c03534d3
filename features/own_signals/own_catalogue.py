"""The catalogue of a company: the built-in signals and its own, as the settings declare them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from configs.errors import ConfigError
from configs.sections.signals import SignalSettings
from configs.settings import Settings
from configs.state_dir import StateDir
from configs.values.currency import amount_unit
from features.own_signals.attribute_signals import ATTRIBUTE_VALUES, attribute_tables, declare_attribute_signal
from features.own_signals.event_kinds import declare_kinds, read_event_kinds
from features.own_signals.event_signals import declare_event_signals, event_tables
from features.own_signals.signal_modules import check_formula, check_inputs, load_signals
from features.signals.base import Signal
from features.signals.registry import Catalogue, arrange_signals, built_in_families, catalogue
from features.tables.contract import ACCOUNT_MERGES, CONTRACT, TableContract
from features.tables.derived import DERIVED, DerivedTable
from features.tables.input_table import INPUT_TABLES, InputTable
from features.tables.mapping import company_contract, read_mapping
from features.tables.own_contract import ATTRIBUTES, extend_contract

WINDOW = re.compile(r"_\d+d$")


def open_catalogue(settings: Settings, state: StateDir) -> Catalogue:
    """The signals that these settings declare, with the kinds of events that were chosen when they were published.

    Raises ConfigError for a declaration that cannot be used.
    """
    mapping, _ = read_mapping(settings.data)
    contract = company_contract(settings.data, settings.signals, mapping)
    kinds = read_event_kinds(settings.signals, state)
    return build_catalogue(settings.signals, kinds, contract, currency=mapping.currency)


def build_catalogue(
    settings: SignalSettings,
    kinds: tuple[str, ...] = (),
    contract: Mapping[str, TableContract] | None = None,
    *,
    currency: str | None = None,
) -> Catalogue:
    """The built-in signals and those of the settings, with the usual signals of these kinds of events.

    `contract` is that of the company, None: the built-in one with the attributes of the settings. The units of amounts
    name the `currency` if there is one.
    """
    contract = contract or extend_contract(settings.attributes, events=settings.events)
    families = built_in_families() | {name: family.sentence for name, family in settings.families.items()}
    events = (*settings.events, *declare_kinds(kinds))
    own = [signal for declared in events for signal in declare_event_signals(declared)]
    own += map(declare_attribute_signal, settings.attributes)
    own += [signal for path in settings.modules for signal in load_signals(path)]
    _check_names(own)
    _check_families(own, families)
    tables = _own_tables(contract, event_tables(events) | attribute_tables())
    check_inputs(own, tables, {signal.name for signal in (*catalogue(), *own)})
    signals = arrange_signals((*catalogue(), *own), tables)
    names = {signal.name for signal in own}
    for signal in signals:
        if signal.name in names:
            check_formula(signal)
    return Catalogue(tuple(_in_currency(signal, currency) for signal in _without(signals, settings.exclude)), families)


def _in_currency(signal: Signal, currency: str | None) -> Signal:
    return replace(signal, unit=amount_unit(signal.unit, currency))


def _own_tables(contract: Mapping[str, TableContract], derived: Mapping[str, DerivedTable]) -> Mapping[str, InputTable]:
    """The built-in tables that are as they were, and the others by this contract."""
    own = {name: InputTable(name, table) for name, table in contract.items() if CONTRACT.get(name) is not table}
    if taken := sorted(own.keys() & {*DERIVED, *derived}):
        raise ConfigError(f"'{taken[0]}' is a table that signals read already.", "Give your table another name.")
    read = {name: table for name, table in derived.items() if name != ATTRIBUTE_VALUES or ATTRIBUTES in contract}
    of_own = {name: InputTable(name, contract[table.source], table) for name, table in read.items()}
    return {**INPUT_TABLES, **own, **of_own}


def _check_names(own: Iterable[Signal]) -> None:
    taken = dict.fromkeys((signal.name for signal in catalogue()), "a built-in signal")
    taken |= dict.fromkeys((*INPUT_TABLES, ATTRIBUTES, ACCOUNT_MERGES.name), "a table")
    for signal in own:
        if signal.name in taken:
            message = f"signals: your signal '{signal.name}' has the name of {taken[signal.name]}."
            raise ConfigError(message, "Give it another name; `oarlock signals` lists those that are taken.")
        taken[signal.name] = "another one of yours"


def _check_families(own: Iterable[Signal], families: Mapping[str, str]) -> None:
    for signal in own:
        if signal.family not in families:
            message = f"signals: '{signal.name}' is of the family '{signal.family}', which does not exist."
            hint = f"Add [signals.families.{signal.family}] with a sentence, or name one of {', '.join(families)}."
            raise ConfigError(message, hint)


def _without(signals: tuple[Signal, ...], excluded: tuple[str, ...]) -> tuple[Signal, ...]:
    """The signals without the excluded ones, and without those computed from them."""
    names = {name for signal in signals for name in (signal.name, WINDOW.sub("", signal.name))}
    if unknown := [name for name in excluded if name not in names]:
        message = f"signals.exclude: there is no signal '{unknown[0]}'."
        raise ConfigError(message, "`oarlock signals` lists them.")
    left_out: set[str] = set()
    for signal in signals:
        if {signal.name, WINDOW.sub("", signal.name)} & set(excluded) or left_out & set(signal.inputs):
            left_out.add(signal.name)
    return tuple(signal for signal in signals if signal.name not in left_out)


def own_signals_of(declared: Catalogue) -> tuple[tuple[Signal, ...], frozenset[str]]:
    """The signals that are not built in with all that they are computed from, and the names of the former."""
    names = frozenset(signal.name for signal in declared.signals) - {signal.name for signal in catalogue()}
    needed = set(names)
    for signal in reversed(declared.signals):
        needed |= set(signal.inputs) if signal.name in needed else set()
    return tuple(signal for signal in declared.signals if signal.name in needed), names
