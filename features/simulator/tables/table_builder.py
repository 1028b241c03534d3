"""Builds the contract's Arrow tables from numpy columns, with only the rows and values known by the end."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.simulator.model.calendar import World, to_timestamps
from features.tables.contract import ColumnContract, TableContract


@dataclass(frozen=True)
class TextColumn:
    """A text column as codes into categories; a code below 0 is an empty value."""

    # A category may not occur twice: the Parquet writer then leaves uninitialised memory in its dictionary page.
    codes: np.ndarray
    categories: np.ndarray


TableColumns = Mapping[str, np.ndarray | TextColumn]


def text_column(values: np.ndarray) -> TextColumn:
    """A text column of values that are all different, such as ids."""
    return TextColumn(np.arange(len(values)), values)


def row_ids(letter: str, account: np.ndarray) -> TextColumn:
    """One id per row, unique among the rows of its account."""
    return text_column(np.char.add(letter, np.char.zfill(np.arange(len(account)).astype(str), 6)))


def to_arrow_table(table: TableContract, columns: TableColumns, *, world: World) -> pa.Table:
    """The Arrow table of these columns. Instants are given as days from the start, with NaN for a missing one."""
    columns = _take_rows(columns, np.flatnonzero(_known_rows(table, columns, end=world.day_count)))
    names = [name for name in table.columns if name in columns]
    unknown = {name: _unknown_values(table, columns, name=name, end=world.day_count) for name in names}
    arrays = [_to_arrow_array(columns[n], table.columns[n], unknown=unknown[n], world=world) for n in names]
    return pa.table(arrays, names)


def spread_over_weeks(counts: np.ndarray, world: World, *, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """One row per counted event at a random time of its week: (week, account, day)."""
    week, account = np.nonzero(counts)
    times = counts[week, account]
    week, account = np.repeat(week, times), np.repeat(account, times)
    return week, account, world.week_starts[week] + generator.random(len(week)) * world.week_lengths[week]


def recording_times(at: np.ndarray, share: float, *, generator: np.random.Generator) -> np.ndarray:
    """When rows became known: at once, or some days later for a share of them."""
    late = generator.random(len(at)) < share
    return at + late * generator.uniform(1.0, 10.0, len(at))


def _known_rows(table: TableContract, columns: TableColumns, *, end: float) -> np.ndarray:
    """Which rows happened and became known before the end."""
    is_known = np.ones(_row_count(columns), dtype=bool)
    for name in (table.at, "recorded_at"):
        if name is not None and name in columns:
            is_known &= _instants(columns, name) < end
    return is_known


def _instants(columns: TableColumns, name: str) -> np.ndarray:
    values = columns[name]
    assert not isinstance(values, TextColumn), f"{name} is an instant"
    return values


def _row_count(columns: TableColumns) -> int:
    first = next(iter(columns.values()))
    return len(first.codes if isinstance(first, TextColumn) else first)


def _take_rows(columns: TableColumns, rows: np.ndarray) -> TableColumns:
    return {
        name: TextColumn(values.codes[rows], values.categories) if isinstance(values, TextColumn) else values[rows]
        for name, values in columns.items()
    }


def _unknown_values(table: TableContract, columns: TableColumns, *, name: str, end: float) -> np.ndarray:
    """Which values became known only after the end, or never."""
    known_at = table.columns[name].known_at
    if known_at is None or known_at not in columns:
        return np.zeros(_row_count(columns), dtype=bool)
    return ~(_instants(columns, known_at) < end)


def _to_arrow_array(
    values: np.ndarray | TextColumn, column: ColumnContract, *, unknown: np.ndarray, world: World
) -> pa.Array:
    if isinstance(values, TextColumn):
        codes = pa.array(values.codes.astype(np.int32), mask=unknown | (values.codes < 0))
        return pa.DictionaryArray.from_arrays(codes, pa.array(values.categories, pa.string()))
    if column.type == "instant":
        return pa.array(to_timestamps(world, np.where(unknown, np.nan, values)), pa.timestamp("us"))
    if column.type == "flag":
        return pa.array(values.astype(bool), mask=unknown)
    return pa.array(values.astype(np.float64), mask=unknown | np.isnan(values))
