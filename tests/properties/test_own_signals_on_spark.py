"""Own signals have the same values on DuckDB and on Spark: of events, account columns, attributes and Python."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.compute.compute import ComputeRequest, compile_signals, compute_signals
from features.own_signals.own_catalogue import own_signals_of
from features.publishing.open_dataset import OpenDataset
from tests.support.companies.edge_case_company import ACCOUNTS, AS_OF, write_company
from tests.support.companies.two_engines import SPARK, by_account, needs_spark, open_company
from tests.support.companies.value_differences import find_differences

DAYS = [AS_OF - timedelta(days=40), AS_OF]
TABLES = """[tables]
usage = "select *, quantity * 1.5 as minutes, case when quantity > 1 then 7.0 end as rows_exported from usage"
accounts = '''select *, length(account_id) as plan_limit, account_id like '%e%' as is_beta, country as region
from accounts'''
attributes = "select account_id, name, value, recorded_at from attribute_rows"
[tables.calls]
select = "select account_id, ticket_id as call_id, opened_at as called_at, resolved_at as closed_at from tickets"
key = ["call_id"]
time = "called_at"
[tables.calls.columns]
call_id = "text"
called_at = "instant"
closed_at = "instant"
"""
SETTINGS = """
[signals]
modules = ["mine.py"]
per_event_kind = 2
[[signals.events]]
name = "both"
event = ["login", "export"]
windows = [7, 28, 91]
measures = ["count", "users", "days_since", "trend", "share", "sum", "mean"]
of = "minutes"
[[signals.events]]
name = "logins"
event = "login"
windows = [28]
measures = ["sum", "mean"]
of = "rows_exported"
[[signals.attributes]]
name = "plan_limit"
kind = "number"
[[signals.attributes]]
name = "is_beta"
kind = "flag"
[[signals.attributes]]
name = "region"
kind = "category"
[[signals.attributes]]
name = "grade"
kind = "category"
by_time = true
[[signals.attributes]]
name = "limit_then"
kind = "number"
by_time = true
[[signals.attributes]]
name = "pilot"
kind = "flag"
by_time = true
"""
MODULE = '''
from features.signals.base import signal

@signal(unit="calls", days=(28, 91), empty=0, family="relationship")
def calls_made(calls, days):
    """Calls in the last {days} days."""
    return calls.count(where=calls.days_ago <= days)

@signal(unit="days", family="relationship")
def longest_open_call(calls):
    """Days that the longest open call has been open."""
    return calls.called_at_age.max(where=calls.closed_at.isnull())

@signal(unit="calls per ticket", days=(91,), family="relationship")
def calls_per_event(calls_made, both_minutes, days):
    """Calls by minute of use in the last {days} days."""
    return calls_made / both_minutes.nullif(0)
'''


def _open(folder: Path, engine: str = "") -> OpenDataset:
    mapping = write_company(folder)
    texts = {"grade": ("A", "B", None), "limit_then": ("10", "2.5", "7"), "pilot": ("true", "0", "FALSE")}
    rows = [
        {"account_id": account, "name": name, "value": value, "recorded_at": AS_OF - timedelta(days=50 - 25 * number)}
        for account in ACCOUNTS[:-2]
        for name, values in texts.items()
        for number, value in enumerate(values)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "attribute_rows.parquet")
    sources = mapping.read_text() + 'attribute_rows = "attribute_rows.parquet"\n'
    mapping.write_text(sources + TABLES)
    (folder / "mine.py").write_text(MODULE)
    return open_company(mapping, engine + SETTINGS)


def test_every_declared_signal_has_a_value_for_some_account(tmp_path: Path):
    opened = _open(tmp_path)
    signals, names = own_signals_of(opened.catalogue)
    values = by_account(compute_signals(opened.tables, signals, AS_OF).to_pyarrow())
    assert len(names) > 30
    assert [name for name in sorted(names) if all(row[name] is None for row in values.values())] == []


@pytest.mark.slow
@needs_spark
def test_spark_gives_the_same_values(tmp_path: Path):
    opened, on_spark = _open(tmp_path / "duckdb"), _open(tmp_path / "spark", SPARK)
    signals, _ = own_signals_of(opened.catalogue)
    rows_on = compile_signals(on_spark.backend, on_spark.tables, ComputeRequest(signals, DAYS))
    for day in DAYS:
        expected = by_account(compute_signals(opened.tables, signals, day).to_pyarrow())
        assert find_differences(by_account(rows_on(day)), expected) == []
