"""The mapping of a data set: files on disk become the tables of the contract by one TOML file and no code.

name = "acme"
currency = "EUR"                           # of every amount; it stands beside each of them
observed_until = 2026-07-01T00:00:00Z      # until when the tables are complete; omit it for a data set that grows

[sources]                                  # a file or pattern each, Parquet or CSV, relative to the data set's folder
crm = "crm/*.parquet"

[sources.billing]                          # CSV files that are not written as ISO dates and decimal points in UTF-8
files = "billing/*.csv"
dates = "month_first"                      # "day_first", "month_first", or a format of strptime such as "%d %b %Y"
decimal = ","
encoding = "latin-1"
delimiter = ";"

[sources.crm_export]                       # JSON lines and tables of SQLite or DuckDB files are read as text, like CSV
files = "export.sqlite"
table = "companies"

[sources.plans]                            # a table of Postgres, or `query`; it is copied when the tables are read
database = "postgresql://reader@db.internal/crm"
password_env = "CRM_PASSWORD"         # the environment variable that holds the password
table = "billing.plans"

[tables]                                   # a select per table; a source named like a table needs none
accounts = "select id as account_id, signed_at as created_at from crm"

[tables.calls]                             # a table of your own, for signals of your own in Python
select = "select account_id, call_id, started as called_at, minutes, closed_at from phone"
key = ["call_id"]                          # with account_id
time = "called_at"                         # when a row happened, and became known unless it has a recorded_at
columns = { call_id = "text", called_at = "instant", minutes = "number", closed_at = "instant" }
"""

import codecs
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from configs.errors import ConfigError
from configs.sections.publishing import DataSettings
from configs.sections.signals import SignalSettings
from configs.validation import TomlFormat
from configs.values.currency import Currency
from features.tables.contract import ACCOUNT_ID, ACCOUNT_MERGES, CONTRACT, ColumnContract, TableContract
from features.tables.own_contract import ATTRIBUTES, extend_contract

MAPPING_FILE = TomlFormat(
    name="data set mapping",
    if_missing="Set data.dataset to a mapping file.",
    if_invalid="See features/tables/mapping.py for the format.",
)
CSV_SUFFIXES = (".csv", ".tsv", ".txt")
JSON_SUFFIXES = (".jsonl", ".ndjson")
COMPRESSIONS = (".gz", ".zst")
SQLITE_SUFFIXES, DUCKDB_SUFFIXES = (".sqlite", ".sqlite3", ".db"), (".duckdb",)
TEXT_SUFFIXES = (
    *(suffix + compression for suffix in (*CSV_SUFFIXES, *JSON_SUFFIXES) for compression in ("", *COMPRESSIONS)),
    *(*SQLITE_SUFFIXES, *DUCKDB_SUFFIXES),
)
FileKind = Literal["csv", "jsonl", "sqlite", "duckdb", "parquet"]
FILE_KINDS: tuple[tuple[FileKind, tuple[str, ...]], ...] = (
    *(("csv", CSV_SUFFIXES), ("jsonl", JSON_SUFFIXES), ("sqlite", SQLITE_SUFFIXES), ("duckdb", DUCKDB_SUFFIXES)),
)
S3 = "s3://"
POSTGRES_SCHEMES = ("postgresql", "postgres")
SECRET_PARAMETERS = frozenset({"password", "sslpassword", "passfile"})
COPIED_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
DATE_ORDERS = ("day_first", "month_first")
EPOCHS = {"epoch_seconds": 1_000_000, "epoch_milliseconds": 1_000}  # microseconds of each
DATE_DIRECTIVES = re.compile(r"%-?[aAbBdfHIjmMpSyYzZ%]")


