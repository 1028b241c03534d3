"""The Parquet files of one source as one table: joined by name, each column in the widest of its types."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from configs.errors import DataError

MAX_EXACT_INTEGER = 2**53  # above it, neighbouring whole numbers are the same double
Types = dict[str, pa.DataType]


@dataclass(frozen=True)
class ParquetGroup:
    """Files of one schema: the columns that have to be cast for the union, and those that hold nothing but nulls."""

    paths: tuple[str, ...]
    casts: Mapping[str, pa.DataType]
    empty: frozenset[str]


def group_for_union(paths: Sequence[str]) -> list[ParquetGroup]:
    """The files in groups of the same schema, in the order of the files.

    Raises DataError, by file and column, for a file that is not Parquet and for types that cannot be joined.
    """
    schemas = {path: _read_types(path) for path in paths}
    target = _union_types(schemas)
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for path, types in schemas.items():
        groups.setdefault(tuple(sorted((name, str(kind)) for name, kind in types.items())), []).append(path)
    return [_group(tuple(members), schemas[members[0]], target) for members in groups.values()]


def find_unreadable(files: Iterable[Path]) -> tuple[Path, str] | None:
    """The first Parquet file that cannot be read, and why; None if all can."""
    for file in files:
        try:
            for _ in pq.ParquetFile(file).iter_batches():
                pass
        except (pa.ArrowException, OSError) as error:
            return file, str(error).splitlines()[0].rstrip(".")
    return None


def escape_pattern(path: str) -> str:
    """The path for an engine that takes paths for patterns."""
    return re.sub(r"([\[*?])", r"[\1]", path)


def _group(paths: tuple[str, ...], types: Types, target: Types) -> ParquetGroup:
    folded = {name: target[name.casefold()] for name in types}
    empty = frozenset(name for name in types if pa.types.is_null(types[name]) and not pa.types.is_null(folded[name]))
    casts = {name: kind for name, kind in folded.items() if kind != types[name] and name not in empty}
    for name in (name for name in casts if pa.types.is_integer(types[name]) and pa.types.is_floating(casts[name])):
        for path in paths:
            _require_exact_doubles(path, name)
    return ParquetGroup(paths, casts, empty)


def _read_types(path: str) -> Types:
    try:
        return {field.name: _plain_type(field.type) for field in pq.read_schema(path)}
    except (pa.ArrowException, OSError):
        raise DataError(f"Cannot read {path}: it is not a complete Parquet file.", "Write the file again.") from None


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    return pa.string() if pa.types.is_large_string(kind) else kind


def _union_types(schemas: Mapping[str, Types]) -> Types:
    target: Types = {}
    for path, types in schemas.items():
        for name, kind in types.items():
            before = target.get(name.casefold())
            joined = kind if before is None else _join(before, kind)
            if joined is None:
                raise DataError(
                    f"{path}: the column '{name}' is {kind}, in the files before it is {before}.",
                    "Write it with the same type, or give the file a source of its own and cast it in the select.",
                )
            target[name.casefold()] = joined
    return target


def _join(left: pa.DataType, right: pa.DataType) -> pa.DataType | None:
    """The type that holds the values of both; None if there is none."""
    kinds = (left, right)
    if left == right or pa.types.is_null(right):
        return left
    if pa.types.is_null(left):
        return right
    if _all(kinds, pa.types.is_signed_integer) or _all(kinds, pa.types.is_unsigned_integer):
        return max(kinds, key=lambda kind: kind.bit_width)
    if all(_is_number(kind) for kind in kinds):
        return pa.float64()
    if all(pa.types.is_date(kind) or pa.types.is_timestamp(kind) for kind in kinds):
        has_zone = any(pa.types.is_timestamp(kind) and kind.tz is not None for kind in kinds)
        return pa.timestamp("us", tz="UTC") if has_zone else pa.timestamp("us")
    return None


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _all(kinds: Iterable[pa.DataType], is_kind: Callable[[pa.DataType], bool]) -> bool:
    return all(is_kind(kind) for kind in kinds)


def _require_exact_doubles(path: str, name: str) -> None:
    extremes = pc.min_max(pq.read_table(path, columns=[name])[name]).as_py()  # type: ignore[attr-defined]
    if any(value is not None and abs(value) > MAX_EXACT_INTEGER for value in extremes.values()):
        raise DataError(
            f"{path}: the column '{name}' has whole numbers of more than 15 digits, and another file has fractions.",
            "Write the column as text, or with the same type in every file.",
        )
