"""Broken sources: a table that stops, arrives twice, or arrives with nulls from a known month on."""

import pyarrow as pa
import pyarrow.compute as pc

from features.simulate.company import BROKEN_SOURCE, Shift
from features.simulate.world import World, dates
from features.tables import Table


def broken(table: Table, rows: pa.Table, *, world: World) -> pa.Table:
    """The rows as they arrive after every shift that breaks this source."""
    for shift in world.company.shifts:
        if shift.kind in BROKEN_SOURCE and shift.table == table.name and shift.month < world.company.months:
            rows = _break(table, rows, shift, world=world)
    return rows


def _break(table: Table, rows: pa.Table, shift: Shift, *, world: World) -> pa.Table:
    since = pa.scalar(dates(world, world.months[[shift.month]].astype(float))[0], pa.timestamp("us"))
    after = pc.greater_equal(rows[table.at], since)  # type: ignore[attr-defined]
    if shift.kind == "stops":
        return rows.filter(pc.invert(after))  # type: ignore[attr-defined]
    if shift.kind == "doubles":
        return _doubled(table, rows, after=after)
    return _emptied(table, rows, after=after)


def _doubled(table: Table, rows: pa.Table, *, after: pa.ChunkedArray) -> pa.Table:
    """The same facts once more; where rows have an id the copy gets one of its own, as a careless import would."""
    copy = rows.filter(after)
    if table.key:
        name = table.key[1]
        again = pc.binary_join_element_wise(copy[name].cast(pa.string()), "again", "-")  # type: ignore[attr-defined]
        rows = rows.set_column(rows.column_names.index(name), name, rows[name].cast(pa.string()))
        copy = copy.set_column(copy.column_names.index(name), name, again)
    return pa.concat_tables([rows, copy])


def _emptied(table: Table, rows: pa.Table, *, after: pa.ChunkedArray) -> pa.Table:
    """Every column a row can do without is empty."""
    for index, name in enumerate(rows.column_names):
        column = table.columns[name]
        if not column.required and name not in table.key and name != "recorded_at":
            values = rows[name].cast(pa.string()) if column.type == "text" else rows[name]
            empty = pa.scalar(None, values.type)
            rows = rows.set_column(index, name, pc.if_else(after, empty, values))  # type: ignore[attr-defined]
    return rows
