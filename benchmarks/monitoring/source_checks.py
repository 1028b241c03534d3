"""How often the checks of sources are wrong in a year without a fault, and how soon they name planted ones.

    python -m benchmarks.monitoring.source_checks [--companies 20] [--accounts 100 1000] [--workers 2] [--json FILE]

A company has two years behind it. It is checked in every week of the second one, and in every fourth week with tables
that come in batches: invoices on the first of each month, surveys in each quarter, touches in every second week. Then
each fault is planted in each of its tables; 7, 14 and 28 days later a check has to name the table.
"""

import argparse
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.progress import track
from rich.table import Table

from features.publishing.source_profile import profile_sources
from features.publishing.source_weeks import SourceProfile
from features.rate_interval import wilson_bounds
from features.simulator.fault_injection import FAULTS
from features.simulator.model.parameters import BREAKABLE_TABLES, Company
from features.simulator.shard import count_shards, simulate_shard
from features.tables.contract import ACCOUNT_ID, CONTRACT, TableContract
from features.tables.raw_table import RawTable
from monitoring.sources.source_faults import find_source_faults

BUDGET = 0.05
MONTHS, WEEKS = 25, 52
AS_OF, BROKEN_AT = datetime(2026, 8, 1), datetime(2026, 6, 25)
DELAYS = (7, 14, 28)
FIRST_SEED = 500
Rows = Mapping[str, pa.Table]
PlantFault = Callable[[TableContract, pa.Table, np.ndarray], pa.Table]
"""Breaks the rows of a table for which the mask is true."""


@dataclass(frozen=True)
class Checked:
    """What the checks said of a company: false alarms by kind, and whether each fault was named after each delay."""

    seed: int
    accounts: int
    alarms: Mapping[str, tuple[str, ...]]
    named: Mapping[str, tuple[bool, ...]]


