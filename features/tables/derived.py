"""Derived tables: what several signals read and no raw table holds, each computed from one raw table as of a day.

A derived table has one row per account and something else. Its rows never depend on the order of the raw rows, nor on
which signals are computed.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import ibis
import ibis.expr.types as ir

from features.tables.contract import ACCOUNT_ID, ACTIVE_USERS_EVENT, ColumnContract, TableContract
from features.tables.point_in_time import OWNED, SECONDS_PER_DAY, WRITTEN_ID

HALF_YEAR_DAYS = 182
TWO_YEARS_DAYS = 728
RECENT_DAYS = 28
MIN_MRR_CHANGE = 0.01  # a smaller difference is rounding
PeopleMode = Literal["named", "counted", "unknown"]
DailyMeasure = Literal["events", "people"]
UsageKey = Literal["event", "user_id"]


@dataclass(frozen=True)
class DerivedTable:
    """One derived table: its raw table, how it is built, and the columns that a data set must have for it.

    It looks back as far as the computed signals do, and at most `max_days`: what its rows say about the time before a
    window, such as the first use of a feature, is only read by signals that look back all these days. `people_modes`
    are the ways in which a data set can identify people for this table. One that `has_raw_columns` only leaves rows of
    its raw table out, so a signal also needs the columns that it reads.
    """

    source: str
    build: Callable[[ir.Table], ir.Table]
    required_columns: frozenset[str]
    max_days: int | None = None
    people_modes: frozenset[PeopleMode] = frozenset({"named", "counted", "unknown"})
    has_raw_columns: bool = False


def without_people_counts(usage: ir.Table) -> ir.Table:
    """The events: the usage without the daily counts of people, and without the rows that count no event."""
    return usage.filter((usage.event != ACTIVE_USERS_EVENT) & (usage.quantity > 0))


def with_user_ids(usage: ir.Table) -> ir.Table:
    """The usage of which the user is known."""
    return without_people_counts(usage).filter(usage.user_id.notnull())


def aggregate_by_day(
    usage: ir.Table, measures: Collection[DailyMeasure], *, has_users: bool, late: bool = False
) -> ir.Table:
    """One row per account and day with its `events` and `last_event_time` (share of the day), and its `people`.

    `measures` are those to compute. People are counted by user id, or by the rows that are a daily count of them. With
    `late`, rows recorded late are aggregated apart, and `has_late_parts` marks their days. No row depends on `as_of`,
    and a day is wholly inside a window or wholly before it, because snapshots are taken at midnight: windows add up
    days, of which there are far fewer than events.
    """
    single = len(measures) == 1
    if "people" in measures and WRITTEN_ID in usage.columns:
        usage = add_people_counts(usage)
    if set(measures) == {"events"}:
        usage = without_people_counts(usage)
    elif single and not has_users:
        usage = usage.filter(usage.event == ACTIVE_USERS_EVENT)
    # A date takes a fraction of the time and memory of truncating an instant.
    day = usage.mutate(day=usage.occurred_at.date())
    values = {"events": _event_measures(day, single), "people": _people_measures(day, single, has_users)}
    rows = day.group_by(ACCOUNT_ID, "day", *_late_key(late), *_owned(day)).aggregate(
        **{name: value for measure in sorted(measures) for name, value in values[measure].items()}
    )
    if "events" in measures:
        time = rows.last_event_at.delta(rows.day.cast("timestamp"), unit="second") / SECONDS_PER_DAY
        rows = rows.mutate(last_event_time=time).drop("last_event_at")
    return _mark_late_parts(rows) if late else rows


def add_people_counts(usage: ir.Table) -> ir.Table:
    """The usage with the daily counts of people of accounts that became one added up: they are other people."""
    owned = _owned(usage)
    columns = [ACCOUNT_ID, "event", "user_id", "occurred_at", "quantity", *owned]
    counts = usage.filter(usage.event == ACTIVE_USERS_EVENT).mutate(day=lambda rows: rows.occurred_at.date())
    highest = counts.group_by(ACCOUNT_ID, WRITTEN_ID, "day", "event", *owned).aggregate(
        occurred_at=counts.occurred_at.max(), quantity=counts.quantity.max()
    )
    added = highest.group_by(ACCOUNT_ID, "day", "event", *owned).aggregate(
        occurred_at=highest.occurred_at.max(), quantity=highest.quantity.sum()
    )
    others = usage.filter(usage.event != ACTIVE_USERS_EVENT)
    return others.select(columns).union(added.mutate(user_id=ibis.null("string")).select(columns))


def merge_late_parts(days: ir.Table) -> ir.Table:
    """Usage by day with the rows of one day merged: one row per account and day."""
    merges = {
        "events": lambda parts: parts.events.sum(),
        "last_event_time": lambda parts: parts.last_event_time.max(),
        "people": lambda parts: parts.people.max(),
    }
    parts = days.filter(days.has_late_parts)
    merged = parts.group_by(ACCOUNT_ID, "day").aggregate(
        **{name: merge(parts) for name, merge in merges.items() if name in days.columns}
    )
    return days.filter(~days.has_late_parts).select(merged.columns).union(merged)


def aggregate_by_period(usage: ir.Table, key: UsageKey, *, late: bool) -> ir.Table:
    """One row per account, event type or user, and period; `since` is the start of the period of each event."""
    used = (without_people_counts if key == "event" else with_user_ids)(usage)
    return used.group_by(ACCOUNT_ID, key, "since", *_late_key(late), *_owned(used)).aggregate(
        last_day=used.occurred_at.max().date(),
        first_day=used.occurred_at.min().date(),
        quantity=used.quantity.sum(),
    )


def merge_periods(periods: ir.Table, key: UsageKey) -> ir.Table:
    """The rows of `usage_kinds` or `usage_people`, if no period spans `RECENT_DAYS` ago or the window's start."""
    return _use_by(periods.mutate(days_ago=periods.last_day_ago, first_days_ago=periods.first_day_ago), key)


