"""From columns of numbers to a table of the contract: only rows and facts known by the end are written."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.simulator.model.calendar import World, dates
from features.tables.contract import Column, Table


@dataclass(frozen=True)
class Text:
    """A text column as codes into words; a code below 0 is an empty value."""

    # A word may not come twice: the Parquet writer then leaves memory it never filled in its dictionary page.
    codes: np.ndarray
    words: np.ndarray


Columns = Mapping[str, np.ndarray | Text]


def text(values: np.ndarray) -> Text:
    """A text column whose values hardly repeat, such as ids."""
    return Text(np.arange(len(values)), values)


def identifiers(letter: str, account: np.ndarray) -> Text:
    """One id per row, unique among the rows of its account."""
    return text(np.char.add(letter, np.char.zfill(np.arange(len(account)).astype(str), 6)))


def table_of(table: Table, columns: Columns, *, world: World) -> pa.Table:
    """The arrow table of these columns; instants come as days from the start with NaN for none."""
    columns = _take(columns, np.flatnonzero(_known(table, columns, end=world.days)))
    names = [name for name in table.columns if name in columns]
    unknown = {name: _unknown(table, columns, name=name, end=world.days) for name in names}
    return pa.table(
        {name: _arrow(columns[name], table.columns[name], unknown=unknown[name], world=world) for name in names}
    )


def spread(counts: np.ndarray, world: World, *, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """One row per counted event, at a random time of its week: (week, account, day)."""
    week, account = np.nonzero(counts)
    times = counts[week, account]
    week, account = np.repeat(week, times), np.repeat(account, times)
    return week, account, world.starts[week] + generator.random(len(week)) * world.lengths[week]


def recorded(at: np.ndarray, share: float, *, generator: np.random.Generator) -> np.ndarray:
    """When rows became known: at once, or for a share of them some days later."""
    late = generator.random(len(at)) < share
    return at + late * generator.uniform(1.0, 10.0, len(at))


def _known(table: Table, columns: Columns, *, end: float) -> np.ndarray:
    """Rows that had happened and become known by the end."""
    known = np.ones(_length(columns), dtype=bool)
    for name in (table.at, "recorded_at"):
        if name is not None and name in columns:
            known &= _instants(columns, name) < end
    return known


def _instants(columns: Columns, name: str) -> np.ndarray:
    values = columns[name]
    assert not isinstance(values, Text), f"{name} is an instant"
    return values


def _length(columns: Columns) -> int:
    first = next(iter(columns.values()))
    return len(first.codes if isinstance(first, Text) else first)


def _take(columns: Columns, rows: np.ndarray) -> Columns:
    return {
        name: Text(values.codes[rows], values.words) if isinstance(values, Text) else values[rows]
        for name, values in columns.items()
    }


def _unknown(table: Table, columns: Columns, *, name: str, end: float) -> np.ndarray:
    """Where a value's own instant lies beyond the end or never came."""
    known_at = table.columns[name].known_at
    if known_at is None or known_at not in columns:
        return np.zeros(_length(columns), dtype=bool)
    return ~(_instants(columns, known_at) < end)


def _arrow(values: np.ndarray | Text, column: Column, *, unknown: np.ndarray, world: World) -> pa.Array:
    if isinstance(values, Text):
        codes = pa.array(values.codes.astype(np.int32), mask=unknown | (values.codes < 0))
        return pa.DictionaryArray.from_arrays(codes, pa.array(values.words, pa.string()))
    if column.type == "instant":
        return pa.array(dates(world, np.where(unknown, np.nan, values)), pa.timestamp("us"))
    if column.type == "flag":
        return pa.array(values.astype(bool), mask=unknown)
    return pa.array(values.astype(np.float64), mask=unknown | np.isnan(values))
