"""From when to when the tables of a draft are complete, and whether they seem to grow no more."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Protocol

from configs.errors import DataError
from features.compute.backends.duckdb import quote_name
from features.drafting.draft_context import DraftRequest
from features.drafting.selects.decisions import DecisionLog, Query
from features.drafting.selects.subscription_rules import running_subscriptions
from features.publishing.data_span import count_events_by_day, last_covered_day
from features.tables.contract import CONTRACT
from features.tables.raw_table import RawTable

FINISHED_AFTER_DAYS = 8
LATE_DAYS, STRAY_SHARE = 60, 0.001
# A table with rows on most days of so many, and none for longer than so many of its gaps, came no more.
RHYTHM_DAYS, DENSE_SHARE, MIN_STOP_DAYS, STOP_GAPS = 182, 0.5, 14, 3  # holidays can be a week without a contract
FIRST_DEPARTURE = """select min(left_at) from (select account_id, max(ended_at) as left_at,
bool_or(ended_at is null) as runs from {subscriptions} group by 1) where not runs"""


class DraftedTables(Protocol):
    """The rows of the tables that are drafted, which `query` knows as `drafted_NAME`."""

    request: DraftRequest
    decisions: DecisionLog
    query: Query
    rows: dict[str, RawTable]


@dataclass(frozen=True)
class ObservedSpan:
    """The first day with events, the midnight after the last one, and whether the files seem to grow no more.

    `stopped` is the table that stops first, if others go on for longer; what happened since then is not known.
    """

    begins: datetime
    until: datetime
    is_finished: bool
    stopped: str = ""


def find_span(drafted: DraftedTables) -> ObservedSpan:
    """The days with events, up to the end of the table that stops first. Raises DataError if there are none."""
    rows = count_events_by_day(drafted.rows, drafted.request.now)
    if not rows:
        raise DataError(
            f"{drafted.request.origin}: no table has a row with a date before today.", "Are the dates right?"
        )
    last = last_covered_day(rows)
    first = -last_covered_day({-day: count for day, count in rows.items()})
    strays = sum(count for day, count in rows.items() if not first <= day <= last)
    if strays:
        drafted.decisions.note("data", f"{strays:,} rows are far before or after all others")
    _note_future_rows(drafted)
    stopped, until = _find_stopped_table(drafted, last)
    is_finished = drafted.request.now - until > timedelta(days=FINISHED_AFTER_DAYS)
    return ObservedSpan(_midnight(first), until, is_finished, stopped)


def find_stop(rows: Mapping[int, int], last: int) -> int | None:
    """The last day of a table that had rows on most days and has none up to the day `last`; None if it goes on.

    >>> daily = {day: 1 for day in range(200)}
    >>> find_stop(daily, 230), find_stop(daily, 205), find_stop({day: 1 for day in range(0, 200, 10)}, 230)
    (199, None, None)
    """
    end = last_covered_day(rows)
    recent = [day for day in sorted(rows) if end - RHYTHM_DAYS < day <= end]
    if len(recent) < RHYTHM_DAYS * DENSE_SHARE:
        return None
    longest_gap = max(later - earlier for earlier, later in pairwise(recent))
    return end if last - end > max(MIN_STOP_DAYS, STOP_GAPS * longest_gap) else None


def _find_stopped_table(drafted: DraftedTables, last: int) -> tuple[str, datetime]:
    """The table that says who is at risk and stops first, and the midnight after its end; that after `last` if none."""
    stops: list[tuple[int, str]] = []
    for table in ("subscriptions", "usage"):
        rows = _count_by_day(drafted, table) if table in drafted.rows else {}
        stop = find_stop(rows, last) if rows else None
        stops += [] if stop is None else [(stop, table)]
    if not stops:
        return "", _midnight(last + 1)
    end, table = min(stops)
    goes_on = f"other tables go on until {_midnight(last):%Y-%m-%d}"
    text = f"its rows stop on {_midnight(end):%Y-%m-%d}, and {goes_on}: the data end there, as nothing is known since"
    drafted.decisions.note(table, text)
    return table, _midnight(end + 1)


def _count_by_day(drafted: DraftedTables, table: str) -> dict[int, int]:
    at, now = CONTRACT[table].at, drafted.request.now
    query = f"select {at}::date, count(*) from drafted_{table} where {at} < timestamp '{now}' group by 1"
    return {day.toordinal(): count for day, count in drafted.query(query)}


def _midnight(day: int) -> datetime:
    return datetime.combine(date.fromordinal(day), datetime.min.time())


def find_complete_from(drafted: DraftedTables, begins: datetime) -> tuple[datetime, str] | None:
    """From when the tables are complete, if usage, invoices or departures begin later than subscriptions."""
    first = []
    for table, at in (("usage", "occurred_at"), ("invoices", "issued_at")):
        if table in drafted.rows:
            (instant,) = drafted.query(f"select quantile_disc({at}, {STRAY_SHARE}) from drafted_{table}")[0]
            first.append((instant, f"{table} begins here"))
    subscriptions = drafted.rows.get("subscriptions")
    if subscriptions and "ended_at" in subscriptions.source_columns:
        (instant,) = drafted.query(FIRST_DEPARTURE.format(subscriptions=running_subscriptions(drafted.query)))[0]
        first.append((instant, "the first account left here: who left before is not in the files"))
    latest, text = max((item for item in first if item[0]), default=(begins, ""))
    if latest - _first_snapshot(drafted, begins) < timedelta(days=LATE_DAYS):
        return None
    return latest.replace(
        hour=0, minute=0, second=0, microsecond=0
    ), f"{text}. Older rows count, older snapshots do not"


def _first_snapshot(drafted: DraftedTables, begins: datetime) -> datetime:
    """The first day that snapshots could have without `observed_from`: that of any account or subscription."""
    tables = [table for table in ("accounts", "subscriptions") if table in drafted.rows]
    firsts = [drafted.query(f"select min({CONTRACT[table].at}) from drafted_{table}")[0][0] for table in tables]
    return min([begins, *filter(None, firsts)])


def explain_until(span: ObservedSpan) -> str:
    """Why the data set ends where it does, or why its end is left open."""
    day = f"{span.until - timedelta(days=1):%Y-%m-%d}"
    last = f"{span.stopped} stops on {day}, before others" if span.stopped else f"the last day with events is {day}"
    if span.is_finished:
        return f"{last}, so that the extract seems finished. Remove the line if these files are updated"
    return f"{last}: the files seem to be updated, so that the end moves with them. A finished extract confirms it here"


def _note_future_rows(drafted: DraftedTables) -> None:
    now = drafted.request.now
    for table, raw in drafted.rows.items():
        at = raw.contract.at
        if at and at in raw.source_columns:
            later = drafted.query(f"select count(*) from drafted_{table} where {quote_name(at)} > timestamp '{now}'")[
                0
            ][0]
            if later:
                drafted.decisions.note(table, f"{later:,} rows are dated after today ({at}), and no label uses them")
