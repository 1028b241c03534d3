"""A CSV file before it is read: its encoding, its delimiter, its columns, and where it is not valid CSV."""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from configs.errors import DataError
from features.ingestion.files.compression import open_bytes
from features.ingestion.files.record_file import record_columns, write_records
from features.tables.mapping import SourceMapping, file_kind

DELIMITERS = (",", ";", "\t", "|")
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
UTF_8 = ("utf-8", "utf-8-sig")
COMPARED_ROWS = 1_000
MAX_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class CsvFile:
    """A CSV file with what is needed to read it; `columns` is empty for a file without a header.

    `records` is the source of a file that is no CSV and is written as CSV before it is read.
    """

    path: Path
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    records: SourceMapping | None = None

    @property
    def is_utf8(self) -> bool:
        return self.encoding in UTF_8


def inspect_csv(path: Path, source: SourceMapping) -> CsvFile:
    """What is declared of a file, and the rest as the file shows it.

    Raises DataError, with the setting that decides it, for a file whose encoding or delimiter is not clear.
    """
    try:
        return _inspect(path, source)
    except (OSError, EOFError) as error:
        raise DataError(f"Cannot read {path}: {error}.", "Write the file again.") from None


def _inspect(path: Path, source: SourceMapping) -> CsvFile:
    if file_kind(path) != "csv":
        return CsvFile(path, file_kind(path), ",", record_columns(path, source), source)
    encoding = _encoding(path, source)
    delimiter = source.delimiter or _delimiter(path, encoding)
    with _open_text(path, encoding) as text:
        rows = _rows(path, _lines(path, encoding, text), delimiter)
        header = next(rows, [])
        if not header and any(rows):
            raise DataError(f"{path} begins with an empty line.", "The first line has to name the columns.")
    return CsvFile(path, encoding, delimiter, _columns(path, header))


def transcode(file: CsvFile, target: Path) -> None:
    """Write the file's text as UTF-8 in CSV."""
    if file.records:
        with target.open("w", encoding="utf-8", newline="") as output:
            write_records(file.path, file.records, file.columns, output)
        return
    with _open_text(file.path, file.encoding) as text, target.open("w", encoding="utf-8", newline="") as output:
        try:
            while chunk := text.read(1 << 20):
                output.write(chunk)
        except UnicodeError:
            raise _encoding_error(file.path, file.encoding) from None


def find_lines(file: CsvFile, values: frozenset[str]) -> Iterator[int]:
    """The numbers of the lines at which the rows end that hold each of these values."""
    with _open_text(file.path, file.encoding) as text:
        reader = csv.reader(text, delimiter=file.delimiter)
        for row in reader:
            if values.issubset(value.strip() for value in row):
                yield reader.line_num


def invalid_csv_error(file: CsvFile) -> DataError:
    """The error for a file that could not be read: the first line that is not valid, and why."""
    try:
        with _open_text(file.path, file.encoding) as text:
            return _first_fault(file, text)
    except UnicodeError:
        return _encoding_error(file.path, file.encoding)
    except (OSError, EOFError) as error:
        return DataError(f"Cannot read {file.path}: {error}.", "Write the file again.")


def _first_fault(file: CsvFile, text: IO[str]) -> DataError:
    reader, width = csv.reader(text, delimiter=file.delimiter, strict=True), len(file.columns)
    try:
        for row in reader:
            if row and len(row) != width and row[width:] != [""]:
                return _ragged_row_error(file, reader.line_num, row)
    except csv.Error as error:
        where = f"{file.path}, line {reader.line_num}"
        return DataError(
            f"{where}: a quoted value is not valid CSV ({error}).",
            'Within a quoted value, write a quote twice (""); each quoted value needs its closing quote.',
        )
    return DataError(f"{file.path} is not valid CSV.", "End every line in the same way, and write the file again.")


