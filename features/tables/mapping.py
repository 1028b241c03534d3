"""A data set: files on disk, mapped onto the contract's tables by one TOML file and no code.

name = "acme"
observed_until = 2026-07-01T00:00:00Z      # up to when the tables are complete; leave out for a living data set

[sources]                                  # a file or pattern each, Parquet or CSV, from the data set's folder
crm = "crm/*.parquet"

[tables]                                   # a select per table; a source named like a table needs none
accounts = "select id as account_id, signed_at as created_at from crm"
"""

import hashlib
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from configs.errors import ConfigError, DataError
from configs.settings import DataSettings, describe
from features.tables.contract import CONTRACT


class Simulated(BaseModel):
    """Which simulated company this is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accounts: int
    months: int
    seed: int


class Mapped(BaseModel):
    """What a mapping file says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    about: str = ""
    observed_from: datetime | None = None
    observed_until: datetime | None = None
    folder: Path = Path()
    people: Literal["named", "counted", "unknown"] = "named"
    sources: dict[str, str] = Field(min_length=1)
    tables: dict[str, str] = {}
    simulated: Simulated | None = None


class Dataset(BaseModel):
    """A data set whose files were found: `files` of each source, and the `select` of each table."""

    model_config = ConfigDict(frozen=True)

    mapping: Path
    mapped: Mapped
    files: Mapping[str, tuple[Path, ...]]

    @property
    def selects(self) -> dict[str, str]:
        same_name = {name: f"select * from {name}" for name in self.files if name in CONTRACT}
        return same_name | self.mapped.tables

    @property
    def observed_until(self) -> datetime | None:
        """Up to when the tables are complete, UTC without a zone; None for a living data set."""
        return _utc(self.mapped.observed_until)

    @property
    def observed_from(self) -> datetime | None:
        """From when the tables are complete, UTC without a zone; None where they always were."""
        return _utc(self.mapped.observed_from)

    @property
    def mapping_hash(self) -> str:
        return hashlib.sha256(self.mapping.read_bytes()).hexdigest()[:12]

    def content_hash(self) -> str:
        """A hash of every byte of every source file and of the mapping."""
        digest = hashlib.sha256(self.mapping.read_bytes())
        for (name, file), found in self.digests.items():
            digest.update(f"{name}/{file.name}".encode() + found)
        return digest.hexdigest()[:16]

    @cached_property
    def digests(self) -> dict[tuple[str, Path], bytes]:
        """A hash of every byte of each file, by its source."""
        return {(name, file): _digest(file) for name in sorted(self.files) for file in self.files[name]}


def read_mapped(settings: DataSettings) -> tuple[Mapped, Path]:
    """What the mapping says, and the folder its sources are looked for in."""
    mapped = _read_mapping(settings.dataset)
    return mapped, settings.folder or settings.dataset.parent / mapped.folder


def read_dataset(settings: DataSettings) -> Dataset:
    """The data set that the settings name, its files found.

    Raises ConfigError for a mapping that cannot be understood and DataError for a source without files.
    """
    mapping = settings.dataset
    mapped, folder = read_mapped(settings)
    unknown = sorted(mapped.tables.keys() - CONTRACT.keys())
    if unknown:
        raise ConfigError(f"{mapping}: '{unknown[0]}' is not a table.", f"The tables are {', '.join(CONTRACT)}.")
    files = {name: _find(folder, name, pattern) for name, pattern in mapped.sources.items()}
    return Dataset(mapping=mapping, mapped=mapped, files=files)


def refuse_copies(dataset: Dataset) -> None:
    """Raise DataError where a source has two files of the same bytes: their rows would count twice.

    Files without rows are the same and do no harm.
    """
    seen: dict[tuple[str, bytes], Path] = {}
    for (source, file), digest in dataset.digests.items():
        first = seen.setdefault((source, digest), file)
        if first != file and _has_rows(file):
            raise DataError(
                f"{file} is a copy of {first.name}: the source '{source}' would count its rows twice.",
                "Take one of them away.",
            )


def _digest(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


def _has_rows(file: Path) -> bool:
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq  # a worker of the service reads data sets, but no file of them

        return pq.read_metadata(file).num_rows > 0
    return file.suffix == ".gz" or len(file.read_bytes().splitlines()) > 1


def _utc(instant: datetime | None) -> datetime | None:
    return instant.astimezone(UTC).replace(tzinfo=None) if instant and instant.tzinfo else instant


def _read_mapping(path: Path) -> Mapped:
    try:
        return Mapped(**tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"There is no data set mapping {path}.", "Set data.dataset to one.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path} is not valid TOML: {problem}.", "Mend that line.") from None
    except ValidationError as problem:
        raise ConfigError(f"{path}: {describe(problem)}.", "See features/tables/mapping.py for the form.") from None


def _find(folder: Path, source: str, pattern: str) -> tuple[Path, ...]:
    found = tuple(sorted(folder.glob(pattern))) if folder.is_dir() else ()
    if not found:
        raise DataError(
            f"{folder} has no file '{pattern}' for the source '{source}'.",
            "Put the data there, or set data.folder to where it is.",
        )
    return found
