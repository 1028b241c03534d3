"""A day has the same signals whether they come from rollups of all days or from the events alone."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.sections.publishing import DataSettings, EngineSettings
from features.compute.availability import available_signals
from features.compute.backends.base import Backend
from features.compute.backends.connect import open_backend
from features.compute.compute import ComputeRequest, compile_signals, compute_signals
from features.compute.usage_rollups import RollupPlan, rollup_aggregates, usage_calendar
from features.ingestion.reader import cast_tables, read_tables
from features.own_signals.generated_tables import AS_OF
from features.signals.base import Signal
from features.signals.registry import catalogue
from features.tables.contract import CONTRACT
from features.tables.dataset import read_dataset
from features.tables.derived import PERIOD_TABLES, USAGE_BY_DAY
from features.tables.raw_table import IBIS_TYPES, RawTable
from tests.support.companies.random_companies import random_company
from tests.support.companies.value_differences import find_differences

MONTHS = [datetime(2024, month, 1) for month in range(1, 8)]
WEEKS = [AS_OF - timedelta(weeks=number) for number in reversed(range(6))]
DAYS = [AS_OF - timedelta(days=number) for number in reversed(range(5))]
MISSING = {"none": (), "users": ("user_id",), "recording": ("recorded_at",), "both": ("user_id", "recorded_at")}
ARROW_TYPES = {"string": pa.string(), "float64": pa.float64(), "timestamp": pa.timestamp("us"), "boolean": pa.bool_()}


@dataclass(frozen=True)
class UsageCompany:
    """A company's tables, the signals that its usage has columns for, and their values on the days that were needed."""

    backend: Backend
    tables: dict[str, RawTable]
    signals: tuple[Signal, ...]
    values: dict[datetime, dict[str, dict]] = field(default_factory=dict)

    def values_on(self, as_of: datetime) -> dict[str, dict]:
        """The values on one day, computed from the events alone."""
        if as_of not in self.values:
            self.values[as_of] = _values(compute_signals(self.tables, self.signals, as_of).to_pyarrow())
        return self.values[as_of]


@pytest.fixture(scope="module")
def usage_company(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], UsageCompany]:
    """The company whose usage lacks what the name says, opened once."""
    return cache(lambda missing: _open(tmp_path_factory.mktemp("usage"), MISSING[missing]))


def _open(folder: Path, missing: tuple[str, ...]) -> UsageCompany:
    """A company whose usage lacks these columns, and the signals that its usage still has columns for."""
    for name, rows in random_company(10, accounts=25).items():
        types = {column: ARROW_TYPES[IBIS_TYPES[declared.type]] for column, declared in CONTRACT[name].columns.items()}
        fields = [(column, kind) for column, kind in types.items() if name != "usage" or column not in missing]
        pq.write_table(pa.Table.from_pylist(rows, pa.schema(fields)), folder / f"{name}.parquet")
    people = "counted" if "user_id" in missing else "named"
    sources = "\n".join(f'{name} = "{name}.parquet"' for name in CONTRACT)
    (folder / "company.toml").write_text(f'name = "company"\npeople = "{people}"\n[sources]\n{sources}\n')
    dataset = read_dataset(DataSettings(dataset=folder / "company.toml"))
    backend = open_backend(EngineSettings(threads=1), dataset)
    tables = cast_tables(read_tables(backend, dataset))
    of_usage = tuple(signal for signal in catalogue() if signal.table and signal.table.source == "usage")
    return UsageCompany(backend, tables, available_signals(tables, of_usage, dataset.mapping.people))


def _values(rows: pa.Table) -> dict[str, dict]:
    return {row.pop("account_id"): row for row in rows.to_pylist()}


@pytest.mark.parametrize(
    ("missing", "days"),
    [
        ("both", MONTHS[:4]),
        *(pytest.param(missing, MONTHS[:4], marks=pytest.mark.slow) for missing in ("users", "recording")),
        pytest.param("none", MONTHS, marks=pytest.mark.slow),
        *(("none", days) for days in (WEEKS[::2], DAYS[::2], [*MONTHS[3:6], *MONTHS[:2]])),
    ],
    ids=str,
)
def test_days_with_rollups_have_the_signals_of_single_days(
    usage_company: Callable[[str], UsageCompany], missing: str, days: list[datetime]
):
    company = usage_company(missing)
    rows_on = compile_signals(company.backend, company.tables, ComputeRequest(company.signals, days))
    for as_of in days:
        expected = company.values_on(as_of)
        assert len(expected) > 3
        assert find_differences(_values(rows_on(as_of)), expected) == []


def _rollups(folder: Path, days: list[datetime], windows: set[int | None]) -> set[str]:
    company = _open(folder, ())
    lookbacks = {signal.inputs[0]: signal.days for signal in company.signals if signal.days in windows}
    plan = RollupPlan(days, {name: lookback for name, lookback in lookbacks.items() if lookback is not None})
    return {name for name, _ in rollup_aggregates(company.tables["usage"], plan)}


def test_several_overlapping_days_have_rollups(tmp_path: Path):
    assert _rollups(tmp_path, MONTHS, {182}) == {USAGE_BY_DAY.name, *PERIOD_TABLES}


@pytest.mark.parametrize(
    ("days", "windows"), [([AS_OF], {182}), (MONTHS, {7, 28})], ids=["one day", "windows shorter than a month"]
)
def test_days_that_do_not_overlap_have_no_rollups(tmp_path: Path, days: list[datetime], windows: set[int | None]):
    assert _rollups(tmp_path, days, windows) == set()


def test_the_calendar_has_periods_and_next_snapshots():
    rows = usage_calendar(RollupPlan([datetime(2024, 3, 1), datetime(2024, 4, 1)], {"usage_kinds": 30})).to_pylist()
    assert len(rows) == 61
    assert [row["day"] for row in rows if row["day"] == row["since"].date()] == [
        datetime(2024, month, day).date() for month, day in ((1, 31), (2, 2), (3, 1), (3, 2), (3, 4))
    ]
    assert {row["next_snapshot"] for row in rows[:30]} == {datetime(2024, 3, 1)}
    assert {row["next_snapshot"] for row in rows[30:]} == {datetime(2024, 4, 1)}
