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
UNTOLD = {"all": (), "unnamed": ("user_id",), "unrecorded": ("recorded_at",), "neither": ("user_id", "recorded_at")}
ARROW_TYPES = {"string": pa.string(), "float64": pa.float64(), "timestamp": pa.timestamp("us"), "boolean": pa.bool_()}


def _opened(folder: Path, untold: tuple[str, ...]) -> tuple[Backend, dict[str, RawTable], tuple[Signal, ...]]:
    """A company whose usage lacks these columns, and the signals made of what is left of it."""
    for name, rows in random_company(10, accounts=25).items():
        columns = {one: ARROW_TYPES[IBIS_TYPES[what.type]] for one, what in CONTRACT[name].columns.items()}
        kept = [(one, kind) for one, kind in columns.items() if name != "usage" or one not in untold]
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(kept)), folder / f"{name}.parquet")
    people = "counted" if "user_id" in untold else "named"
    sources = "\n".join(f'{name} = "{name}.parquet"' for name in CONTRACT)
    (folder / "company.toml").write_text(f'name = "company"\npeople = "{people}"\n[sources]\n{sources}\n')
    dataset = read_dataset(DataSettings(dataset=folder / "company.toml"))
    engine = open_backend(EngineSettings(threads=1), dataset)
    tables = cast_tables(read_tables(engine, dataset))
    of_usage = tuple(one for one in catalogue() if source_table(one.inputs[0]) == "usage")
    return engine, tables, available_signals(tables, of_usage, dataset.mapping.people)


def _values(rows: pa.Table) -> dict[str, dict]:
    return {row.pop("account_id"): row for row in rows.to_pylist()}


@pytest.mark.parametrize("days", [MONTHS, WEEKS, DAYS, [*MONTHS[3:], *MONTHS[:2]]], ids=str)
@pytest.mark.parametrize("untold", UNTOLD.values(), ids=UNTOLD)
def test_days_that_share_what_was_read_have_the_signals_of_each_alone(tmp_path: Path, untold: tuple[str, ...], days):
    engine, tables, signals = _opened(tmp_path, untold)
    rows_on = compile_signals(engine, tables, ComputeRequest(signals, days))
    for as_of in days:
        alone = _values(compute_signals(tables, signals, as_of).to_pyarrow())
        assert len(alone) > 3
        assert find_differences(_values(rows_on(as_of)), alone) == []


def _kept(folder: Path, days: list[datetime], windows: set[int | None]) -> set[str]:
    engine, tables, signals = _opened(folder, ())
    read = {one.inputs[0]: one.days for one in signals if one.days in windows}
    return set(keep_usage(engine, tables, read, days)[0])


def test_it_keeps_what_several_days_read(tmp_path: Path):
    assert _kept(tmp_path, MONTHS, {182}) == {USAGE_BY_DAY.name, *PERIOD_TABLES}


@pytest.mark.parametrize(
    ("days", "windows"), [([AS_OF], {182}), (MONTHS, {7, 28})], ids=["one day", "windows shorter than a month"]
)
def test_it_keeps_nothing_that_is_read_once(tmp_path: Path, days: list[datetime], windows: set[int | None]):
    assert _kept(tmp_path, days, windows) == set()


def test_it_holds_only_what_the_day_at_hand_looks_back_on(tmp_path: Path):
    engine, tables, _ = _opened(tmp_path, ())
    kept, hold = keep_usage(engine, tables, {"usage_days": 56}, MONTHS)
    rows = kept[USAGE_BY_DAY.name].rows
    for as_of in MONTHS:
        hold(as_of)
        # What is let go is a month at a time.
        assert rows.day.min().to_pyarrow().as_py() >= (as_of - timedelta(days=56 + 31)).date()
        assert rows.day.max().to_pyarrow().as_py() < as_of.date()
