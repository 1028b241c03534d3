"""How fast signals are computed and joined, each against the plain way of doing it, with the values compared.

python benchmarks/signals.py configs/datasets/crm5          (any folder with the files of crm5)

Computing: twelve signals of a few days, from the declarations, from SQL written by hand, and from pandas group-bys.
Joining: snapshots x all signals through Feast, and through an ASOF join written by hand; each in a process of its own.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from configs.settings import DataSettings, EngineSettings, Settings
from configs.state import State, open_state
from features.catalogue import catalogue
from features.compute import compute
from features.dataset import read_dataset
from features.engine import open_engine
from features.history import complete_days
from features.publish import Days, publish, published_edition
from features.reading import clean, read_tables

MAPPING = Path(__file__).parent.parent / "configs/datasets/crm5.toml"
COMPUTED_DAYS = [datetime(2023, month, 1) for month in range(1, 7)]
DATA_ENDS = datetime(2023, 7, 1)
TWELVE = (
    "events_7d",
    "events_28d",
    "events_91d",
    "events_trend_28d",
    "active_days_28d",
    "active_days_91d",
    "event_kinds_28d",
    "days_since_event_182d",
    "active_users_28d",
    "peak_active_users_28d",
    "mrr",
    "tenure",
)
SQL = """
with used as (
    select account_id,
           coalesce(sum(n_events) filter (age <= 7), 0) as events_7d,
           coalesce(sum(n_events) filter (age <= 28), 0) as events_28d,
           coalesce(sum(n_events) filter (age <= 91), 0) as events_91d,
           coalesce(sum(n_events) filter (age <= 28), 0)
             / nullif(sum(n_events) filter (age > 28 and age <= 56), 0) as events_trend_28d,
           count(distinct event_date::date) filter (age <= 28) as active_days_28d,
           count(distinct event_date::date) filter (age <= 91) as active_days_91d,
           count(distinct event_type_id) filter (age <= 28) as event_kinds_28d,
           min(age) as days_since_event_182d
    from (select *, date_diff('second', event_date::timestamp, $as_of) / 86400 as age
          from '{folder}/event_daily.parquet'
          where event_date < $as_of and event_date >= $as_of - interval 182 day)
    group by account_id
), people as (
    select account_id, avg(active_users) as active_users_28d, max(active_users) as peak_active_users_28d
    from '{folder}/active_users_daily.parquet'
    where date < $as_of and date >= $as_of - interval 28 day and active_users > 0
    group by account_id
), billed as (
    select account_id, sum(mrr * (1 - discount)) filter (running) as mrr,
           max(date_diff('second', start_date::timestamp, $as_of) / 86400) as tenure
    from (select *, least(end_date, left_at) >= $as_of as running
          from '{folder}/subscription.parquet'
          join (select account_id, max(date) + interval 1 day as left_at
                from '{folder}/active_users_daily.parquet' group by account_id) using (account_id)
          where start_date < left_at and start_date < $as_of)
    group by account_id having bool_or(running)
)
select account_id::varchar as account_id, * exclude (account_id) replace (
       coalesce(events_7d, 0) as events_7d, coalesce(events_28d, 0) as events_28d, coalesce(events_91d, 0) as events_91d,
       coalesce(active_days_28d, 0) as active_days_28d, coalesce(active_days_91d, 0) as active_days_91d,
       coalesce(event_kinds_28d, 0) as event_kinds_28d)
