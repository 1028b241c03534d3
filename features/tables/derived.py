"""Derived tables: what several signals read and no raw table holds, each made of one raw table as it was known.

A derived table has one row per account and something; its rows never depend on the order of the raw ones, nor on which
signals are asked for.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import ibis
import ibis.expr.types as ir

from features.tables.contract import Column, Table
from features.tables.point_in_time import SECONDS_A_DAY

KEY = "account_id"
PEOPLE_EVENT = "active_users"
HALF_A_YEAR = 182
LATELY = 28
LEAST_AMOUNT = 0.01  # sums of money that differ by less are rounding
People = Literal["named", "counted", "unknown"]


@dataclass(frozen=True)
class Derived:
    """One derived table: the raw table it is made of, how, and the columns a data set must have for it.

    It looks back as far as the signals asked for do, and never further than `days`: what its rows say of the time
    before a window, the first use of something say, is only read by signals that look back all these days. `people`
    are the ways of naming people, in a data set, that it can be made of.
    """

    source: str
    build: Callable[[ir.Table], ir.Table]
    reads: frozenset[str]
    days: int | None = None
    people: frozenset[People] = frozenset({"named", "counted", "unknown"})


def named_events(usage: ir.Table) -> ir.Table:
    """The usage without the rows that are a daily count of people."""
    return usage.filter(usage.event != PEOPLE_EVENT)


def named_people(usage: ir.Table) -> ir.Table:
    """The usage of which it is told who did it."""
    return named_events(usage).filter(usage.user_id.notnull())


def by_day(usage: ir.Table, told: Collection[str], *, named: bool, late: bool = False) -> ir.Table:
    """One row per account and day: its `events`, how far into the day they reach (`used_for`), its `people`.

    `told` says which of the two are asked for; people are told by their names, or by the rows that are a daily count of
    them. What was recorded late is a row of its own if `late`, and `in_parts` says of which days that is so. No row
    depends on when it is asked for, and a day is wholly inside a window or wholly before it, because snapshots are seen
    from a midnight: whatever a window adds up is added up from days, of which there are far fewer than events.
    """
    alone = len(told) == 1
    if set(told) == {"events"}:
        usage = named_events(usage)
    elif alone and not named:
        usage = usage.filter(usage.event == PEOPLE_EVENT)
    # A date takes a fraction of the time that truncating an instant does, and of the room.
    day = usage.mutate(day=usage.occurred_at.date())
    values = {"events": _events_of(day, alone=alone), "people": _people_of(day, alone=alone, named=named)}
    rows = day.group_by(KEY, "day", *_if_late(late)).aggregate(
        **{name: value for one in sorted(told) for name, value in values[one].items()}
    )
    if "events" in told:
        used_for = rows.used_at.delta(rows.day.cast("timestamp"), unit="second") / SECONDS_A_DAY
        rows = rows.mutate(used_for=used_for).drop("used_at")
    return _in_parts(rows) if late else rows


def whole_days(days: ir.Table) -> ir.Table:
    """Usage by day of which parts were recorded late, the parts put together: one row per account and day."""
    together = {
        "events": lambda parts: parts.events.sum(),
        "used_for": lambda parts: parts.used_for.max(),
        "people": lambda parts: parts.people.max(),
    }
    told = [name for name in together if name in days.columns]
    parts = days.filter(days.in_parts)
    whole = parts.group_by(KEY, "day").aggregate(**{name: together[name](parts) for name in told})
    return days.filter(~days.in_parts).select(whole.columns).union(whole)


def by_stretch(usage: ir.Table, what: str, since: datetime, *, late: bool) -> ir.Table:
    """One row per account and kind of event, or person, in one stretch of time that begins at `since`."""
    used = USED[what](usage)
    return (
        used.group_by(KEY, what, *_if_late(late))
        .aggregate(
            last_day=used.occurred_at.max().date(),
            first_day=used.occurred_at.min().date(),
            quantity=used.quantity.sum(),
        )
        .mutate(since=ibis.timestamp(since.isoformat()))
    )


def used_in_stretches(stretches: ir.Table, what: str) -> ir.Table:
    """What `usage_kinds` or `usage_people` tells, of stretches none of which reaches over `LATELY` or the window."""
    return _used_by(stretches.mutate(days_ago=stretches.last_day_ago, first_days_ago=stretches.first_day_ago), what)


def presence(days: ir.Table) -> ir.Table:
    """One row per account and day with anyone active: how many people, counted by the source or by their names."""
    return days.filter(days.people > 0).select(KEY, "people", "days_ago")


def usage_days(days: ir.Table) -> ir.Table:
    """One row per account and day with an event: how many, how long ago the day was, and the age of its last event."""
    return days.filter(days.used_for.notnull()).select(
        KEY, "day", "days_ago", "events", age=days.days_ago - days.used_for
    )


def usage_gaps(days: ir.Table) -> ir.Table:
    """One row per account and day with an event: its age, and the days since the active day before."""
    return usage_days(days).group_by(KEY).order_by("day").mutate(gap=lambda rows: rows.age.lag() - rows.age)


def usage_kinds(usage: ir.Table) -> ir.Table:
    """One row per account and kind of event: when it was last and first used, and how often lately."""
    return _used_by(named_events(usage).mutate(first_days_ago=usage.days_ago), "event")


def usage_people(usage: ir.Table) -> ir.Table:
    """One row per account and person: when they were last and first active, and how much lately."""
    return _used_by(named_people(usage).mutate(first_days_ago=usage.days_ago), "user_id")


def answers(surveys: ir.Table) -> ir.Table:
    """One row per account and kind of survey: the last answer, and of several at the same instant the best."""
    given = surveys.filter(surveys.answered_at.notnull() & surveys.score.notnull())
    dated = given.group_by(KEY, "kind").mutate(last_age=given.answered_at_age.min())
    last = dated.filter(dated.answered_at_age == dated.last_age)
    return last.group_by(KEY, "kind").aggregate(score=last.score.max(), age=last.last_age.max())


def unanswered(touches: ir.Table) -> ir.Table:
    """The touches, long enough ago to tell, that followed the last answered one and were not answered."""
    settled = touches.filter(touches.responded.notnull())
    answered_age = settled.responded.ifelse(settled.age, ibis.null("float64"))
    dated = settled.group_by(KEY).mutate(answered_age=answered_age.min())
    return dated.filter(~dated.responded & (dated.answered_age.isnull() | (dated.age < dated.answered_age)))


def mrr_steps(subscriptions: ir.Table) -> ir.Table:
    """One row per account and later day on which its monthly recurring revenue changed, and by how much."""
    started = subscriptions.select(KEY, at=subscriptions.started_at, age=subscriptions.age, step=subscriptions.mrr)
    over = subscriptions.filter(subscriptions.ended_at.notnull())
    ended = over.select(KEY, at=over.ended_at, age=over.ended_at_age, step=-over.mrr)
    steps = started.union(ended).mutate(day=lambda rows: rows.at.truncate("D"))
    days = steps.group_by(KEY, "day").aggregate(step=steps.step.sum(), age=steps.age.min())
    dated = days.group_by(KEY).mutate(first_day=days.day.min())
    return dated.filter((dated.day > dated.first_day) & (dated.step.abs() >= LEAST_AMOUNT))


def _events_of(day: ir.Table, *, alone: bool) -> dict[str, ir.Value]:
    happened = None if alone else day.event != PEOPLE_EVENT
    return {"events": day.quantity.sum(where=happened), "used_at": day.occurred_at.max(where=happened)}


def _people_of(day: ir.Table, *, alone: bool, named: bool) -> dict[str, ir.Value]:
    people = day.quantity.max(where=None if alone and not named else day.event == PEOPLE_EVENT)
    return {"people": ibis.coalesce(people, day.user_id.nunique().cast("float64")) if named else people}


def _in_parts(days: ir.Table) -> ir.Table:
    late = days.filter(days.recorded_at.notnull()).select(late_id=KEY, late_day="day").distinct()
    rows = days.left_join(late, (days[KEY] == late.late_id) & (days.day == late.late_day))
    return rows.mutate(in_parts=rows.late_id.notnull()).drop("late_id", "late_day")


def _if_late(late: bool) -> tuple[str, ...]:
    return ("recorded_at",) if late else ()


def _used_by(usage: ir.Table, what: str) -> ir.Table:
    return usage.group_by(KEY, what).aggregate(
        days_ago=usage.days_ago.min(),
        first_days_ago=usage.first_days_ago.max(),
        days_ago_before_28d=usage.days_ago.min(where=usage.days_ago > LATELY),
        events_28d=usage.quantity.sum(where=usage.days_ago <= LATELY),
    )


# The derived tables that are made of usage by day, and what they read of it.
OF_DAYS: Mapping[str, str] = {"presence": "people", "usage_days": "events", "usage_gaps": "events"}
TOLD_OF_ON = Column("day", "when this became known, where that was later than it was read")
BY_DAY = Table(
    "usage_by_day",
    at="day",
    columns={
        KEY: Column("text", "the account"),
        "day": Column("day", "the day"),
        "events": Column("number", "how much was done"),
        "used_for": Column("number", "the part of the day by which something was last done"),
        "people": Column("number", "how many were active"),
        "recorded_at": TOLD_OF_ON,
    },
)
# The derived tables of who or what was used, and the column that names it.
OF_STRETCHES: Mapping[str, str] = {"usage_kinds": "event", "usage_people": "user_id"}
USED: Mapping[str, Callable[[ir.Table], ir.Table]] = {"event": named_events, "user_id": named_people}
BY_STRETCH = Table(
    "usage_by_stretch",
    at="since",
    columns={
        KEY: Column("text", "the account"),
        "event": Column("text", "what was done"),
        "user_id": Column("text", "who did it"),
        "since": Column("instant", "when the stretch began"),
        "last_day": Column("day", "when it was last done in the stretch"),
        "first_day": Column("day", "when it was first done in the stretch"),
        "quantity": Column("number", "how often"),
        "recorded_at": TOLD_OF_ON,
    },
)
DERIVED: Mapping[str, Derived] = {
    "presence": Derived("usage", presence, frozenset({"event"}), people=frozenset({"named", "counted"})),
    "usage_days": Derived("usage", usage_days, frozenset({"quantity"})),
    "usage_gaps": Derived("usage", usage_gaps, frozenset(), days=HALF_A_YEAR),
    "usage_kinds": Derived("usage", usage_kinds, frozenset({"event", "quantity"}), days=HALF_A_YEAR),
    "usage_people": Derived(
        "usage", usage_people, frozenset({"user_id", "quantity"}), days=HALF_A_YEAR, people=frozenset({"named"})
    ),
    "answers": Derived("surveys", answers, frozenset({"kind", "answered_at", "score"})),
    "unanswered": Derived("touches", unanswered, frozenset({"responded"})),
    "mrr_steps": Derived("subscriptions", mrr_steps, frozenset({"mrr", "ended_at"})),
}
