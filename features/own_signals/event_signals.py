"""Signals of some kinds of usage events, declared in the settings: counts, users, recency, trends and shares."""

from dataclasses import dataclass, replace
from functools import partial

import ibis.expr.types as ir

from configs.sections.signals import EventMeasure, EventSignalSettings
from features.signals.base import Formula, Signal
from features.tables.contract import ACCOUNT_ID
from features.tables.derived import HALF_YEAR_DAYS, DerivedTable, with_user_ids, without_people_counts

EVENT_USE, EVENT_PEOPLE = "event_use", "event_people"


@dataclass(frozen=True)
class _Words:
    """How a measure is declared and described; `name` and `label` hold `{of}` and `{days}`."""

    name: str
    label: str
    sentence: str
    unit: str
    text: str = ""
    absent: str = ""
    sign: int = 1


WORDS: dict[EventMeasure, _Words] = {
    "count": _Words(
        "{of}_{days}d", "{label}, last {days} days", "Events of {kinds} in the last {days} days.", "events"
    ),
    "users": _Words(
        "{of}_users_{days}d",
        "users with {label}, last {days} days",
        "Distinct users with an event of {kinds} in the last {days} days.",
        "users",
    ),
    "days_since": _Words(
        "days_since_{of}_{days}d",
        "days since last {label}",
        "Days since the last event of {kinds}; empty if there was none in the last {days} days.",
        "days",
        "last {label} {{value}} days ago",
        "no {label} in {days} days",
        sign=-1,
    ),
    "trend": _Words(
        "{of}_trend_{days}d",
        "{label} vs. the previous {days} days",
        "Events of {kinds} in the last {days} days, divided by those in the {days} days before.",
        "x",
    ),
    "sum": _Words(
        "{of}_{column}_{days}d",
        "{amount} of {label}, last {days} days",
        "Sum of {amount} over the events of {kinds} in the last {days} days.",
        "{unit}",
    ),
    "mean": _Words(
        "{of}_{column}_mean_{days}d",
        "{amount} by {label}, last {days} days",
        "Mean of {amount} by event of {kinds} that has it, in the last {days} days.",
        "{unit}",
        sign=0,  # more events of less each may be better or worse
    ),
    "share": _Words(
        "{of}_share_{days}d",
        "{label} as a share of all events, last {days} days",
        "Events of {kinds} as a share of all events in the last {days} days.",
        "share",
    ),
}


def event_tables(declared: tuple[EventSignalSettings, ...]) -> dict[str, DerivedTable]:
    """The derived tables that these signals read: the use of each kind of event, and the people who use it."""
    windows = tuple(sorted({days for events in declared for days in events.windows}))
    people = DerivedTable(
        "usage", event_people, frozenset({"event", "user_id", "quantity"}), people_modes=frozenset({"named"})
    )
    use = DerivedTable("usage", partial(event_use, windows=windows), frozenset({"event", "quantity"}))
    columns = {events.of: _amounts_table(events.of, windows) for events in declared if events.of}
    return {EVENT_USE: use, EVENT_PEOPLE: people, **{amounts_of(column): table for column, table in columns.items()}}


def amounts_of(column: str) -> str:
    """The derived table with the sums of a column of usage."""
    return f"event_{column}"


def event_use(usage: ir.Table, windows: tuple[int, ...]) -> ir.Table:
    """One row per account and kind of event: the age of the last one, and the events of each window and before it."""
    events = without_people_counts(usage)
    ago, quantity = events.days_ago, events.quantity
    sums = {f"events_{days}d": quantity.sum(where=ago <= days) for days in windows}
    before = {f"before_{days}d": quantity.sum(where=(ago > days) & (ago <= 2 * days)) for days in windows}
    return events.group_by(ACCOUNT_ID, "event").aggregate(age=events.age.min(), days_ago=ago.min(), **sums, **before)


def event_amounts(usage: ir.Table, column: str, windows: tuple[int, ...]) -> ir.Table:
    """One row per account and kind of event: the sum of a column in each window, and of how many events it is.

    The value of a row that counts several events is that of all of them together.
    """
    events = without_people_counts(usage)
    rows = events.filter(events[column].notnull())
    sums = {f"sum_{days}d": rows[column].sum(where=rows.days_ago <= days) for days in windows}
    counts = {f"events_{days}d": rows.quantity.sum(where=rows.days_ago <= days) for days in windows}
    return rows.group_by(ACCOUNT_ID, "event").aggregate(**sums, **counts)


def event_people(usage: ir.Table) -> ir.Table:
    """One row per account, kind of event and user: how many days ago the last one was."""
    named = with_user_ids(usage)
    return named.group_by(ACCOUNT_ID, "event", "user_id").aggregate(days_ago=named.days_ago.min())