from billed left join used using (account_id) left join people using (account_id)
"""
ASOF = """
select snapshots.account_id, snapshots.as_of, {columns}
from (select *, as_of at time zone 'UTC' as asked from snapshots) as snapshots
{joins}
"""


def declared(folder: Path) -> list[pd.DataFrame]:
    """The twelve signals of every day, from the declarations."""
    dataset = read_dataset(DataSettings(dataset=MAPPING, folder=folder))
    tables = clean(read_tables(open_engine(EngineSettings(), dataset), dataset))
    signals = tuple(one for one in catalogue() if one.name in TWELVE)
    return [compute(tables, signals, day).to_pyarrow().to_pandas() for day in COMPUTED_DAYS]


def by_hand(folder: Path) -> list[pd.DataFrame]:
    """The same from one SQL query a day, as one would write it for this data set alone."""
    connection = duckdb.connect()
    return [connection.execute(SQL.format(folder=folder), {"as_of": day}).df() for day in COMPUTED_DAYS]


def by_pandas(folder: Path) -> list[pd.DataFrame]:
    """The same from pandas, its files read once."""
    usage = pd.read_parquet(folder / "event_daily.parquet")
    usage["event_date"] = pd.to_datetime(usage.event_date)
    people = pd.read_parquet(folder / "active_users_daily.parquet")
    people["date"] = pd.to_datetime(people.date)
    left = (people.groupby("account_id").date.max() + timedelta(days=1)).rename("left_at")
    billed = pd.read_parquet(folder / "subscription.parquet").join(left, on="account_id", how="inner")
    billed = billed[billed.start_date < billed.left_at]
    return [_in_pandas(usage, people, billed, day) for day in COMPUTED_DAYS]  # fmt: skip


def _in_pandas(usage: pd.DataFrame, people: pd.DataFrame, billed: pd.DataFrame, day: datetime) -> pd.DataFrame:
    known = billed[billed.start_date < day]
    running = known[known[["end_date", "left_at"]].min(axis=1) >= day]
    rows = pd.DataFrame(index=pd.Index(running.account_id.unique(), name="account_id"))
    rows["mrr"] = (running.mrr * (1 - running.discount)).groupby(running.account_id).sum()
    rows["tenure"] = _days(day - known.groupby("account_id").start_date.min())
    recent = people[(people.date < day) & (people.date >= day - timedelta(days=28)) & (people.active_users > 0)]
    rows["active_users_28d"] = recent.groupby("account_id").active_users.mean()
    rows["peak_active_users_28d"] = recent.groupby("account_id").active_users.max()
    return _usage_in_pandas(rows, usage[usage.event_date < day], day).reset_index()


def _usage_in_pandas(rows: pd.DataFrame, usage: pd.DataFrame, day: datetime) -> pd.DataFrame:
    def last(days: int) -> Any:
        return usage[usage.event_date >= day - timedelta(days=days)]

    for days in (7, 28, 91):
        rows[f"events_{days}d"] = last(days).groupby("account_id").n_events.sum()
    month_before = last(56)[last(56).event_date < day - timedelta(days=28)].groupby("account_id").n_events.sum()
    rows["events_trend_28d"] = rows.events_28d.fillna(0) / month_before.replace(0, np.nan)
    for days in (28, 91):
        rows[f"active_days_{days}d"] = last(days).groupby("account_id").event_date.nunique()
    rows["event_kinds_28d"] = last(28).groupby("account_id").event_type_id.nunique()
    rows["days_since_event_182d"] = _days(day - last(182).groupby("account_id").event_date.max())
    counts = [
        name for name in rows if name.startswith(("events_7d", "events_28d", "events_91d", "active_d", "event_k"))
    ]
    return rows.fillna(dict.fromkeys(counts, 0))


def _days(spans: Any) -> pd.Series:
    return spans.dt.total_seconds() / 86_400


def through_feast(settings: Settings, state: State, snapshots: pd.DataFrame) -> pd.DataFrame:
    """All signals of the snapshots, as training reads them."""
    from features.store import open_store, read_history

    return read_history(open_store(state, settings.name), snapshots)


def through_asof(_: Settings, state: State, snapshots: pd.DataFrame) -> pd.DataFrame:
    """The same from the same files, by an ASOF join per family."""
    place, _ = published_edition(state)
    columns = ", ".join(one.name for one in place.signals)
    joins = "\n".join(
        f"asof left join (from '{place.files_of(family)}') as {family}"
        f" on {family}.account_id = snapshots.account_id and {family}.event_timestamp <= asked"
        for family in place.families
    )
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.register("snapshots", snapshots)
    return connection.execute(ASOF.format(columns=columns, joins=joins)).df()


def timed(work: Callable[[Path], list[pd.DataFrame]], folder: Path, repeats: int) -> tuple[float, list[pd.DataFrame]]:
    """The best of some runs in seconds, and what the work gave."""
    seconds, found = [], []
    for _ in range(repeats):
        begun = time.perf_counter()
        found = work(folder)
        seconds.append(time.perf_counter() - begun)
    return min(seconds), found


def measure_computing(folder: Path, repeats: int) -> dict[str, Any]:
    """Seconds of the three ways, their ratios, and how many values were compared; AssertionError where they differ."""
    ours, values = timed(declared, folder, repeats)
    sql, from_sql = timed(by_hand, folder, repeats)
    frames, from_frames = timed(by_pandas, folder, repeats)
    for others in (from_sql, from_frames):
        for mine, theirs in zip(values, others, strict=True):
            _assert_same(mine.set_index("account_id"), theirs.set_index(theirs.account_id.astype(str))[[*TWELVE]])
    compared = sum(len(one) for one in values) * len(TWELVE)
    seconds = {"declared": ours, "sql": sql, "pandas": frames}
    return {"seconds": seconds, "to_sql": ours / sql, "pandas_to_ours": frames / ours, "values": compared}


def measure_joining(folder: Path, snapshots: int) -> dict[str, Any]:
    """Seconds and peak memory of the two joins, each in a process of its own; AssertionError where values differ."""
    with tempfile.TemporaryDirectory() as temporary:
        settings = Settings(name="benchmark", state=Path(temporary), data=DataSettings(dataset=MAPPING, folder=folder))
        state = open_state(settings)
        publish(settings, state, Days(DATA_ENDS), lambda *_: None)
        asked = sampled(state, snapshots)
        ours, values = _apart(through_feast, settings, state, asked)
        plain, others = _apart(through_asof, settings, state, asked)
        keys = ["account_id", "as_of"]
        _assert_same(values.set_index(keys), others.set_index(keys)[[*values.columns.drop(keys)]])
    signals = len(values.columns) - len(keys)
    return {
        "feast": ours,
        "asof": plain,
        "to_asof": ours["seconds"] / plain["seconds"],
        "values": values[keys[0]].size * signals,
    }


def sampled(state: State, snapshots: int) -> pd.DataFrame:
    """Accounts on days of which most were never published, so that a join has to look back."""
    place, _ = published_edition(state)
    days = pd.date_range(complete_days(place)[0], DATA_ENDS, freq="D")
    accounts = duckdb.sql(f"select distinct account_id from '{place.files_of('billing')}' order by 1").df().account_id
    chance = np.random.default_rng(7)
    pairs = chance.choice(len(accounts) * len(days), min(snapshots, len(accounts) * len(days)), replace=False)
    rows = {"account_id": accounts.to_numpy()[pairs // len(days)], "as_of": days.to_numpy()[pairs % len(days)]}
    return pd.DataFrame(rows).astype({"as_of": "datetime64[us]"})


def _apart(work: Callable[..., pd.DataFrame], *arguments: Any) -> tuple[dict[str, float], pd.DataFrame]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_with_cost, (work, *arguments))


def _with_cost(work: Callable[..., pd.DataFrame], *arguments: Any) -> tuple[dict[str, float], pd.DataFrame]:
    begun = time.perf_counter()
    found = work(*arguments)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_megabytes": peak}, found


def _assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    first, second = one[sorted(one)].sort_index(), other[sorted(other)].sort_index()
    pd.testing.assert_frame_equal(first, second, check_dtype=False, rtol=1e-9, atol=0)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    packages = {name: version(name) for name in ("duckdb", "ibis-framework", "pandas", "feast")}
    facts = {"processors": os.cpu_count(), "memory_gigabytes": round(memory), "load": round(os.getloadavg()[0], 1)}
    return {"system": platform.platform(), **facts, "python": platform.python_version(), **packages}


def show(measured: dict[str, Any]) -> None:
    """The measurement as tables for people."""
    console, computing, joining = Console(), measured["computing"], measured["joining"]
    table = Table("way", "seconds", title=f"{len(TWELVE)} signals of {len(COMPUTED_DAYS)} days", title_justify="left")
    for way, seconds in computing["seconds"].items():
        table.add_row(way, f"{seconds:.2f}")
    console.print(table)
    console.print(f"{computing['values']:,} values, all equal. Ours takes {computing['to_sql']:.2f}x the SQL by hand")
    console.print(f"and is {computing['pandas_to_ours']:.1f}x as fast as pandas.")
    title = f"{measured['snapshots']:,} snapshots x all signals"
    table = Table("join", "seconds", "peak MB", title=title, title_justify="left")
    for way in ("feast", "asof"):
        table.add_row(way, f"{joining[way]['seconds']:.2f}", f"{joining[way]['peak_megabytes']:,.0f}")
    console.print(table)
    console.print(
        f"{joining['values']:,} values, all equal. Feast takes {joining['to_asof']:.2f}x the ASOF join by hand."
    )
    console.print(", ".join(f"{name} {fact}" for name, fact in measured["machine"].items()))


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--snapshots", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    computing, joining = measure_computing(folder, asked.repeats), measure_joining(folder, asked.snapshots)
    measured = {"computing": computing, "joining": joining, "snapshots": asked.snapshots, "machine": machine()}
    sys.stdout.write(json.dumps(measured, indent=1) + "\n") if asked.json else show(measured)


if __name__ == "__main__":
    main()
