"""Usage rollups: usage by day and by period, computed once for all days of a history.

The days of a history look back over much the same events, and without rollups each day aggregates them again. On DuckDB
the first publish of the default simulated company (2,000 accounts, 22 days) then takes 1.1 to 1.2 times the processor
time, and with 10,000 accounts 1.35 times. A single day has no rollups.

A rollup does not depend on a snapshot day: a row that was recorded after the first snapshot that follows its event has
the day of its recording, so that a rollup is filtered as of a day like any raw table. So are the rows of an account
that others were merged into: there is one for each set of accounts that it is made of on some of the days, because
people who use several of them are counted once.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features.compute.backends.base import Backend
from features.tables.account_merges import assign_usage, owners_on, read_merges, tables_as_written
from features.tables.contract import ACCOUNT_ID, CONTRACT
from features.tables.derived import (
    DAILY_TABLES,
    PERIOD_TABLES,
    RECENT_DAYS,
    USAGE_BY_DAY,
    USAGE_BY_PERIOD,
    DailyMeasure,
    UsageKey,
    aggregate_by_day,
    aggregate_by_period,
)
from features.tables.point_in_time import OWNED, OWNED_FROM, WRITTEN_ID, filter_between
from features.tables.raw_table import RawTable

Aggregate = Callable[[ir.Table], ir.Table]
MIN_PERIOD_DAYS = 7  # shorter periods have hardly fewer rows than events
CALENDAR, OWNERS = "usage_calendar", "usage_owners"
CALENDAR_TYPES = {"day": "date", "since": "timestamp", "next_snapshot": "timestamp"}


@dataclass(frozen=True)
class RollupPlan:
    """The snapshot days in order, and how many days before each the derived tables of usage look back."""

    days: Sequence[datetime]
    lookbacks: Mapping[str, int]

    @property
    def first_day(self) -> datetime:
        return self.days[0] - timedelta(days=max(self.lookbacks.values()))

    def period_starts(self) -> list[datetime]:
        """The first day, and where the windows of tables by period begin and end for any of the days."""
        offsets = {0, RECENT_DAYS, *(self.lookbacks[name] for name in PERIOD_TABLES if name in self.lookbacks)}
        return sorted({self.first_day, *(day - timedelta(days=offset) for day in self.days for offset in offsets)})


def materialize_rollups(backend: Backend, tables: Mapping[str, RawTable], plan: RollupPlan) -> dict[str, RawTable]:
    """The rollups that several days read, as tables of the backend; empty if there is none or it cannot hold tables."""
    usage = tables.get("usage")
    aggregates = dict(rollup_aggregates(usage, plan)) if plan.lookbacks and usage else {}
    if usage is None or not aggregates or backend.create_table is None:
        return {}
    if OWNED_FROM in usage.rows.columns:
        owners = backend.create_table(OWNERS, owners_on(read_merges(tables_as_written(tables)), plan.days))
        usage = assign_usage(usage, owners)
    calendar = backend.create_table(CALENDAR, usage_calendar(plan))
    events = events_with_periods(usage, calendar, plan)
    return {name: rollup_table(name, backend.create_table(name, build(events))) for name, build in aggregates.items()}


def rollup_aggregates(usage: RawTable, plan: RollupPlan) -> Iterator[tuple[str, Aggregate]]:
    """The rollups that are worth computing for these days, and how each is computed from `events_with_periods`."""
    has_users, late = "user_id" in usage.source_columns, "recorded_at" in usage.source_columns
    daily = [name for name in DAILY_TABLES if name in plan.lookbacks]
    # Distinct users of one day cannot be added up over parts of it.
    measures: set[DailyMeasure] = {DAILY_TABLES[name] for name in daily}
    if has_users and late:
        measures -= {"people"}
    if measures and any(_overlaps(plan, name) for name in daily):
        yield USAGE_BY_DAY.name, lambda events: aggregate_by_day(events, measures, has_users=has_users, late=late)
    for name, key in PERIOD_TABLES.items():
        if name in plan.lookbacks and _overlaps(plan, name) and _has_long_periods(plan, name):
            yield name, _by_period(key, late)


def rollup_table(name: str, rows: ir.Table) -> RawTable:
    """A rollup as a table that is filtered as of a day."""
    return RawTable(USAGE_BY_PERIOD if name in PERIOD_TABLES else USAGE_BY_DAY, rows, frozenset())


def events_with_periods(usage: RawTable, calendar: ir.Table, plan: RollupPlan) -> ir.Table:
    """The events that any day looks back on, each with the start of its period, and its day of recording if late."""
    events = filter_between(usage.rows, CONTRACT["usage"], plan.first_day, plan.days[-1])
    rows = events.join(calendar, events.occurred_at.date() == calendar.day)
    late = (rows.recorded_at >= rows.next_snapshot).ifelse(rows.recorded_at.date(), ibis.null("date"))
    owned = [name for name in (*OWNED, WRITTEN_ID) if name in rows.columns]
    return rows.select(ACCOUNT_ID, "user_id", "event", "occurred_at", "quantity", "since", *owned, recorded_at=late)


def usage_calendar(plan: RollupPlan) -> pa.Table:
    """One row per day: the start of its period, and the first snapshot that follows it."""
    days = [plan.first_day + timedelta(days=n) for n in range((plan.days[-1] - plan.first_day).days)]
    starts = plan.period_starts()
    columns = {
        "day": [day.date() for day in days],
        "since": [starts[bisect_right(starts, day) - 1] for day in days],
        "next_snapshot": [plan.days[bisect_right(plan.days, day)] for day in days],
    }
    return pa.table(columns, ibis.schema(CALENDAR_TYPES).to_pyarrow())


def _by_period(key: UsageKey, late: bool) -> Aggregate:
    return lambda events: aggregate_by_period(events, key, late=late)


def _has_long_periods(plan: RollupPlan, name: str) -> bool:
    lookback = plan.lookbacks[name]
    begin = plan.days[-1] - timedelta(days=lookback)
    starts = replace(plan, lookbacks={name: lookback}).period_starts()
    return len(starts[bisect_right(starts, begin) :]) * MIN_PERIOD_DAYS <= lookback


def _overlaps(plan: RollupPlan, name: str) -> bool:
    """Whether several days look back over the same events."""
    return len(plan.days) > 1 and (plan.days[-1] - plan.days[0]).days < plan.lookbacks[name] * (len(plan.days) - 1)
