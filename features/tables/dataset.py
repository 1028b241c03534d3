"""The data set: the files of each source of a mapping, the select of each table, and a hash of every byte."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ConfigDict, SkipValidation

from configs.errors import ConfigError, DataError
from configs.sections.publishing import DataSettings
from configs.sections.signals import SignalSettings
from features.tables.contract import CONTRACT, TableContract
from features.tables.copied_files import find_copies
from features.tables.mapping import COMPRESSIONS, DatasetMapping, company_contract, file_kind, read_mapping


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
