"""Small companies whose tables break the contract in many ways: types, values, columns, rows and files."""

import math
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

from features.own_signals.generated_tables import AS_OF
from tests.support.companies.random_companies import Company, Row, random_company

Rows = list[Row]
BASE_TABLES = ("accounts", "subscriptions", "usage")  # without them nothing else is read
SETTINGS = """state = "state"
[data]
dataset = "company.toml"
on_invalid_rows = "{on_invalid_rows}"
[label]
mode = "{mode}"
horizon_days = {horizon_days}
inactive_days = 60
grace_days = 0
[training]
min_churned = 2
num_iterations = 5
{training}
[snapshots]
warmup_days = {warmup_days}
[evaluation]
backtest_folds = 1
bootstrap_samples = 20
ablation_snapshots = 0
[stability]
refits = 2
[engine]
threads = 1
"""
INVALID_ROWS = ("error", "quarantine", "quarantine")
OBSERVED_UNTIL = f"observed_until = {AS_OF + timedelta(days=45):%Y-%m-%d}T00:00:00Z"
VALUES: tuple[object, ...] = (
    *(None, "", " ", "\0", "\N{ZERO WIDTH SPACE}", "e\N{COMBINING ACUTE ACCENT}", "x" * 5_000, "'; drop table", "NaN"),
    *(math.nan, math.inf, -math.inf, -1.0, 1e300, 5e-324, 2**62, 10**25, True, b"\xff"),
    *(datetime(1, 1, 1), datetime(9999, 12, 31), datetime(1970, 1, 1), datetime(2262, 4, 12), date(2024, 2, 29)),
)
CONVERSIONS: tuple[Callable[[object], object], ...] = (
    *(str, repr, bool, lambda value: len(str(value)), lambda value: float(len(str(value))), lambda _: None),
    *(lambda value: str(value).encode(), lambda value: [value], lambda value: {"value": value}),
    *(lambda value: Decimal(len(str(value))) / 3, lambda _: time(12, 30), lambda _: timedelta(days=1, seconds=1)),
    *(lambda _: date(2024, 3, 1), lambda _: datetime(2024, 3, 1, tzinfo=UTC), lambda _: 20_240_301),
)


@dataclass(frozen=True)
class TrialSettings:
    """What differs between the settings of trials; `training` are further lines of that section."""

    on_invalid_rows: str
    mode: str = "contract"
    horizon_days: int = 90
    warmup_days: int = 260
    training: str = ""


def write_broken_company(seed: int, folder: Path) -> Path:
    """Write a company that is broken in the ways of this seed; gives the path of its settings file."""
    choose = random.Random(seed)
    company = random_company(seed, accounts=choose.choice([1, 4, 12, 30]))
    kept = {name: rows for name, rows in company.items() if name in BASE_TABLES or choose.random() < 0.7}
    sources = break_tables(choose, kept, folder)
    settings = TrialSettings(
        on_invalid_rows=choose.choice(INVALID_ROWS),
        mode=choose.choice(["contract", "contract", "event", "inactivity", "contraction"]),
        warmup_days=choose.choice([30, 300, 500]),
    )
    write_mapping(folder, sources, "" if choose.random() < 0.3 else OBSERVED_UNTIL)
    return write_settings(folder, settings)


def break_tables(choose: random.Random, company: Company, folder: Path) -> str:
    """Write tables that break the contract, chosen by `choose`; gives the sources of a mapping that reads them."""
    broken = dict(company)
    for name, change in _choose_changes(choose, list(company)):
        broken[name] = change(choose, broken[name])
    return "".join(f'{name} = "{_write(choose, folder, name, rows)}"\n' for name, rows in broken.items())


def write_tables(company: Company, folder: Path) -> str:
    """Write tables as they are; gives the sources of a mapping that reads them."""
    for name, rows in company.items():
        pq.write_table(pa.table(_to_columns(rows)), folder / f"{name}.parquet")
    return "".join(f'{name} = "{name}.parquet"\n' for name in company)


def write_settings(folder: Path, settings: TrialSettings) -> Path:
    """Write a settings file for the mapping in a folder; gives its path."""
    file = folder / "oarlock.toml"
    file.write_text(SETTINGS.format(**asdict(settings)))
    return file