def presence(days: ir.Table) -> ir.Table:
    """One row per account and day with active people: how many, as counted by the source or by user id."""
    return days.filter(days.people > 0).select(ACCOUNT_ID, "people", "days_ago")


def usage_days(days: ir.Table) -> ir.Table:
    """One row per account and day with an event: the events, how long ago the day was, and its last event's age."""
    return days.filter(days.last_event_time.notnull()).select(
        ACCOUNT_ID, "day", "days_ago", "events", age=days.days_ago - days.last_event_time
    )


def usage_gaps(days: ir.Table) -> ir.Table:
    """One row per account and day with an event: its age, and the days since the previous active day."""
    return usage_days(days).group_by(ACCOUNT_ID).order_by("day").mutate(gap=lambda rows: rows.age.lag() - rows.age)


def usage_pauses(days: ir.Table) -> ir.Table:
    """One row per account and day with an event: how long ago, and the days up to the next such day or to `as_of`."""
    return (
        usage_days(days)
        .select(ACCOUNT_ID, "day", "days_ago")
        .group_by(ACCOUNT_ID)
        .order_by("day")
        .mutate(pause=lambda rows: rows.days_ago - rows.days_ago.lead().fill_null(0))
    )


def usage_kinds(usage: ir.Table) -> ir.Table:
    """One row per account and event type: when it was first and last used, and how often recently."""
    return _use_by(without_people_counts(usage).mutate(first_days_ago=usage.days_ago), "event")


def usage_people(usage: ir.Table) -> ir.Table:
    """One row per account and user: when they were first and last active, and how much recently."""
    return _use_by(with_user_ids(usage).mutate(first_days_ago=usage.days_ago), "user_id")


def answers(surveys: ir.Table) -> ir.Table:
    """One row per account and kind of survey: the last answer; of several at one instant, the best."""
    answered = surveys.filter(surveys.answered_at.notnull() & surveys.score.notnull())
    dated = answered.group_by(ACCOUNT_ID, "kind").mutate(last_age=answered.answered_at_age.min())
    last = dated.filter(dated.answered_at_age == dated.last_age)
    return last.group_by(ACCOUNT_ID, "kind").aggregate(score=last.score.max(), age=last.last_age.max())


def unanswered(touches: ir.Table) -> ir.Table:
    """The touches since the last answered one that were not answered; too recent ones are left out."""
    settled = touches.filter(touches.responded.notnull())
    answered_age = settled.responded.ifelse(settled.age, ibis.null("float64"))
    dated = settled.group_by(ACCOUNT_ID).mutate(answered_age=answered_age.min())
    return dated.filter(~dated.responded & (dated.answered_age.isnull() | (dated.age < dated.answered_age)))


def bills(invoices: ir.Table) -> ir.Table:
    """The invoices by which something is owed: without credit notes and invoices of nothing."""
    return invoices.filter(invoices.amount.isnull() | (invoices.amount > 0))


def current_plans(subscriptions: ir.Table) -> ir.Table:
    """The current plans of an account: those with seats, or all if none has seats."""
    running = subscriptions.filter(subscriptions.ended_at.isnull() & subscriptions.plan.notnull())
    marked = running.group_by(ACCOUNT_ID).mutate(seated=running.seats.notnull().max())
    return marked.filter(marked.seats.notnull() | ~marked.seated)


def mrr_steps(subscriptions: ir.Table) -> ir.Table:
    """One row per account and day on which its MRR changed after the first day, and by how much."""
    started = subscriptions.select(
        ACCOUNT_ID, at=subscriptions.started_at, age=subscriptions.age, step=subscriptions.mrr
    )
    over = subscriptions.filter(subscriptions.ended_at.notnull())
    ended = over.select(ACCOUNT_ID, at=over.ended_at, age=over.ended_at_age, step=-over.mrr)
    steps = started.union(ended).mutate(day=lambda rows: rows.at.truncate("D"))
    days = steps.group_by(ACCOUNT_ID, "day").aggregate(step=steps.step.sum(), age=steps.age.min())
    dated = days.group_by(ACCOUNT_ID).mutate(first_day=days.day.min())
    return dated.filter((dated.day > dated.first_day) & (dated.step.abs() >= MIN_MRR_CHANGE))


