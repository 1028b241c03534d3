"""Tables of the contract, written as CSV in some dialect or as Parquet, split over files, and read back."""

import csv
import io
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from configs.errors import OarlockError
from configs.sections.publishing import DataSettings, EngineSettings
from features.ingestion.reader import cast_tables, open_tables
from features.tables.contract import CONTRACT, ColumnContract, TableContract
from features.tables.dataset import read_dataset

Row = dict[str, object]
ENGINE = EngineSettings(threads=1, memory_limit="500MB")
TEXTS = (
    *("a", "007", "1.10", "1e5", "NULL", "NA", "true", "12345678901234567890", " padded ", "6/1/2023", "2023-06-01"),
    *('say "x"', "a,b;c\td|e", "two\nlines", "two\r\nlines", "it's", "ü", "=1+1", "-", "#no", "%41", "\\n"),
)
DATES = {
    "": ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ", "%m/%d/%Y %H:%M:%S", "%d.%m.%Y"),
    "day_first": ("%d/%m/%Y %H:%M:%S", "%d.%m.%Y", "%d-%m-%Y %I:%M:%S %p"),
    "month_first": ("%m/%d/%Y %H:%M", "%m/%d/%Y, %I:%M %p", "%Y-%m-%d %H:%M:%S"),
    "%d.%m.%Y %H:%M:%S": ("%d.%m.%Y %H:%M:%S",),
    "%b %d, %Y": ("%b %d, %Y",),
}


@dataclass(frozen=True)
class Dialect:
    """How the CSV files of a trial are written, and which of it the mapping declares."""

    delimiter: str
    is_quoted: bool
    line_end: str
    encoding: str
    declared_dates: str
    date_format: str
    decimal: str

    def settings(self) -> str:
        """The lines of the mapping that declare the dialect."""
        declared = {"dates": self.declared_dates, "decimal": self.decimal, "encoding": self.encoding}
        declared = {name: value for name, value in declared.items() if value not in ("", "utf-8-sig")}
        return "".join(f'{name} = "{value}"\n' for name, value in declared.items())


def run_trial(seed: int, folder: Path) -> str:
    """Write and read one table: "equal", "refused", or what is different."""
    choose = random.Random(seed)
    table = choose.choice(list(CONTRACT.values()))
    dialect = _dialect(choose)
    rows = [_row(choose, table, dialect) for _ in range(choose.randint(0, 7))]
    suffix = choose.choice(["csv", "csv", "parquet"])
    if suffix == "parquet":
        dialect = Dialect(",", False, "\n", "utf-8-sig", "", "", ".")
    _write_files(choose, (table, rows), folder, dialect, suffix)
    mapping = f'name = "m"\nfolder = "."\n[sources.source]\nfiles = "part*.{suffix}"\n{dialect.settings()}'
    select = f"{table.name} = 'select * from source'\n"
    if table.name != "accounts":
        mapping = mapping.replace("[sources.source]", '[sources]\naccounts = "accounts.parquet"\n[sources.source]')
        pq.write_table(
            pa.table({"account_id": ["a"], "created_at": [datetime(2022, 1, 1)]}), folder / "accounts.parquet"
        )
    (folder / "m.toml").write_text(f"{mapping}[tables]\n{select}")
    return _compare(table, rows, folder)


def _compare(table: TableContract, rows: list[Row], folder: Path) -> str:
    try:
        dataset = read_dataset(DataSettings(dataset=folder / "m.toml"))
        opened = cast_tables(open_tables(ENGINE, dataset, folder / "converted").tables)[table.name]
    except OarlockError as error:
        return "refused" if "part" in str(error) else f"refused without a file: {error}"
    actual = sorted(map(repr, opened.rows.select(*table.columns).to_pyarrow().to_pylist()))
    defaults = {name: column.default for name, column in table.columns.items()}
    expected = sorted(
        repr({name: defaults[name] if value is None else value for name, value in row.items()}) for row in rows
    )
    return "equal" if actual == expected else f"{expected} was read as {actual}"


