"""How fast signals are computed and joined, each against the plain way of doing it, with the values compared.

python benchmarks/features/signal_compute.py configs/datasets/crm5          (any folder with the files of crm5)
    --company FOLDER        computes on a simulated company too, of which some rows were recorded late

Computing: twelve signals of one day and of several, from the declarations, from SQL by hand, and from pandas group-bys.
Joining: snapshots x all signals through Feast, and through an ASOF join written by hand; each in a process of its own.
"""

import argparse
import json
import multiprocessing
import os
import platform
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import ibis
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from configs.sections.publishing import DataSettings, EngineSettings
from configs.settings import Settings
from configs.state_dir import StateDir, open_state_dir
from features.compute.backends.connect import open_backend
from features.compute.compute import ComputeRequest, compile_signals, compute_signals
from features.ingestion.reader import cast_tables, read_tables
from features.publishing.pipeline import PublishRequest, publish
from features.signals.base import Signal
from features.signals.registry import catalogue
from features.store.history import complete_days, published_history
from features.tables.dataset import read_dataset

Figures = dict[str, Any]
MAPPING = Path(__file__).parents[2] / "configs/datasets/crm5.toml"
COMPANY = MAPPING.with_name("simulated.toml")
COMPUTED_DAYS = tuple(datetime(2023, month, 1) for month in range(1, 7))
COMPANY_DAYS = tuple(datetime(2024 + month // 12, month % 12 + 1, 1) for month in range(7, 31))
DATA_ENDS = datetime(2023, 7, 1)
TWELVE = (
    "events_7d",
    "events_28d",
    "events_91d",
    "events_trend_28d",
    "active_days_28d",
    "active_days_91d",
    "event_types_28d",
    "days_since_event_182d",
    "daily_active_users_28d",
    "peak_daily_active_users_28d",
    "mrr",
    "tenure",
)
AS_THEY_ARE = """
name = "contract"
people = "counted"
[sources]
accounts = "accounts.parquet"
subscriptions = "subscriptions.parquet"
usage = "usage.parquet"
"""
SQL = """
with used as (
    select account_id,
           sum(quantity) filter (age <= 7) as events_7d,
           sum(quantity) filter (age <= 28) as events_28d,
           sum(quantity) filter (age <= 91) as events_91d,
           coalesce(sum(quantity) filter (age <= 28), 0)
             / nullif(sum(quantity) filter (age > 28 and age <= 56), 0) as events_trend_28d,
           count(distinct occurred_at::date) filter (age <= 28) as active_days_28d,
           count(distinct occurred_at::date) filter (age <= 91) as active_days_91d,
           count(distinct event) filter (age <= 28) as event_types_28d,
           min(age) as days_since_event_182d
    from (select *, date_diff('second', occurred_at, $as_of) / 86400 as age from read_parquet({usage})
          where occurred_at < $as_of and occurred_at >= $as_of - interval 182 day and event <> 'active_users' {known})
    group by account_id
), people as (
    select account_id, avg(quantity) as daily_active_users_28d, max(quantity) as peak_daily_active_users_28d
    from read_parquet({usage})
    where occurred_at < $as_of and occurred_at >= $as_of - interval 28 day and event = 'active_users' and quantity > 0
      {known}
    group by account_id
), billed as (
    select account_id, sum(mrr) filter (running) as mrr,
           max(date_diff('second', started_at, $as_of) / 86400) as tenure
    from (select *, ended_at is null or ended_at >= $as_of as running from read_parquet({subscriptions})
          where started_at < $as_of)
    group by account_id having bool_or(running)
)
select * replace (
    coalesce(events_7d, 0) as events_7d, coalesce(events_28d, 0) as events_28d, coalesce(events_91d, 0) as events_91d,
    coalesce(active_days_28d, 0) as active_days_28d, coalesce(active_days_91d, 0) as active_days_91d,
    coalesce(event_types_28d, 0) as event_types_28d)
from billed left join used using (account_id) left join people using (account_id)
"""
KNOWN = "and (recorded_at is null or recorded_at < $as_of)"
ASOF = """
select snapshots.account_id, snapshots.as_of, {columns}
from (select *, as_of at time zone 'UTC' as asked from snapshots) as snapshots
{joins}
"""


@dataclass(frozen=True)
class Ground:
    """What is computed on: the files of a data set that need no select of their own, and of which days."""

    name: str
    mapping: Path
    folder: Path
    days: tuple[datetime, ...]

    def files(self, table: str) -> list[Path]:
        """The files of a table."""
        return sorted(self.folder.glob(tomllib.loads(self.mapping.read_text())["sources"][table]))

    @property
    def is_recorded(self) -> bool:
        """Whether a row of usage says when it was recorded."""
        return "recorded_at" in pq.read_schema(self.files("usage")[0]).names


def write_tables(folder: Path, target: Path) -> Ground:
    """The files of crm5 as the contract's tables, usage in the order of time, the same start for every way."""
    dataset = read_dataset(DataSettings(dataset=MAPPING, folder=folder))
    for name, table in cast_tables(read_tables(open_backend(EngineSettings(), dataset), dataset)).items():
        rows = table.rows.select(*table.source_columns).order_by(str(table.contract.at))
        pq.write_table(rows.to_pyarrow(), target / f"{name}.parquet", row_group_size=200_000)
    mapping = target / "contract.toml"
    mapping.write_text(AS_THEY_ARE)
    return Ground("crm5", mapping, target, COMPUTED_DAYS)


def declared(ground: Ground) -> list[pd.DataFrame]:
    """The twelve signals of every day, from the declarations."""
    dataset = read_dataset(DataSettings(dataset=ground.mapping, folder=ground.folder))
    backend = open_backend(EngineSettings(), dataset)
    rows_on = compile_signals(
        backend, cast_tables(read_tables(backend, dataset)), ComputeRequest(tuple(_twelve()), ground.days)
    )
    return [rows_on(day).to_pandas() for day in ground.days]


def translated(ground: Ground) -> str:
    """The query that the declarations become, not run: a cost that grows neither with the data nor with the days."""
    dataset = read_dataset(DataSettings(dataset=ground.mapping, folder=ground.folder))
    tables = cast_tables(read_tables(open_backend(EngineSettings(), dataset), dataset))
    return str(ibis.to_sql(compute_signals(tables, tuple(_twelve()), ground.days[0]), dialect="duckdb"))


def _twelve() -> Iterator[Signal]:
    return (signal for signal in catalogue() if signal.name in TWELVE)


def by_hand(ground: Ground) -> list[pd.DataFrame]:
    """The same from one SQL query a day, as one would write it for these tables and signals alone."""
    connection = duckdb.connect()
    files = {table: [str(file) for file in ground.files(table)] for table in ("usage", "subscriptions")}
    query = SQL.format(**files, known=KNOWN if ground.is_recorded else "")
    return [connection.execute(query, {"as_of": day}).df() for day in ground.days]


def by_pandas(ground: Ground) -> list[pd.DataFrame]:
    """The same from pandas group-bys, the files read once."""
    columns = ["account_id", "event", "occurred_at", "quantity", *(["recorded_at"] if ground.is_recorded else [])]
    usage = pd.concat([pd.read_parquet(file, columns=columns) for file in ground.files("usage")])
    people = usage[(usage.event == "active_users") & (usage.quantity > 0)]
    events = usage[usage.event != "active_users"]
    billed = pd.concat([pd.read_parquet(file) for file in ground.files("subscriptions")])
    return [_in_pandas(_rows_before(events, day), _rows_before(people, day), billed, day) for day in ground.days]


def _rows_before(rows: pd.DataFrame, day: datetime) -> pd.DataFrame:
    # The longest window is half a year: to look for it once makes each of the shorter ones cheaper.
    rows = rows[(rows.occurred_at < day) & (rows.occurred_at >= day - timedelta(days=182))]
    return rows[~(rows.recorded_at >= day)] if "recorded_at" in rows else rows


def _in_pandas(events: pd.DataFrame, people: pd.DataFrame, billed: pd.DataFrame, day: datetime) -> pd.DataFrame:
    started = billed[billed.started_at < day]
    running = started[started.ended_at.isna() | (started.ended_at >= day)]
    rows = pd.DataFrame(index=pd.Index(running.account_id.unique(), name="account_id"))
    rows["mrr"] = running.groupby("account_id").mrr.sum()
    rows["tenure"] = _days(day - started.groupby("account_id").started_at.min())
    recent = people[people.occurred_at >= day - timedelta(days=28)]
    rows["daily_active_users_28d"] = recent.groupby("account_id").quantity.mean()
    rows["peak_daily_active_users_28d"] = recent.groupby("account_id").quantity.max()
    return _usage_in_pandas(rows, events, day).reset_index()


def _usage_in_pandas(rows: pd.DataFrame, usage: pd.DataFrame, day: datetime) -> pd.DataFrame:
    last = {days: usage[usage.occurred_at >= day - timedelta(days=days)] for days in (7, 28, 56, 91)}
    for days in (7, 28, 91):
        rows[f"events_{days}d"] = last[days].groupby("account_id").quantity.sum()
    month_before = last[56][last[56].occurred_at < day - timedelta(days=28)].groupby("account_id").quantity.sum()
    rows["events_trend_28d"] = rows.events_28d.fillna(0) / month_before.replace(0, np.nan)
    for days in (28, 91):
        days_used = last[days].occurred_at.dt.floor("D")
        rows[f"active_days_{days}d"] = days_used.groupby(last[days].account_id).nunique()
    rows["event_types_28d"] = last[28].groupby("account_id").event.nunique()
    rows["days_since_event_182d"] = _days(day - usage.groupby("account_id").occurred_at.max())
    counts = ["events_7d", "events_28d", "events_91d", "active_days_28d", "active_days_91d", "event_types_28d"]
    return rows.fillna(dict.fromkeys(counts, 0))


def _days(spans: pd.Series) -> pd.Series:
    return spans.dt.total_seconds() / 86_400


def through_feast(settings: Settings, state: StateDir, snapshots: pd.DataFrame) -> pd.DataFrame:
    """All signals of the snapshots, as training reads them."""
    from features.store.feast_store import open_store, read_historical_signals

    return read_historical_signals(open_store(state, settings.name), snapshots)


def through_feasts_own(settings: Settings, state: StateDir, snapshots: pd.DataFrame) -> pd.DataFrame:
    """The same with the offline store on DuckDB that Feast brings, from the same registry and files."""
    from feast import FeatureStore, RepoConfig

    from features.store.feast_store import read_historical_signals

    store = FeatureStore(
        config=RepoConfig(
            project=settings.name,
            provider="local",
            registry=str(state.feast / "registry.db"),
            offline_store={"type": "duckdb"},
            online_store={"type": "sqlite", "path": str(state.feast / "none.db")},
            entity_key_serialization_version=3,
        )
    )
    return read_historical_signals(store, snapshots)


def through_asof(settings: Settings, state: StateDir, snapshots: pd.DataFrame) -> pd.DataFrame:
    """The same from the same files, by an ASOF join per family."""
    del settings
    history, _ = published_history(state)
    columns = ", ".join(signal.name for signal in history.signals)
    joins = "\n".join(
        f"asof left join (from '{history.family_files(family)}') as {family}"
        f" on {family}.account_id = snapshots.account_id and {family}.event_timestamp <= asked"
        for family in history.families
    )
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.register("snapshots", snapshots)
    return connection.execute(ASOF.format(columns=columns, joins=joins)).df()


def measure_computing(ground: Ground, repeats: int) -> Figures:
    """The best seconds of each way, their ratios, and how many values were compared; AssertionError where they differ.

    The ways take turns, and ratios are of processor seconds: both keep other work on the machine out of the figures.
    """
    ways = {"declared": declared, "sql": by_hand, "pandas": by_pandas}
    runs = [{method: _timed(work, ground) for method, work in ways.items()} for _ in range(repeats)]
    translating = [_timed(translated, ground)[0] for _ in range(repeats)]
    for method in ways:
        for expected, actual in zip(runs[0]["declared"][1], runs[0][method][1], strict=True):
            _assert_same(expected.set_index("account_id"), actual.set_index("account_id")[[*TWELVE]])
    best: Figures = {
        method: {unit: min(run[method][0][unit] for run in runs) for unit in ("wall", "processor")} for method in ways
    }
    ratios = {unit: _ratios({method: best[method][unit] for method in ways}) for unit in ("wall", "processor")}
    compared = sum(len(table) for table in runs[0]["declared"][1]) * len(TWELVE)
    best["of which translating"] = {unit: min(run[unit] for run in translating) for unit in ("wall", "processor")}
    return {"ground": ground.name, "days": len(ground.days), "seconds": best, "ratios": ratios, "values": compared}


def _ratios(seconds: dict[str, float]) -> dict[str, float]:
    return {
        "to_sql": seconds["declared"] / seconds["sql"],
        "pandas_to_ours": seconds["pandas"] / seconds["declared"],
    }


def _timed(work: Callable[[Ground], Any], ground: Ground) -> tuple[dict[str, float], Any]:
    wall, processor = time.perf_counter(), time.process_time()
    tables = work(ground)
    return {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}, tables


def measure_joining(folder: Path, snapshots: int) -> Figures:
    """Seconds and peak memory of the joins, each in a process of its own; AssertionError where values differ."""
    with tempfile.TemporaryDirectory() as temporary:
        settings = Settings(name="benchmark", state=Path(temporary), data=DataSettings(dataset=MAPPING, folder=folder))
        state = open_state_dir(settings)
        publish(settings, state, PublishRequest(DATA_ENDS), lambda *_: None)
        keys = sampled(state, snapshots)
        own_cost, values = _in_own_process(through_feast, settings, state, keys)
        keys = ["account_id", "as_of"]
        costs = {"through feast": own_cost}
        for method, work in {"ASOF by hand": through_asof, "feast's own store": through_feasts_own}.items():
            costs[method], others = _in_own_process(work, settings, state, keys)
            _assert_same(values.set_index(keys), others.set_index(keys)[[*values.columns.drop(keys)]])
    signals = len(values.columns) - len(keys)
    return {
        "costs": costs,
        "to_asof": own_cost["processor"] / costs["ASOF by hand"]["processor"],
        "own_to_ours": costs["feast's own store"]["processor"] / own_cost["processor"],
        "signals": signals,
        "values": values[keys[0]].size * signals,
    }


def sampled(state: StateDir, snapshots: int) -> pd.DataFrame:
    """Accounts on days of which most were never published, so that a join has to look back."""
    history, _ = published_history(state)
    days = pd.date_range(complete_days(history)[0], DATA_ENDS, freq="D")
    accounts = (
        duckdb.sql(f"select distinct account_id from '{history.family_files('billing')}' order by 1").df().account_id
    )
    chance = np.random.default_rng(7)
    pairs = chance.choice(len(accounts) * len(days), min(snapshots, len(accounts) * len(days)), replace=False)
    rows = {"account_id": accounts.to_numpy()[pairs // len(days)], "as_of": days.to_numpy()[pairs % len(days)]}
    return pd.DataFrame(rows).astype({"as_of": "datetime64[us]"})


def _in_own_process(work: Callable[..., pd.DataFrame], *arguments: object) -> tuple[dict[str, float], pd.DataFrame]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_with_cost, (work, *arguments))


def _with_cost(work: Callable[..., pd.DataFrame], *arguments: object) -> tuple[dict[str, float], pd.DataFrame]:
    from feast import FeatureStore

    del FeatureStore  # importing Feast takes longer than a join, and is no part of it
    begun, processor = time.perf_counter(), time.process_time()
    rows = work(*arguments)
    cost = {"seconds": time.perf_counter() - begun, "processor": time.process_time() - processor}
    # `ru_maxrss` would be that of the process which started this one.
    (peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return {**cost, "peak_megabytes": int(peak.split()[1]) / 1024}, rows


def _assert_same(actual: pd.DataFrame, expected: pd.DataFrame) -> None:
    first, second = (frame.sort_index(axis="columns").sort_index() for frame in (actual, expected))
    pd.testing.assert_frame_equal(first, second, check_dtype=False, rtol=1e-9, atol=0)


def machine() -> Figures:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    packages = {name: version(name) for name in ("duckdb", "ibis-framework", "pandas", "feast")}
    facts = {"processors": os.cpu_count(), "memory_gigabytes": round(memory), "load": round(os.getloadavg()[0], 1)}
    return {"system": platform.platform(), **facts, "python": platform.python_version(), **packages}


def show(measured: Figures, console: Console) -> None:
    """The measurement as tables for people."""
    joining = measured["joining"]
    for computing in measured["computing"]:
        _show_computing(console, computing)
    title = f"{measured['snapshots']:,} snapshots x {joining['signals']} signals"
    table = Table("join", "seconds", "processor seconds", "peak MB", title=title, title_justify="left")
    for method, cost in joining["costs"].items():
        table.add_row(method, f"{cost['seconds']:.2f}", f"{cost['processor']:.2f}", f"{cost['peak_megabytes']:,.0f}")
    console.print(table)
    console.print(
        f"{joining['values']:,} values, all equal. Through Feast takes {joining['to_asof']:.2f}x the ASOF join"
    )
    console.print(f"by hand; Feast's own store takes {joining['own_to_ours']:.1f}x ours.")
    console.print(", ".join(f"{name} {fact}" for name, fact in measured["machine"].items()))


def _show_computing(console: Console, computing: Figures) -> None:
    title = f"{computing['ground']}: {len(TWELVE)} signals of {computing['days']} days"
    table = Table("way", "seconds", "processor seconds", title=title, title_justify="left")
    for method, seconds in computing["seconds"].items():
        table.add_row(method, f"{seconds['wall']:.2f}", f"{seconds['processor']:.2f}")
    console.print(table)
    console.print(f"{computing['values']:,} values, all equal.")
    for unit, label in (("processor", "In processor seconds"), ("wall", "By the clock")):
        ratios = computing["ratios"][unit]
        console.print(
            f"{label} ours takes {ratios['to_sql']:.2f}x the SQL by hand, pandas {ratios['pandas_to_ours']:.1f}x ours."
        )


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--company", type=Path, nargs="+", default=[])
    parser.add_argument("--snapshots", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # DuckDB draws its progress on standard output
    folder = arguments.folder.resolve()
    companies = [
        Ground(ground.name + " simulated accounts", COMPANY, ground.resolve(), COMPANY_DAYS)
        for ground in arguments.company
    ]
    with tempfile.TemporaryDirectory() as tables:
        grounds = [write_tables(folder, Path(tables)), *companies]
        both = [ground for ground in grounds for ground in (replace(ground, days=ground.days[-1:]), ground)]
        computing = [measure_computing(ground, arguments.repeats) for ground in both]
    joining = measure_joining(folder, arguments.snapshots)
    measured = {"computing": computing, "joining": joining, "snapshots": arguments.snapshots, "machine": machine()}
    answers.write(json.dumps(measured, indent=1) + "\n") if arguments.json else show(measured, Console(file=answers))


if __name__ == "__main__":
    main()
