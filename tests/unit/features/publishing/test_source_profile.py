"""The profile of the sources counts what each table held in each week, as the week was known when it ended."""

from datetime import datetime, timedelta

import ibis
import pyarrow as pa

from features.publishing.source_profile import profile_sources
from features.publishing.source_weeks import SourceWeek
from features.tables.contract import CONTRACT
from features.tables.raw_table import RawTable

AS_OF = datetime(2024, 7, 1)


def profile_usage(rows: list[tuple[str, str | None, int]]) -> tuple[SourceWeek, ...]:
    """The weeks of usage, from the account, the event and the age in days of each row."""
    events = [
        {"account_id": account, "event": event, "occurred_at": AS_OF - timedelta(days=age), "quantity": 1.0}
        for account, event, age in rows
    ]
    table = ibis.memtable(pa.Table.from_pylist(events))
    return profile_sources({"usage": RawTable(CONTRACT["usage"], table, frozenset(table.columns))}, AS_OF)["usage"]


def test_the_words_of_a_week_are_counted_by_account_without_rare_ones():
    opened = [(f"A{number}", "open", age) for number in range(6) for age in (1, 2, 9)]
    rare = [(f"A{number}", "export", 1) for number in range(4)]
    newest, before = profile_usage([*opened, *rare, ("A0", None, 3)])
    assert newest.words == {"event": {"open": 6}}
    assert before.words == {"event": {"open": 6}}
    assert newest.rows == 17


def test_the_rows_of_a_week_are_counted_by_how_late_they_were_recorded():
    # (age of the row, age of its recording) in days
    ages = [(1, 1), (9, 9), (9, 7), (9, 4), (10, 1), (37, 7), (9, None)]
    events = [
        {
            "account_id": f"A{number}",
            "event": "open",
            "occurred_at": AS_OF - timedelta(days=happened),
            "quantity": 1.0,
            "recorded_at": None if recorded is None else AS_OF - timedelta(days=recorded),
        }
        for number, (happened, recorded) in enumerate(ages)
    ]
    table = ibis.memtable(pa.Table.from_pylist(events))
    raw = RawTable(CONTRACT["usage"], table, frozenset(table.columns))
    newest, before = profile_sources({"usage": raw}, AS_OF)["usage"]
    assert newest.recorded == {3: 1, 7: 1, 14: 1, 28: 1}
    assert before.recorded == {3: 2, 7: 3, 14: 4, 28: 4}


def test_without_a_time_of_recording_no_row_is_late():
    assert [week.recorded for week in profile_usage([("A1", "open", 1), ("A1", "open", 9)])] == [{}, {}]