def _dialect(choose: random.Random) -> Dialect:
    declared = choose.choice(list(DATES))
    return Dialect(
        choose.choice(",;\t|"),
        choose.choice([False, True]),
        choose.choice(["\n", "\r\n"]),
        choose.choice(["utf-8", "utf-8-sig", "latin-1", "utf-16"]),
        declared,
        choose.choice(DATES[declared]),
        choose.choice(".,"),
    )


def _row(choose: random.Random, table: TableContract, dialect: Dialect) -> Row:
    return {name: _value(choose, column, dialect) for name, column in table.columns.items()}


def _value(choose: random.Random, column: ColumnContract, dialect: Dialect) -> object:
    if not column.required and choose.random() < 0.3:
        return None
    if column.type == "text":
        words = column.values or column.known_values
        return choose.choice(list(words) if words else TEXTS)
    if column.type == "number":
        return choose.choice([float(choose.randint(-9, 99_999)), choose.uniform(-1, 1e6), 49.9, 1e-7])
    if column.type == "flag":
        return choose.random() < 0.5
    instant = datetime(2021, 1, 1) + timedelta(seconds=choose.randrange(3 * 365 * 86_400))
    # What the format does not write is not in the value.
    return datetime.strptime(instant.strftime(dialect.date_format), dialect.date_format)


def _write_files(
    choose: random.Random, content: tuple[TableContract, list[Row]], folder: Path, dialect: Dialect, suffix: str
) -> None:
    table, rows = content
    cuts = sorted(choose.randint(0, len(rows)) for _ in range(choose.randint(0, 3)))
    for number, (start, end) in enumerate(pairwise([0, *cuts, len(rows)])):
        part = rows[start:end]
        file = folder / f"part{number}.{suffix}"
        if number and not part and suffix == "csv" and choose.random() < 0.5:
            file.write_bytes(b"")
            continue
        columns = [name for name in table.columns if _is_written(choose, table, name, part)]
        choose.shuffle(columns)
        if suffix == "csv":
            file.write_bytes(_csv_bytes(columns, part, dialect))
        else:
            pq.write_table(pa.table({name: _parquet_column(choose, table, name, part) for name in columns}), file)


def _is_written(choose: random.Random, table: TableContract, name: str, part: list[Row]) -> bool:
    is_empty = all(row[name] is None for row in part)
    return table.columns[name].required or not is_empty or choose.random() < 0.5


def _csv_bytes(columns: list[str], rows: list[Row], dialect: Dialect) -> bytes:
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if dialect.is_quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=dialect.delimiter, quoting=quoting, lineterminator=dialect.line_end)
    writer.writerow(columns)
    writer.writerows([[_cell(row[name], dialect) for name in columns] for row in rows])
    return text.getvalue().encode(dialect.encoding)


def _cell(value: object, dialect: Dialect) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime(dialect.date_format)
    return repr(value).replace(".", dialect.decimal) if isinstance(value, float) else str(value)


def _parquet_column(choose: random.Random, table: TableContract, name: str, rows: list[Row]) -> pa.Array:
    values, kind = [row[name] for row in rows], table.columns[name].type
    if all(value is None for value in values):
        typed = {"text": pa.string(), "number": pa.float64(), "flag": pa.bool_(), "instant": pa.timestamp("us")}
        return pa.array(values, choose.choice([pa.null(), typed[kind]]) if values else typed[kind])
    if kind == "number" and all(value is None or float(str(value)).is_integer() for value in values):
        whole = [None if value is None else int(float(str(value))) for value in values]
        return pa.array(whole, choose.choice([pa.int64(), pa.int32()]))
    if kind == "instant":
        return pa.array(values, choose.choice([pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("us", tz="UTC")]))
    return pa.array(values)