class SimulatedDataset(BaseModel):
    """The parameters of a simulated company; `oarlock simulate` writes its files into the folder of the data set."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    accounts: int
    """Accounts to simulate."""
    months: int
    """Months of history."""
    seed: int
    """The same seed gives the same company."""


def _to_source_mapping(value: object) -> object:
    return {"files": value} if isinstance(value, str) else value


def _known_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise ValueError(f"'{name}' is no encoding that Python has") from None


def _complete_dates(value: str) -> str:
    if value not in (*DATE_ORDERS, *EPOCHS) and not _is_date_format(value):
        raise ValueError(
            f"'{value}' is not 'day_first', 'month_first', 'epoch_seconds', 'epoch_milliseconds', or a format with day,"
            " month and year such as '%m/%d/%Y'"
        )
    return value


def _without_password(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("it is no URL such as postgresql://reader@db.internal:5432/crm") from None
    if parts.scheme not in POSTGRES_SCHEMES or not parts.path.strip("/"):
        raise ValueError("it is no URL such as postgresql://reader@db.internal:5432/crm")
    if parts.password is not None or SECRET_PARAMETERS & parse_qs(parts.query, keep_blank_values=True).keys():
        raise ValueError("it holds a password; put that into an environment variable, and name it in password_env")
    return url


def _existing_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"'{name}' is no time zone, such as Europe/Berlin") from None


def _is_date_format(value: str) -> bool:
    directives = {directive[-1] for directive in DATE_DIRECTIVES.findall(value)}
    is_known = "%" not in DATE_DIRECTIVES.sub("", value)
    has_day = bool(directives & {"d"} and directives & set("mbB")) or "j" in directives
    return is_known and has_day and bool(directives & set("yY"))


class SourceMapping(BaseModel):
    """The files of a source, or its table in a database, and how text is written if not in ISO 8601 and UTF-8.

    If nothing but the files is declared, `NAME = "pattern"` in `[sources]` is enough.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    files: str = ""
    """A file or a pattern, relative to the data set's folder, or objects such as s3://bucket/usage/**/*.parquet."""
    endpoint: str | None = None
    """The address of a store that is compatible with S3, such as https://minio.internal:9000. Undeclared: AWS."""
    database: Annotated[str, AfterValidator(_without_password)] | None = None
    """A Postgres database in place of files, such as postgresql://reader@db.internal/crm. It holds no password."""
    password_env: str | None = None
    """The environment variable with the password of the database. Undeclared: what libpq finds, such as ~/.pgpass."""
    query: str | None = None
    """What a source of a database is: one SELECT in its SQL. Or `table`."""
    dates: Annotated[str, AfterValidator(_complete_dates)] | None = None
    """The order of dates such as 6/1/2023, their format, or epoch_seconds or epoch_milliseconds.

    Undeclared: the only order that fits every row.
    """
    time_zone: Annotated[str, AfterValidator(_existing_zone)] | None = None
    """The zone of times that are written without one, such as Europe/Berlin. Undeclared: UTC. Days have no zone."""
    decimal: Literal[".", ","] = "."
    """The decimal mark."""
    encoding: Annotated[str, AfterValidator(_known_encoding)] | None = None
    """The encoding. Undeclared: UTF-8, or what a byte order mark says."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """The character between two values. Undeclared: the only one of comma, semicolon, tab and bar that fits."""
    table: str | None = None
    """The table or view of a database, or of an SQLite or DuckDB file. Undeclared: the only one of the file."""

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        if bool(self.files) == bool(self.database):
            raise ValueError("it needs either files or a database")
        if self.database and bool(self.table) == bool(self.query):
            raise ValueError("a source of a database needs either a table or a query")
        if self.endpoint and not self.files.startswith(S3):
            raise ValueError("endpoint is for files of object storage, which begin with s3://")
        if not self.database and (self.query or self.password_env):
            raise ValueError("query and password_env are for sources of a database")
        return self

    @property
    def is_declared(self) -> bool:
        """Whether more is declared than the files."""
        return bool(self.model_fields_set - {"files", "endpoint"})

    @property
    def is_copied(self) -> bool:
        """Whether its rows are copied to this machine before they are read."""
        return self.database is not None or self.files.startswith(S3)


def _to_own_column(value: object) -> object:
    return {"type": value} if isinstance(value, str) else value


class OwnColumn(BaseModel):
    """A column of a table of your own; `NAME = "type"` is enough if nothing but the type is declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    type: Literal["text", "number", "instant", "flag"]
    """What its values are."""
    known_at: str | None = None
    """The instant at which this value became known. Undeclared: with its row; an instant, when it has come."""
    planned: bool = False
    """Whether an instant is known before it comes, such as a due date."""
    meaning: str = ""
    """What it means."""


