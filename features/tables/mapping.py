"""A data set: files on disk, mapped onto the contract's tables by one TOML file and no code.

name = "acme"
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
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, Annotated, Literal, Self
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SkipValidation,
    Tag,
    model_validator,
)

from configs.errors import ConfigError, DataError
from configs.sections.publishing import DataSettings
from configs.sections.signals import SignalSettings
from configs.validation import TomlFormat
from features.tables.contract import ACCOUNT_ID, ACCOUNT_MERGES, CONTRACT, ColumnContract, TableContract
from features.tables.copied_files import find_copies
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


class Dataset(BaseModel):
    """A data set with the `files` of each source, the select of each table, and the `contract` that the tables follow.

    `ignored` are files that a pattern matches but that only an operating system or an editor reads. A source that is
    copied has no files before its first copy; `copies` keeps them from being removed while this process reads them.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    mapping_file: Path
    mapping: DatasetMapping
    files: Mapping[str, tuple[Path, ...]]
    ignored: Mapping[str, tuple[Path, ...]] = {}
    contract: SkipValidation[Mapping[str, TableContract]] = CONTRACT
    copies: SkipValidation[IO[str] | None] = None

    @property
    def selects(self) -> dict[str, str]:
        same_name = {name: f"select * from {name}" for name in self.files if name in self.contract}
        own = {name: table.select or f"select * from {name}" for name, table in self.mapping.own_tables.items()}
        return (
            same_name | {name: select for name, select in self.mapping.tables.items() if isinstance(select, str)} | own
        )

    @property
    def all_files(self) -> list[Path]:
        """The files of all sources."""
        return [file for files in self.files.values() for file in files]

    @property
    def observed_until(self) -> datetime | None:
        """Until when the tables are complete, UTC without a time zone; None for a data set that grows."""
        return _utc(self.mapping.observed_until)

    @property
    def observed_from(self) -> datetime | None:
        """From when the tables are complete, UTC without a time zone; None if they always were."""
        return _utc(self.mapping.observed_from)

    @property
    def contract_hash(self) -> str:
        """A hash of what the contract has of your own; empty if that is nothing."""
        own = {name: table for name, table in self.contract.items() if CONTRACT.get(name) is not table}
        return hashlib.sha256(repr(own).encode()).hexdigest()[:12] if own else ""

    @property
    def mapping_hash(self) -> str:
        return hashlib.sha256(self.mapping_file.read_bytes()).hexdigest()[:12]

    def content_hash(self) -> str:
        """A hash of every byte of every source file and of the mapping."""
        digest = hashlib.sha256(self.mapping_file.read_bytes())
        for (name, file), file_digest in self.file_digests.items():
            digest.update(f"{name}/{file.name}".encode() + file_digest)
        return digest.hexdigest()[:16]

    @cached_property
    def file_digests(self) -> dict[tuple[str, Path], bytes]:
        """A hash of every byte of each file, by its source."""
        return {(name, file): _digest(file) for name in sorted(self.files) for file in self.files[name]}


def read_mapping(settings: DataSettings) -> tuple[DatasetMapping, Path]:
    """The mapping, and the folder of its sources."""
    mapping = MAPPING_FILE.read(settings.dataset, DatasetMapping)
    return mapping, settings.folder or settings.dataset.parent / mapping.folder


def read_dataset(settings: DataSettings, signals: SignalSettings | None = None) -> Dataset:
    """The data set that the settings name, with the files of its sources.

    `signals` name columns of your own; only what opens the tables needs them.
    What databases hold is that of the last copy. Raises ConfigError for an invalid mapping, DataError for a source
    without files.
    """
    mapping, folder = read_mapping(settings)
    contract = company_contract(settings, signals or SignalSettings(), mapping)
    unknown = sorted(mapping.tables.keys() - contract.keys())
    if unknown:
        tables = ", ".join(contract)
        raise ConfigError(f"{settings.dataset}: '{unknown[0]}' is not a table.", f"The tables are {tables}.")
    local = {name: source for name, source in mapping.sources.items() if not source.is_copied}
    matches = {name: _matching_files(folder, source.files) for name, source in local.items()}
    files = {name: tuple(file for file in paths if not is_shadow(file, folder)) for name, paths in matches.items()}
    for name, source in local.items():
        _require_files(folder, name, source.files, files[name])
    ignored = {name: tuple(file for file in matches[name] if file not in files[name]) for name in matches}
    copies = find_copies(settings.copies, mapping.copied_sources)
    return Dataset(
        mapping_file=settings.dataset,
        mapping=mapping,
        files={name: files[name] if name in files else copies.files[name] for name in mapping.sources},
        ignored=ignored,
        contract=contract,
        copies=copies.lock,
    )


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


def raise_for_duplicate_files(dataset: Dataset) -> None:
    """Raise DataError if a source has two equal files with rows, because these rows would count twice."""
    first_files: dict[tuple[str, bytes], Path] = {}
    for (source, file), digest in dataset.file_digests.items():
        first = first_files.setdefault((source, digest), file)
        if first != file and _has_rows(file):
            raise DataError(
                f"{file} is a copy of {first.name}: the source '{source}' would count its rows twice.",
                "Remove one of them.",
            )


def _digest(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _has_rows(file: Path) -> bool:
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq  # the service reads mappings, but no data files

        return pq.read_metadata(file).num_rows > 0
    return file_kind(file) != "csv" or file.suffix in COMPRESSIONS or len(file.read_bytes().splitlines()) > 1


def _utc(instant: datetime | None) -> datetime | None:
    return instant.astimezone(UTC).replace(tzinfo=None) if instant and instant.tzinfo else instant


def _matching_files(folder: Path, pattern: str) -> tuple[Path, ...]:
    """The files of a source in order, shadow files included. What names a file that exists is no pattern."""
    if (folder / pattern).is_file():
        return (folder / pattern,)
    anchor = Path(pattern).anchor
    paths = Path(anchor).glob(pattern.removeprefix(anchor)) if anchor else folder.glob(pattern)
    return tuple(path for path in sorted(paths) if path.is_file())


def is_shadow(file: Path, folder: Path) -> bool:
    """Whether an operating system or an editor put the file beside the real one: `._x`, `.x`, `~$x`."""
    below = file.parts[len(folder.parts) :] if file.is_relative_to(folder) else (file.name,)
    return any((part.startswith((".", "~$")) and part != "..") or part == "__MACOSX" for part in below)


def _require_files(folder: Path, source: str, pattern: str, files: tuple[Path, ...]) -> None:
    if not files:
        raise DataError(
            f"{folder} has no file '{pattern}' for the source '{source}'.",
            "Put the data there, or set data.folder to its folder.",
        )
