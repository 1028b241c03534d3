"""Derived tables: what several signals read and no raw table holds, each made of one raw table as it was known.

A derived table has one row per account and something; its rows never depend on the order of the raw ones, nor on which
signals are asked for.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import ibis
import ibis.expr.types as ir

KEY = "account_id"
PEOPLE_EVENT = "active_users"
HALF_A_YEAR = 182
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


def fingerprint() -> str:
    """A hash that changes when any derived table is made differently."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


def named_events(usage: ir.Table) -> ir.Table:
    """The usage without the rows that are a daily count of people."""
    return usage.filter(usage.event != PEOPLE_EVENT)


def presence(usage: ir.Table) -> ir.Table:
    """One row per account and day with anyone active: how many people, counted by the source or by their names."""
    day = usage.mutate(day=usage.occurred_at.truncate("D"))
    counted = ibis.cases((day.event == PEOPLE_EVENT, day.quantity))
    return (
        day.group_by(KEY, "day")
        .aggregate(people=ibis.coalesce(counted.max(), day.user_id.nunique().cast("float64")), age=day.age.max())
        .filter(lambda rows: rows.people > 0)
    )


def counted_presence(usage: ir.Table) -> ir.Table:
    """The same of a source without names: the rows that are a daily count of people are all it has to say."""
    days = _days(usage).filter(lambda rows: rows.people > 0)
    return days.select(KEY, people=days.people, age=days.people_age)


def usage_days(usage: ir.Table) -> ir.Table:
    """One row per account and day with an event: how many, and the age of the day's last.

    A day is wholly inside a window or wholly before it, because snapshots are seen from a midnight; so whatever a
    window adds up is added up from days, of which there are far fewer than events.
    """
    return _days(usage).filter(lambda rows: rows.age.notnull()).select(KEY, "day", "events", "age")


def usage_gaps(usage: ir.Table) -> ir.Table:
    """One row per account and day with an event: its age, and the days since the active day before."""
    return usage_days(usage).group_by(KEY).order_by("day").mutate(gap=lambda rows: rows.age.lag() - rows.age)


def usage_kinds(usage: ir.Table) -> ir.Table:
    """One row per account and kind of event: when it was last and first used, and how often lately."""
    return _used_by(named_events(usage), "event")


def usage_people(usage: ir.Table) -> ir.Table:
    """One row per account and person: when they were last and first active, and how much lately."""
    return _used_by(named_events(usage).filter(lambda rows: rows.user_id.notnull()), "user_id")


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


def _days(usage: ir.Table) -> ir.Table:
    """One row per account and day with any row: one pass over the events for all that is told of days."""
    day = usage.mutate(day=usage.occurred_at.truncate("D"))
    counted = day.event == PEOPLE_EVENT
    return day.group_by(KEY, "day").aggregate(
        events=day.quantity.sum(where=~counted),
        age=day.age.min(where=~counted),
        people=day.quantity.max(where=counted),
        people_age=day.age.max(where=counted),
    )


def _used_by(usage: ir.Table, what: str) -> ir.Table:
    return usage.group_by(KEY, what).aggregate(
        age=usage.age.min(),
        first_age=usage.age.max(),
        age_before_28d=usage.age.min(where=usage.age > 28),
        events_28d=usage.quantity.sum(where=usage.age <= 28),
    )


OF_DAYS = frozenset({"usage_days", "usage_gaps"})
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
