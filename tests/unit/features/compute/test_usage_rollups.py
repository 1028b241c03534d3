"""The look-back: a day has the same signals whether usage is kept from the days before or read for it alone."""

from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.settings import DataSettings, EngineSettings
from features.compute.backends.base import Backend
from features.compute.backends.connect import open_backend
from features.compute.compute import ComputeRequest, available_signals, compile_signals, compute_signals
from features.compute.usage_rollups import keep_usage
from features.ingestion.reader import cast_tables, read_tables
from features.signals.base import Signal
from features.signals.registry import catalogue, source_table
from features.tables.contract import CONTRACT
from features.tables.derived import PERIOD_TABLES, USAGE_BY_DAY
from features.tables.mapping import read_dataset
from features.tables.raw_table import IBIS_TYPES, RawTable
from tests.support.random_companies import AS_OF, random_company
from tests.support.value_differences import find_differences

MONTHS = [datetime(2024, month, 1) for month in range(1, 8)]
WEEKS = [AS_OF - timedelta(weeks=number) for number in reversed(range(6))]
DAYS = [AS_OF - timedelta(days=number) for number in reversed(range(5))]
# What a source may not tell: who it was, when it was recorded.
MISSING_COLUMNS = {
    "all": (),
    "unnamed": ("user_id",),
    "unrecorded": ("recorded_at",),
    "neither": ("user_id", "recorded_at"),
}
ARROW_TYPES = {"string": pa.string(), "float64": pa.float64(), "timestamp": pa.timestamp("us"), "boolean": pa.bool_()}


def _open_company(folder: Path, missing: tuple[str, ...]) -> tuple[Backend, dict[str, RawTable], tuple[Signal, ...]]:
    """A company whose usage lacks these columns, and the signals made of what is left of it."""
    for name, rows in random_company(10, accounts=25).items():
        columns = {
            column_name: ARROW_TYPES[IBIS_TYPES[column.type]] for column_name, column in CONTRACT[name].columns.items()
        }
        fields = [
            (column_name, kind)
            for column_name, kind in columns.items()
            if name != "usage" or column_name not in missing
        ]
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(fields)), folder / f"{name}.parquet")
    people = "counted" if "user_id" in missing else "named"
    sources = "\n".join(f'{name} = "{name}.parquet"' for name in CONTRACT)
    (folder / "company.toml").write_text(f'name = "company"\npeople = "{people}"\n[sources]\n{sources}\n')
    dataset = read_dataset(DataSettings(dataset=folder / "company.toml"))
    backend = open_backend(EngineSettings(threads=1), dataset)
    tables = cast_tables(read_tables(backend, dataset))
    of_usage = tuple(signal for signal in catalogue() if source_table(signal.inputs[0]) == "usage")
    return backend, tables, available_signals(tables, of_usage, dataset.mapping.people)


def _values(rows: pa.Table) -> dict[str, dict]:
    return {row.pop("account_id"): row for row in rows.to_pylist()}


@pytest.mark.parametrize("days", [MONTHS, WEEKS, DAYS, [*MONTHS[3:], *MONTHS[:2]]], ids=str)
@pytest.mark.parametrize("missing", MISSING_COLUMNS.values(), ids=MISSING_COLUMNS)
def test_days_that_share_what_was_read_have_the_signals_of_each_alone(tmp_path: Path, missing: tuple[str, ...], days):
    backend, tables, signals = _open_company(tmp_path, missing)
    rows_on = compile_signals(backend, tables, ComputeRequest(signals, days))
    for as_of in days:
        expected = _values(compute_signals(tables, signals, as_of).to_pyarrow())
        assert len(expected) > 3
        assert find_differences(_values(rows_on(as_of)), expected) == []


def _kept_tables(folder: Path, days: list[datetime], windows: set[int | None]) -> set[str]:
    backend, tables, signals = _open_company(folder, ())
    read = {signal.inputs[0]: signal.days for signal in signals if signal.days in windows}
    return set(keep_usage(backend, tables, read, days)[0])


def test_it_keeps_what_several_days_read(tmp_path: Path):
    assert _kept_tables(tmp_path, MONTHS, {182}) == {USAGE_BY_DAY.name, *PERIOD_TABLES}


@pytest.mark.parametrize(
    ("days", "windows"), [([AS_OF], {182}), (MONTHS, {7, 28})], ids=["one day", "windows shorter than a month"]
)
def test_it_keeps_nothing_that_is_read_once(tmp_path: Path, days: list[datetime], windows: set[int | None]):
    assert _kept_tables(tmp_path, days, windows) == set()


def test_it_holds_only_what_the_day_at_hand_looks_back_on(tmp_path: Path):
    backend, tables, _ = _open_company(tmp_path, ())
    tables_kept, hold = keep_usage(backend, tables, {"usage_days": 56}, MONTHS)
    rows = tables_kept[USAGE_BY_DAY.name].rows
    for as_of in MONTHS:
        hold(as_of)
        # What is let go is a month at a time.
        assert rows.day.min().to_pyarrow().as_py() >= (as_of - timedelta(days=56 + 31)).date()
        assert rows.day.max().to_pyarrow().as_py() < as_of.date()
