"""The files of a vendor's export in a folder."""

from collections.abc import Iterator
from pathlib import Path

from configs.errors import DataError
from features.discovery.source_files import FileGroup, suffix_of
from features.drafting.selects.decisions import DecisionLog
from features.ingestion.text_comparisons import sources_read
from features.ready.part import ReadyPart
from features.tables.mapping import is_shadow


def find_exported_files(part: ReadyPart, folder: Path) -> list[FileGroup]:
    """The files of each source of a part that has some: in the folder of the vendor's name, or in `folder` itself.

    Raises DataError if a source has files of several kinds.
    """
    own = folder / part.name
    base = own if own.is_dir() else folder
    return [group for source, files in part.content.sources.items() for group in _find(source, files, (base, folder))]


def leave_out_tables(part: ReadyPart, groups: list[FileGroup], decisions: DecisionLog) -> ReadyPart:
    """The part without the tables whose files are not there. Raises DataError if it cannot do without them."""
    exported = {group.name for group in groups}
    for table, text in part.tables.items():
        missing = [source for source in sources_read(text.select, part.content.sources) if source not in exported]
        if not missing:
            continue
        files = ", ".join(part.content.sources[source] for source in missing)
        if table not in part.content.optional_tables:
            raise DataError(
                f"{part.name}: {table} need {files}, which is not there.",
                f"Put the export into the folder '{part.name}', or correct the names of its files.",
            )
        decisions.note(part.name, f"{files} is not there, so that there are no {table}")
        part = part.without(table)
    return part


def _find(source: str, pattern: str, folders: tuple[Path, Path]) -> Iterator[FileGroup]:
    base, folder = folders
    stem = pattern.removesuffix(".*")
    for prefix in (f"{stem}.", f"{stem}/"):
        files = [file for file in sorted(base.glob(f"{prefix}*")) if suffix_of(file) and not is_shadow(file, folder)]
        if files:
            yield FileGroup(source, _pattern(base.relative_to(folder) / stem, prefix, files), tuple(files))
            return


def _pattern(stem: Path, prefix: str, files: list[Path]) -> str:
    suffixes = {suffix_of(file) for file in files}
    if len(suffixes) > 1:
        raise DataError(f"{files[0].parent} has {stem.name} as {' and '.join(sorted(suffixes))}.", "Keep one of them.")
    return f"{stem.as_posix()}/*{suffixes.pop()}" if prefix.endswith("/") else f"{stem.as_posix()}{suffixes.pop()}"
