"""Broken sources: a table that stops, arrives twice, or arrives with nulls from a known month on."""

import numpy as np
import pyarrow as pa

from features.simulator.model.calendar import World, dates
from features.simulator.model.parameters import BROKEN_SOURCE
from features.tables.contract import Table


def broken(table: Table, rows: pa.Table, *, world: World) -> pa.Table:
    """The rows as they arrive after every shift that breaks this source."""
    for shift in world.company.shifts:
        if shift.kind in BROKEN_SOURCE and shift.table == table.name:
            since = dates(world, world.months[[shift.month]].astype(np.float64))
            after = rows[table.at].to_numpy() >= since
            rows = {"stops": _stopped, "doubles": _doubled, "nulls": _emptied}[shift.kind](table, rows, after=after)
    return rows


def _stopped(_: Table, rows: pa.Table, *, after: np.ndarray) -> pa.Table:
    return rows.filter(pa.array(~after))


def _doubled(table: Table, rows: pa.Table, *, after: np.ndarray) -> pa.Table:
    """The same facts once more; where rows have an id the copy gets one of its own, as a careless import would."""
    copy = rows.filter(pa.array(after))
    if table.key:
        name, place = table.key[1], rows.column_names.index(table.key[1])
        rows = rows.set_column(place, name, rows[name].cast(pa.string()))
        again = [f"{value}-again" for value in copy[name].to_pylist()]
        copy = copy.set_column(place, name, pa.array(again, pa.string()))
    return pa.concat_tables([rows, copy])


def _emptied(table: Table, rows: pa.Table, *, after: np.ndarray) -> pa.Table:
    """Every column a row can do without is empty."""
    kept = pa.array(np.arange(len(rows)), mask=after)  # an empty index takes an empty value
    for place, name in enumerate(rows.column_names):
        if not table.columns[name].required and name not in table.key and name != "recorded_at":
            rows = rows.set_column(place, name, rows[name].take(kept))
    return rows