def write_mapping(folder: Path, sources: str, until: str) -> None:
    """Write a mapping of sources that are named like their tables."""
    (folder / "company.toml").write_text(f'name = "company"\n{until}\n[sources]\n{sources}')


def _choose_changes(choose: random.Random, names: list[str]) -> list[tuple[str, Callable[[random.Random, Rows], Rows]]]:
    """Which tables are changed, and how."""
    changes = choose.choices(CHANGES, weights=(6, 3, 1, 2, 2), k=choose.randint(1, 4))
    return list(zip(choose.choices(names, k=len(changes)), changes, strict=True))


def _change_values(choose: random.Random, rows: Rows) -> Rows:
    """Some values of a column are others, of its type or of another."""
    if not rows:
        return rows
    name, value = choose.choice(list(rows[0])), choose.choice(VALUES)
    share = choose.choice([0.1, 0.5, 1.0])
    return [{**row, name: value} if choose.random() < share else row for row in rows]


def _convert_column(choose: random.Random, rows: Rows) -> Rows:
    """A whole column is of another type."""
    if not rows:
        return rows
    name, convert = choose.choice(list(rows[0])), choose.choice(CONVERSIONS)
    return [{**row, name: None if row[name] is None else convert(row[name])} for row in rows]


def _change_columns(choose: random.Random, rows: Rows) -> Rows:
    """A column is missing, has another name, or is new."""
    if not rows:
        return rows
    name = choose.choice(list(rows[0]))
    other = choose.choice(["", name.upper(), 'a "b"', "event_timestamp", "row_number", "as_of", "breach"])
    without = [{column: value for column, value in row.items() if column != name} for row in rows]
    return [{**kept, **({other: row[name]} if other else {})} for kept, row in zip(without, rows, strict=True)]


def _change_rows(choose: random.Random, rows: Rows) -> Rows:
    """Rows are missing, repeated, or of an account that does not exist."""
    kind = choose.choice(["none", "twice", "stranger", "first"])
    if kind == "none" or not rows:
        return []
    if kind == "first":
        return rows[:1]
    return [*rows, *(rows if kind == "twice" else [{**rows[0], "account_id": "stranger"}])]


def _move_days(choose: random.Random, rows: Rows) -> Rows:
    """Every instant of a table, or of one column, is moved: to the future, long ago, or to one day."""
    columns = sorted({name for row in rows for name, value in row.items() if isinstance(value, datetime)})
    moved = choose.choice([columns, columns[:1], columns[-1:]])
    days, one_day = choose.choice([-20_000, -400, 30, 400, 5_000]), choose.random() < 0.3
    return [
        {
            name: (AS_OF if one_day else value + timedelta(days=days))
            if name in moved and isinstance(value, datetime)
            else value
            for name, value in row.items()
        }
        for row in rows
    ]


CHANGES = (_change_values, _convert_column, _change_columns, _change_rows, _move_days)


def _write(choose: random.Random, folder: Path, name: str, rows: Rows) -> str:
    """Write a table as Parquet or CSV, and now and then spoil the file; gives its name."""
    table = pa.table(_to_columns(rows or [{"account_id": None}]))
    file = folder / f"{name}.parquet"
    if choose.random() < 0.3 and not any(pa.types.is_nested(field.type) for field in table.schema):
        file = folder / f"{name}.csv"
        try:
            arrow_csv.write_csv(table, file)
        except pa.ArrowInvalid:  # no text for such a type
            file = folder / f"{name}.parquet"
    if file.suffix == ".parquet":
        pq.write_table(table, file)
    if choose.random() < 0.03:
        content = file.read_bytes()
        file.write_bytes(choose.choice([b"", content[: len(content) // 2], choose.randbytes(500), b"PAR1" + content]))
    return file.name


def _to_columns(rows: Rows) -> dict[str, pa.Array]:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return {column: _to_array([row.get(column) for row in rows]) for column in columns}


def _to_array(values: list[object]) -> pa.Array:
    """The values as an array: of their own type, or as text if they have no common one."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