def _amounts_table(column: str, windows: tuple[int, ...]) -> DerivedTable:
    build = partial(event_amounts, column=column, windows=windows)
    return DerivedTable("usage", build, frozenset({"event", "quantity", column}))


def declare_event_signals(events: EventSignalSettings) -> list[Signal]:
    """One signal per measure and window, and one for the days since the last event."""
    signals = [
        _declare(events, measure, days) for measure in dict.fromkeys(events.measures) for days in _days(events, measure)
    ]
    return [_with_moves(signal, events, signals) for signal in signals]


def _days(events: EventSignalSettings, measure: EventMeasure) -> tuple[int, ...]:
    windows = tuple(sorted(set(events.windows)))
    return (max(HALF_YEAR_DAYS, *windows),) if measure == "days_since" else windows


def _declare(events: EventSignalSettings, measure: EventMeasure, days: int) -> Signal:
    words, label = WORDS[measure], plain_label(events.label, events.name)
    placeholders = {"of": events.name, "days": days, "label": label, "kinds": _listed(events.event)}
    if events.of:
        unit = events.unit or events.of.replace("_", " ")
        placeholders |= {"column": events.of, "amount": events.of.replace("_", " "), "unit": unit}
    return Signal(
        name=words.name.format(**placeholders),
        family=events.family,
        label=words.label.format(**placeholders),
        text=words.text.format(**placeholders),
        absent=words.absent.format(**placeholders),
        moves="",
        past=(),
        sentence=words.sentence.format(**placeholders),
        unit=words.unit.format(**placeholders),
        kind="number",
        inputs=(_input(events, measure),),
        days=2 * days if measure == "trend" else days,
        empty=0 if measure in {"count", "users", "sum"} else None,
        actionable=events.actionable,
        direction=events.direction * words.sign,
        formula=_formula(measure, events.event, days),
    )


def _input(events: EventSignalSettings, measure: EventMeasure) -> str:
    """The derived table that a measure reads."""
    if events.of and measure in {"sum", "mean"}:
        return amounts_of(events.of)
    return EVENT_PEOPLE if measure == "users" else EVENT_USE


def _with_moves(signal: Signal, events: EventSignalSettings, signals: list[Signal]) -> Signal:
    """A level and its trend tell together how it moved."""
    for days in events.windows:
        pair = tuple(WORDS[measure].name.format(of=events.name, days=days) for measure in ("count", "trend"))
        if signal.name in pair and set(pair) <= {other.name for other in signals}:
            moves = f"{plain_label(events.label, events.name)} {{moved}} from {{before}} to {{now}} in {days} days"
            return replace(signal, moves=moves, past=pair)
    return signal


def _formula(measure: EventMeasure, kinds: tuple[str, ...], days: int) -> Formula:
    formulas = {
        **{"count": _count, "users": _users, "days_since": _days_since, "trend": _trend, "share": _share},
        **{"sum": _sum, "mean": _mean},
    }
    return partial(formulas[measure], kinds=kinds, days=days)


def _count(event_use: ir.Table, kinds: tuple[str, ...], days: int) -> ir.Value:
    return event_use[f"events_{days}d"].sum(where=event_use.event.isin(kinds))


def _sum(amounts: ir.Table, kinds: tuple[str, ...], days: int) -> ir.Value:
    return amounts[f"sum_{days}d"].sum(where=amounts.event.isin(kinds))


def _mean(amounts: ir.Table, kinds: tuple[str, ...], days: int) -> ir.Value:
    events = amounts[f"events_{days}d"].sum(where=amounts.event.isin(kinds))
    return _sum(amounts, kinds, days) / events.nullif(0)


def _users(event_people: ir.Table, kinds: tuple[str, ...], days: int) -> ir.Value:
    return event_people.user_id.nunique(where=event_people.event.isin(kinds) & (event_people.days_ago <= days))


def _days_since(event_use: ir.Table, kinds: tuple[str, ...], days: int) -> ir.Value:
    return event_use.age.min(where=event_use.event.isin(kinds) & (event_use.days_ago <= days))


def _trend(event_use: ir.Table, kinds: tuple[str, ...], days: int) -> ir.Value:
    before = event_use[f"before_{days}d"].sum(where=event_use.event.isin(kinds))
    return _count(event_use, kinds, days).fill_null(0) / before.nullif(0)


def _share(event_use: ir.Table, kinds: tuple[str, ...], days: int) -> ir.Value:
    return _count(event_use, kinds, days).fill_null(0) / event_use[f"events_{days}d"].sum().nullif(0)


def plain_label(label: str, name: str) -> str:
    """The label, or the name in words, without what a sentence would read as a place for a value."""
    return (label or name.replace("_", " ")).replace("{", "(").replace("}", ")")


def _listed(kinds: tuple[str, ...]) -> str:
    quoted = [f"'{kind}'" for kind in kinds]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