def _event_measures(day: ir.Table, single: bool) -> dict[str, ir.Value]:
    is_event = None if single else (day.event != ACTIVE_USERS_EVENT) & (day.quantity > 0)
    return {"events": day.quantity.sum(where=is_event), "last_event_at": day.occurred_at.max(where=is_event)}


def _people_measures(day: ir.Table, single: bool, has_users: bool) -> dict[str, ir.Value]:
    counted = day.quantity.max(where=None if single and not has_users else day.event == ACTIVE_USERS_EVENT)
    named = day.user_id.nunique(where=day.quantity > 0).cast("float64")
    return {"people": ibis.coalesce(counted, named) if has_users else counted}


def _mark_late_parts(days: ir.Table) -> ir.Table:
    late = days.filter(days.recorded_at.notnull()).select(late_id=ACCOUNT_ID, late_day="day").distinct()
    rows = days.left_join(late, (days[ACCOUNT_ID] == late.late_id) & (days.day == late.late_day))
    return rows.mutate(has_late_parts=rows.late_id.notnull()).drop("late_id", "late_day")


def _owned(usage: ir.Table) -> tuple[str, ...]:
    """The time in which an account owns the rows, which are then aggregated apart."""
    return tuple(name for name in OWNED if name in usage.columns)


def _late_key(late: bool) -> tuple[str, ...]:
    return ("recorded_at",) if late else ()


def _use_by(usage: ir.Table, key: UsageKey) -> ir.Table:
    return usage.group_by(ACCOUNT_ID, key).aggregate(
        days_ago=usage.days_ago.min(),
        first_days_ago=usage.first_days_ago.max(),
        days_ago_before_28d=usage.days_ago.min(where=usage.days_ago > RECENT_DAYS),
        events_28d=usage.quantity.sum(where=usage.days_ago <= RECENT_DAYS),
    )


# The derived tables that are built from usage by day, and the measure that they read.
DAILY_TABLES: Mapping[str, DailyMeasure] = {
    "presence": "people",
    "usage_days": "events",
    "usage_gaps": "events",
    "usage_pauses": "events",
}
# The derived tables of event types or users, and the column with them.
PERIOD_TABLES: Mapping[str, UsageKey] = {"usage_kinds": "event", "usage_people": "user_id"}
LATE_DAY = ColumnContract("day", "the day on which this was recorded, if that was after the next snapshot")
USAGE_BY_DAY = TableContract(
    "usage_by_day",
    at="day",
    columns={
        ACCOUNT_ID: ColumnContract("text", "the account"),
        "day": ColumnContract("day", "the day"),
        "events": ColumnContract("number", "the number of events"),
        "last_event_time": ColumnContract("number", "the time of the last event, as a share of the day"),
        "people": ColumnContract("number", "the number of active people"),
        "recorded_at": LATE_DAY,
    },
)
USAGE_BY_PERIOD = TableContract(
    "usage_by_period",
    at="since",
    columns={
        ACCOUNT_ID: ColumnContract("text", "the account"),
        "event": ColumnContract("text", "the event type"),
        "user_id": ColumnContract("text", "the user"),
        "since": ColumnContract("instant", "the start of the period"),
        "last_day": ColumnContract("day", "the last day with an event in the period"),
        "first_day": ColumnContract("day", "the first day with an event in the period"),
        "quantity": ColumnContract("number", "the number of events"),
        "recorded_at": LATE_DAY,
    },
)
DERIVED: Mapping[str, DerivedTable] = {
    "presence": DerivedTable("usage", presence, frozenset({"event"}), people_modes=frozenset({"named", "counted"})),
    "usage_days": DerivedTable("usage", usage_days, frozenset({"quantity"})),
    "usage_gaps": DerivedTable("usage", usage_gaps, frozenset(), max_days=HALF_YEAR_DAYS),
    "usage_pauses": DerivedTable("usage", usage_pauses, frozenset(), max_days=TWO_YEARS_DAYS),
    "usage_kinds": DerivedTable("usage", usage_kinds, frozenset({"event", "quantity"}), max_days=HALF_YEAR_DAYS),
    "usage_people": DerivedTable(
        "usage",
        usage_people,
        frozenset({"user_id", "quantity"}),
        max_days=HALF_YEAR_DAYS,
        people_modes=frozenset({"named"}),
    ),
    "answers": DerivedTable("surveys", answers, frozenset({"kind", "answered_at", "score"})),
    "bills": DerivedTable("invoices", bills, frozenset(), has_raw_columns=True),
    "current_plans": DerivedTable("subscriptions", current_plans, frozenset({"plan", "ended_at"})),
    "unanswered": DerivedTable("touches", unanswered, frozenset({"responded"})),
    "mrr_steps": DerivedTable("subscriptions", mrr_steps, frozenset({"mrr", "ended_at"})),
}