class OwnTable(BaseModel):
    """A table of your own, which signals of your own read."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    select: str | None = None
    """Its select. Undeclared: the source of its name, as it is."""
    key: tuple[str, ...] = ()
    """The columns that, with `account_id`, tell its rows apart."""
    time: str
    """The column with the instant at which a row happened, and became known unless it has a `recorded_at`."""
    columns: dict[str, Annotated[OwnColumn, BeforeValidator(_to_own_column)]] = Field(min_length=1)
    """Its columns, without `account_id` and `recorded_at`."""

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        instants = {name for name, column in self.columns.items() if column.type == "instant"}
        needed = {column.known_at for column in self.columns.values() if column.known_at}
        for name in (self.time, *sorted(needed)):
            if name not in instants:
                raise ValueError(f"'{name}' is not one of its columns of type instant")
        if missing := [name for name in self.key if name not in self.columns]:
            raise ValueError(f"the key has '{missing[0]}', which is not one of its columns")
        return self


def _kind_of_table(value: object) -> str:
    return "select" if isinstance(value, str) else "own"


TableMapping = Annotated[Annotated[str, Tag("select")] | Annotated[OwnTable, Tag("own")], Discriminator(_kind_of_table)]


class DatasetMapping(BaseModel):
    """The content of a mapping file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    """Name of the data set."""
    about: str = ""
    """What the data are, for people."""
    currency: Currency | None = None
    """The currency of every amount, as the selects give it: three capitals of ISO 4217, such as EUR.

    It stands beside every amount. Undeclared: amounts are shown without a currency.
    """
    observed_from: datetime | None = None
    """From when the tables are complete. Undeclared: snapshots before the first recorded departure are left out."""
    observed_until: datetime | None = None
    """Until when the tables are complete: the midnight after the last day. Undeclared: found from the rows."""
    folder: Path = Path()
    """Where the files are, relative to the mapping."""
    people: Literal["named", "counted", "unknown"] = "named"
    """What usage says about users: who they are, how many there are on a day, or nothing."""
    equal_rows: Literal["once", "each"] | None = None
    """What equal rows of usage or touches are. Undeclared: each counts, and files that share rows are rejected."""
    sources: dict[str, Annotated[SourceMapping, BeforeValidator(_to_source_mapping)]] = Field(min_length=1)
    """The files of each source: a pattern, or a section of its own."""
    tables: dict[str, TableMapping] = {}
    """A select per table, in DuckDB's SQL, over the sources. A source that is named like a table needs none.

    A section `[tables.NAME]` is a table of your own.
    """
    simulated: SimulatedDataset | None = None

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for name in self.copied_sources:
            if not COPIED_NAME.fullmatch(name):
                raise ValueError(f"the name of the source '{name}' has more than letters, digits and underscores")
        return self

    @property
    def copied_sources(self) -> dict[str, SourceMapping]:
        """The sources whose rows are copied to this machine before they are read."""
        return {name: source for name, source in self.sources.items() if source.is_copied}

    @property
    def own_tables(self) -> dict[str, OwnTable]:
        """The tables of your own, by name."""
        return {name: table for name, table in self.tables.items() if isinstance(table, OwnTable)}


def read_mapping(settings: DataSettings) -> tuple[DatasetMapping, Path]:
    """The mapping, and the folder of its sources."""
    mapping = MAPPING_FILE.read(settings.dataset, DatasetMapping)
    return mapping, settings.folder or settings.dataset.parent / mapping.folder


def company_contract(
    settings: DataSettings, signals: SignalSettings, mapping: DatasetMapping | None = None
) -> Mapping[str, TableContract]:
    """The built-in tables with the columns that these signals name, and those that the mapping declares.

    Raises ConfigError for an invalid mapping, and for names that the contract has already.
    """
    mapping = mapping or read_mapping(settings)[0]
    own = {name: _own_contract(name, table) for name, table in mapping.own_tables.items()}
    if taken := sorted(own.keys() & {*CONTRACT, ATTRIBUTES, ACCOUNT_MERGES.name}):
        message = f"{settings.dataset}: '{taken[0]}' is a table of the contract, so it has no section of its own."
        raise ConfigError(message, f'Write {taken[0]} = "select ..." under [tables], or give your table another name.')
    mapped = {*mapping.tables, *({ACCOUNT_MERGES.name} & mapping.sources.keys())}
    return extend_contract(signals.attributes, own, events=signals.events, mapped=mapped)


def _own_contract(name: str, table: OwnTable) -> TableContract:
    return TableContract(
        name,
        at=table.time,
        key=(ACCOUNT_ID, *table.key) if table.key else (),
        columns={column: _own_column(column, declared, table) for column, declared in table.columns.items()},
    )


def _own_column(name: str, column: OwnColumn, table: OwnTable) -> ColumnContract:
    """An instant that is not planned is not known before it comes: a row that is closed later is open until then."""
    comes_later = column.type == "instant" and not column.planned and name != table.time
    return ColumnContract(
        column.type,
        column.meaning or f"the {column.type} of your own",
        required=name == table.time,
        known_at=column.known_at or (name if comes_later else None),
    )


def is_text(file: Path) -> bool:
    """Whether the values of a source file are read as text, as from CSV, and not in the types of Parquet."""
    return file.name.lower().endswith(TEXT_SUFFIXES)


def file_kind(file: Path) -> FileKind:
    """What a source file is, by its name."""
    name = file.name.lower()
    for compression in COMPRESSIONS:
        name = name.removesuffix(compression)
    for kind, suffixes in FILE_KINDS:
        if name.endswith(suffixes):
            return kind
    return "parquet"
