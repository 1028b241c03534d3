"""The files of a vendor's export in a folder."""

from collections.abc import Iterator
from pathlib import Path

from configs.errors import DataError
from features.discovery.source_files import FileGroup, suffix_of
from features.drafting.selects.decisions import DecisionLog
from features.ingestion.text_comparisons import sources_read
from features.ready.part import ReadyPart
from features.tables.dataset import is_shadow


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
    """The file of a source or, if there is none, those in the folder of its name; singular and plural are the same.

    A pattern may have several names, with a bar between them.
    """
    base, folder = folders
    stems = frozenset[str]().union(*(_spellings(name.removesuffix(".*")) for name in pattern.split("|")))
    data = [file for file in sorted(base.glob("*")) if suffix_of(file) and not is_shadow(file, folder)]
    files = [file for file in data if file.is_file() and _stem(file) in stems]
    below = [child for child in sorted(base.glob("*")) if child.is_dir() and child.name.casefold() in stems]
    if len(files) > 1:
        raise DataError(f"{base} has {' and '.join(file.name for file in files)}.", "Keep one of them.")
    if files:
        yield FileGroup(source, files[0].relative_to(folder).as_posix(), tuple(files))
    elif below:
        inside = [file for file in sorted(below[0].glob("*")) if suffix_of(file) and not is_shadow(file, folder)]
        suffixes = {suffix_of(file) for file in inside}
        if len(suffixes) > 1:
            raise DataError(f"{below[0]} has files of {' and '.join(sorted(suffixes))}.", "Keep those of one kind.")
        if inside:
            yield FileGroup(source, f"{below[0].relative_to(folder).as_posix()}/*{suffixes.pop()}", tuple(inside))


def _stem(file: Path) -> str:
    return file.name[: -len(suffix_of(file))].casefold()


def _spellings(stem: str) -> frozenset[str]:
    """The name of a table in singular and plural, in lower case.

    >>> sorted(_spellings("company")), sorted(_spellings("prices"))
    (['companies', 'company'], ['price', 'prices'])
    """
    word = stem.casefold()
    if word.endswith("ies"):
        return frozenset({word, f"{word[:-3]}y"})
    if word.endswith("s"):
        return frozenset({word, word[:-1]})
    return frozenset({word, f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"})