def main() -> None:
    """Check every company; print the false alarms and the faults that were named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitoring.source_checks")
    parser.add_argument("--companies", type=int, default=20)
    parser.add_argument("--accounts", type=int, nargs="*", default=[100, 1_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + chosen.companies)
    designs = [(accounts, seed) for accounts in chosen.accounts for seed in seeds]
    with multiprocessing.get_context("spawn").Pool(chosen.workers, maxtasksperchild=1) as pool:
        checked = pool.imap(check_company, designs)
        results = list(track(checked, total=len(designs), console=Console(stderr=True)))
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    for accounts in chosen.accounts:
        _print([result for result in results if result.accounts == accounts])


def check_company(design: tuple[int, int]) -> Checked:
    """Simulate a company, check a year of it without faults, and plant each fault in each table."""
    accounts, seed = design
    company = Company(accounts, MONTHS, seed, (pd.Timestamp(AS_OF) - pd.DateOffset(months=MONTHS)).date())
    rows = _simulate(company)
    alarms = {"as it is": _check_every_week(rows), "in batches": _check_every_month(_in_batches(rows))}
    return Checked(seed, accounts, {kind: tuple(texts) for kind, texts in alarms.items()}, dict(_check_faults(rows)))


def _simulate(company: Company) -> Rows:
    """The tables whose rows have an instant, without dictionaries."""
    shards = [dict(simulate_shard(company, shard)) for shard in range(count_shards(company))]
    return {name: _as_text(pa.concat_tables([shard[name] for shard in shards])) for name in BREAKABLE_TABLES}


def _as_text(table: pa.Table) -> pa.Table:
    is_text = pa.types.is_dictionary
    fields = [field.with_type(pa.string()) if is_text(field.type) else field for field in table.schema]
    return table.cast(pa.schema(fields))


def _in_batches(rows: Rows) -> Rows:
    return {**rows, **{name: _move(rows[name], CONTRACT[name], to_day) for name, to_day in BATCHES.items()}}


def _move(table: pa.Table, contract: TableContract, to_day: Callable[[pd.Series], pd.Series]) -> pa.Table:
    """The rows of a table on the days on which their batches come, and recorded on the same day."""
    days = to_day(pd.Series(table[str(contract.at)].to_numpy()))
    for name in {str(contract.at), "recorded_at"} & {*table.column_names}:
        values = pa.array(days.to_numpy()).cast(table.schema.field(name).type)
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def _to_month(at: pd.Series) -> pd.Series:
    return at.dt.to_period("M").dt.start_time


def _to_quarter(at: pd.Series) -> pd.Series:
    return at.dt.to_period("Q").dt.start_time


def _to_second_week(at: pd.Series) -> pd.Series:
    return at.dt.floor("14D")


BATCHES: Mapping[str, Callable[[pd.Series], pd.Series]] = {
    "invoices": _to_month,
    "surveys": _to_quarter,
    "touches": _to_second_week,
}


def _check_every_week(rows: Rows) -> Iterator[str]:
    """The alarms of a year. Nothing is recorded late: an earlier profile is the newest one without its last weeks."""
    profile = profile_sources(_raw_tables(rows), AS_OF)
    for week in range(WEEKS):
        yield from _alarms({table: weeks[week:] for table, weeks in profile.items()}, AS_OF - timedelta(weeks=week))


def _check_every_month(rows: Rows) -> Iterator[str]:
    tables = _raw_tables(rows)
    for day in (AS_OF - timedelta(weeks=week) for week in range(0, WEEKS, 4)):
        yield from _alarms(profile_sources(tables, day), day)


def _alarms(profile: SourceProfile, as_of: datetime) -> Iterator[str]:
    return (f"{as_of:%Y-%m-%d} {text}" for text in _name(profile, as_of))


def _check_faults(rows: Rows) -> Iterator[tuple[str, tuple[bool, ...]]]:
    """By table and fault, whether the table is named after each delay; a fault that changes nothing is left out."""
    days = [BROKEN_AT + timedelta(days=delay) for delay in DELAYS]
    clean = [profile_sources(_raw_tables(rows), day) for day in days]
    for table, (fault, plant) in product(BREAKABLE_TABLES, {**FAULTS, **OTHER_FAULTS}.items()):
        contract = CONTRACT[table]
        assert contract.at, f"{table} has no instant"
        after = rows[table][contract.at].to_numpy() >= np.datetime64(BROKEN_AT)
        broken = plant(contract, rows[table], after)
        if broken.equals(rows[table]):
            continue
        raw = _raw_tables({table: broken})
        profiles = [{**before, **profile_sources(raw, day)} for before, day in zip(clean, days, strict=True)]
        texts = [_name(profile, day) for profile, day in zip(profiles, days, strict=True)]
        yield f"{table} {fault}", tuple(any(text.startswith(table) for text in found) for found in texts)


def _raw_tables(rows: Rows) -> Mapping[str, RawTable]:
    return {
        name: RawTable(CONTRACT[name], ibis.memtable(table), frozenset(table.column_names))
        for name, table in rows.items()
    }


def _name(profile: SourceProfile, as_of: datetime) -> list[str]:
    return [fault.text for fault in find_source_faults(profile, as_of, BUDGET)]


def _lose_half_of_the_accounts(_: TableContract, rows: pa.Table, after: np.ndarray) -> pa.Table:
    is_lost = pd.factorize(rows[ACCOUNT_ID].to_pandas(), sort=True)[0] % 2 == 0
    return rows.filter(pa.array(~(after & is_lost)))


def _multiply_by_100(table: TableContract, rows: pa.Table, after: np.ndarray) -> pa.Table:
    for name, column in table.columns.items():
        if column.type == "number" and not column.known_at and name in rows.column_names:
            values = rows[name].to_numpy()
            rows = rows.set_column(rows.column_names.index(name), name, pa.array(np.where(after, values * 100, values)))
    return rows


def _rename_word(table: TableContract, rows: pa.Table, after: np.ndarray) -> pa.Table:
    for name, column in table.columns.items():
        if column.has_free_words and name in rows.column_names:
            words = rows[name].to_pandas()
            renamed = after & (words == words.mode()[0]).to_numpy()
            rows = rows.set_column(rows.column_names.index(name), name, pa.array(words.mask(renamed, "renamed")))
    return rows


def _delay_rows(_: TableContract, rows: pa.Table, after: np.ndarray) -> pa.Table:
    """Three of ten rows are recorded a week later; a table that does not say when they were stays as it is."""
    if "recorded_at" not in rows.column_names:
        return rows
    is_late = after & (np.arange(len(rows)) % 10 < 3)
    recorded = rows["recorded_at"].to_numpy() + np.where(is_late, np.timedelta64(7, "D"), np.timedelta64(0, "D"))
    column = pa.array(recorded).cast(rows.schema.field("recorded_at").type)
    return rows.set_column(rows.column_names.index("recorded_at"), "recorded_at", column)


OTHER_FAULTS: Mapping[str, PlantFault] = {
    "half of the accounts": _lose_half_of_the_accounts,
    "x 100": _multiply_by_100,
    "usual word renamed": _rename_word,
    "30 % a week late": _delay_rows,
}


def _print(results: list[Checked]) -> None:
    table = Table(f"{results[0].accounts:,} accounts", "of", *(f"{days} days" for days in DELAYS))
    for fault in sorted({fault for result in results for fault in result.named}):
        named = np.array([result.named[fault] for result in results if fault in result.named])
        table.add_row(fault, str(len(named)), *(f"{share:.0%}" for share in named.mean(axis=0)))
    years = Table("years without a fault", "with an alarm", "of", "share", "95 % interval", "checks with one")
    for kind in results[0].alarms:
        count, total = sum(bool(result.alarms[kind]) for result in results), len(results)
        low, high = wilson_bounds(count, total)
        checks = sum(len({alarm[:10] for alarm in result.alarms[kind]}) for result in results)
        years.add_row(kind, str(count), str(total), f"{count / total:.1%}", f"{low:.1%} to {high:.1%}", str(checks))
    Console().print(years, table)


if __name__ == "__main__":
    main()
