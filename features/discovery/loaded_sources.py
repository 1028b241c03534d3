"""The sources of a folder in DuckDB, every value as text, each with what its files need to be read."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from configs.sections.publishing import EngineSettings
from features.compute.backends.base import Backend
from features.compute.backends.connect import create_view
from features.compute.backends.duckdb import open_duckdb, quote_name
from features.compute.backends.spill_folder import SPILL
from features.discovery.source_files import FileGroup
from features.ingestion.files.compression import open_bytes
from features.ingestion.files.csv_file import BYTE_ORDER_MARKS
from features.ingestion.files.csv_source import connection_of, inspect_source, load_csv_source
from features.tables.mapping import SourceMapping, file_kind, is_text

WINDOWS_QUOTES = frozenset(range(0x80, 0xA0))  # letters in Windows' encoding, control characters in Latin-1


@dataclass(frozen=True)
class LoadedSource:
    """A source under its name in the backend, with the settings that its mapping needs."""

    group: FileGroup
    mapping: SourceMapping
    columns: tuple[str, ...]
    evidence: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.group.name


def load_sources(groups: Sequence[FileGroup], scratch: Path) -> tuple[Backend, list[LoadedSource]]:
    """A backend in which each source can be queried under its name. Raises DataError for an unreadable file."""
    files = [file for group in groups for file in group.files]
    backend = open_duckdb(EngineSettings(), scratch / SPILL, files=files, folders=[scratch])
    return backend, [_load(backend, group, scratch) for group in groups]


def _load(backend: Backend, group: FileGroup, scratch: Path) -> LoadedSource:
    encoding, evidence = _detect_encoding(group.files)
    mapping = group.mapping or SourceMapping(files=group.pattern)
    if not mapping.database:
        mapping = mapping.model_copy(update={"encoding": encoding, "table": group.table})
    if any(map(is_text, group.files)):
        load_csv_source(backend, inspect_source(group.name, mapping, group.files), group.files, scratch)
    else:
        create_view(backend, group.name, [str(file) for file in group.files])
    described = connection_of(backend).execute(f"describe {quote_name(group.name)}").fetchall()
    return LoadedSource(group, mapping, tuple(name for name, *_ in described), evidence)


def _detect_encoding(files: Sequence[Path]) -> tuple[str | None, tuple[str, ...]]:
    """The encoding of the text files that are not UTF-8 without a mark, with the first file that shows it."""
    for file in (file for file in files if file_kind(file) == "csv"):
        with open_bytes(file) as stream:
            content = stream.read()
        if content.startswith(tuple(BYTE_ORDER_MARKS)):
            continue
        try:
            codecs.utf_8_decode(content, "strict", True)
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            encoding = "cp1252" if WINDOWS_QUOTES & set(content) else "latin-1"
            return encoding, (f"{file.name}, line {line} is not UTF-8: read as {encoding}",)
    return None, ()
