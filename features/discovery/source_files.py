"""The data files of a folder, grouped to sources: files of one name that differ in a number or date are one table."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from configs.errors import DataError
from configs.state_dir import OWNER_FILE
from features.ingestion.files.record_file import list_tables
from features.tables.dataset import is_shadow
from features.tables.mapping import DUCKDB_SUFFIXES, SQLITE_SUFFIXES, TEXT_SUFFIXES, SourceMapping

SUFFIXES = (".parquet", *TEXT_SUFFIXES)
NUMBERING = re.compile(r"([ _.-]*(\(\d+\)|copy|\d[\dTt_.-]*|part|export|[a-z]+=[^/]*))+$", re.IGNORECASE)
GENERIC_STEMS = {"", "part", "data", "export", "file", "chunk", "rows"}


@dataclass(frozen=True)
class FileGroup:
    """The files of a source with the pattern that finds them, and the files that are copies of another one.

    The `mapping` is that of a table of a database, whose rows were copied to the file.
    """

    name: str
    pattern: str
    files: tuple[Path, ...]
    copies: tuple[tuple[Path, Path], ...] = ()
    table: str | None = None
    mapping: SourceMapping | None = None


def group_files(folder: Path) -> list[FileGroup]:
    """The sources of a folder, by name. Raises DataError if it holds no data file."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder.", "Name the folder that holds your files.")
    states = {owner.parent for owner in folder.rglob(OWNER_FILE)}  # tables that Oarlock converted are no sources
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and _is_data(file, folder) and states.isdisjoint(file.parents)
    ]
    if not files:
        raise DataError(f"{folder} has no data file.", f"Files that can be read end in {', '.join(SUFFIXES)}.")
    groups: dict[tuple[Path, str, str], list[Path]] = defaultdict(list)
    for file in files:
        groups[_group_key(file, folder)].append(file)
    return sorted(unique_names(_split(folder, groups)), key=lambda group: group.name)


def source_name(text: str) -> str:
    """A text as the name of a source.

    >>> source_name("Support Tickets (EU)"), source_name("2024 plans")
    ('support_tickets_eu', 'source_2024_plans')
    """
    name = re.sub(r"\W+", "_", text).strip("_").lower()
    return name if name and not name[0].isdigit() else f"source_{name}"


def suffix_of(file: Path) -> str:
    """The end of a file's name that says what it is; empty if it is no data file."""
    name = file.name.lower()
    return next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.endswith(suffix)), "")


def _is_data(file: Path, folder: Path) -> bool:
    return bool(suffix_of(file)) and not is_shadow(file, folder)


def _group_key(file: Path, folder: Path) -> tuple[Path, str, str]:
    """The folder, name and kind that the files of one source share."""
    suffix = suffix_of(file)
    parent, stem = file.parent, NUMBERING.sub("", file.name[: -len(suffix)]).strip(" _.-")
    while "=" in parent.name and parent != folder:  # a partition, such as month=2024-01
        parent, stem = parent.parent, ""
    if stem.casefold() in GENERIC_STEMS and parent != folder:
        return parent, "", suffix
    return parent, stem, suffix


def _split(folder: Path, groups: dict[tuple[Path, str, str], list[Path]]) -> Iterator[FileGroup]:
    for (parent, stem, suffix), files in groups.items():
        if suffix in (*SQLITE_SUFFIXES, *DUCKDB_SUFFIXES):
            yield from (group for file in files for group in _database_groups(folder, file))
            continue
        originals, copies = _drop_copies(files)
        pattern = _pattern(folder, parent, stem, originals, suffix)
        if pattern:
            yield FileGroup(source_name(stem or parent.name), pattern, tuple(originals), tuple(copies))
            continue
        for file in originals:
            name = source_name(file.name[: -len(suffix)])
            yield FileGroup(name, file.relative_to(folder).as_posix(), (file,), tuple(copies))
            copies = []


def _database_groups(folder: Path, file: Path) -> Iterator[FileGroup]:
    """A source for each table of a database file."""
    pattern = file.relative_to(folder).as_posix()
    for table in list_tables(file):
        yield FileGroup(source_name(table), pattern, (file,), table=table)


def _drop_copies(files: list[Path]) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """The files without those that are equal to another one to the byte, and each copy with its original."""
    if len(files) == 1:
        return files, []
    originals: dict[str, Path] = {}
    copies = []
    for file in sorted(files, key=lambda path: (len(path.name), path.name)):
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        original = originals.setdefault(digest, file)
        if original != file:
            copies.append((file, original))
    return sorted(originals.values()), copies


def _pattern(folder: Path, parent: Path, stem: str, files: list[Path], suffix: str) -> str:
    """A pattern that finds these files and no others; empty if there is none."""
    if len(files) == 1:
        return files[0].relative_to(folder).as_posix()
    base = parent.relative_to(folder).as_posix()
    prefix = "" if base == "." else f"{base}/"
    names = [file.name for file in files]
    spellings = {name[: len(stem)] for name in names} if stem else {""}
    if len(spellings) > 1:
        return ""
    patterns = (f"{prefix}{stem}*{suffix}", f"{prefix}{stem}[0-9_ -]*{suffix}", f"{prefix}**/*{suffix}")
    return next((pattern for pattern in patterns if sorted(folder.glob(pattern)) == sorted(files)), "")


def unique_names(groups: Iterable[FileGroup]) -> Iterator[FileGroup]:
    """The groups, with a number at the end of a name that an earlier one has."""
    taken: set[str] = set()
    for group in groups:
        name, number = group.name, 2
        while name in taken:
            name, number = f"{group.name}_{number}", number + 1
        taken.add(name)
        yield replace(group, name=name)