def _ragged_row_error(file: CsvFile, line: int, row: list[str]) -> DataError:
    shown = file.delimiter.join(row)[:MAX_SHOWN_CHARACTERS]
    values = "1 value" if len(row) == 1 else f"{len(row)} values"
    return DataError(
        f"{file.path}, line {line}: {values} where the header has {len(file.columns)} columns: '{shown}'.",
        "Remove lines that are no row, such as totals and notes of a report, or correct the line.",
    )


def _encoding(path: Path, source: SourceMapping) -> str:
    with open_bytes(path) as stream:
        start = stream.read(4)
    marked = next((name for mark, name in BYTE_ORDER_MARKS.items() if start.startswith(mark)), None)
    if marked:
        return marked
    if source.encoding and source.encoding != "utf-8" and _is_utf8_beyond_ascii(path):
        raise DataError(
            f"{path} is UTF-8, where the mapping declares {source.encoding}.",
            "Remove `encoding`, or give the file a source of its own.",
        )
    return source.encoding or "utf-8"


def _is_utf8_beyond_ascii(path: Path) -> bool:
    decoder, is_ascii = codecs.getincrementaldecoder("utf-8")(), True
    with open_bytes(path) as stream:
        try:
            while chunk := stream.read(1 << 20):
                is_ascii = is_ascii and chunk.isascii()
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return not is_ascii


def _delimiter(path: Path, encoding: str) -> str:
    """The only delimiter that the header has and with which the first rows have as many values as the header."""
    if ".tsv" in path.suffixes:
        return "\t"
    with _open_text(path, encoding) as text:
        header = next((line for line in _lines(path, encoding, text) if line.strip()), "")
    candidates = [delimiter for delimiter in DELIMITERS if delimiter in header]
    if len(candidates) > 1:
        candidates = [delimiter for delimiter in candidates if _splits_evenly(path, encoding, delimiter)]
    if len(candidates) > 1:
        named = " and ".join(f"'{delimiter}'" for delimiter in candidates)
        raise DataError(f"{path}: both {named} could separate its values.", "Declare the source's `delimiter`.")
    return candidates[0] if candidates else DELIMITERS[0]


def _splits_evenly(path: Path, encoding: str, delimiter: str) -> bool:
    with _open_text(path, encoding) as text:
        try:
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            widths = {len(row) for row in islice(reader, COMPARED_ROWS) if row}
        except (csv.Error, UnicodeError):
            return False
    return len(widths) == 1 and widths != {1}


def _columns(path: Path, header: list[str]) -> tuple[str, ...]:
    names = tuple(name.strip() or f"column{position}" for position, name in enumerate(header))
    folded = [name.casefold() for name in names]
    repeated = next((name for name in names if folded.count(name.casefold()) > 1), None)
    if repeated:
        raise DataError(f"{path}: its header has the column '{repeated}' twice.", "Rename one of them.")
    return names


def _rows(path: Path, lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines, delimiter=delimiter)
    except csv.Error as error:
        raise DataError(f"{path}: its header is not valid CSV ({error}).", "Write the file again.") from None


def _lines(path: Path, encoding: str, text: IO[str]) -> Iterator[str]:
    try:
        yield from text
    except UnicodeError:
        raise _encoding_error(path, encoding) from None


def _encoding_error(path: Path, encoding: str) -> DataError:
    """The first line that is not in the encoding, for encodings of which each line can be decoded by itself."""
    declare = 'Declare the encoding of the source, such as `encoding = "latin-1"`.'
    if encoding not in UTF_8 and "\n".encode(encoding) != b"\n":
        return DataError(f"{path} is not in {encoding.upper()}.", declare)
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode(encoding)
            except UnicodeError:
                shown = line.decode("ascii", "replace").strip()[:MAX_SHOWN_CHARACTERS]
                return DataError(f"{path}, line {number}: '{shown}' is not in {encoding.upper()}.", declare)
    return DataError(f"{path} is not in {encoding.upper()}.", declare)


def _open_text(path: Path, encoding: str) -> IO[str]:
    # newline="" leaves the line ends inside quoted values as they are.
    return io.TextIOWrapper(open_bytes(path), encoding, newline="")
