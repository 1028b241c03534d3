"""Injects source faults from a known month on: a table stops, arrives twice, or arrives with empty values."""

import numpy as np
import pyarrow as pa

from features.simulator.model.calendar import World, to_timestamps
from features.simulator.model.parameters import SOURCE_FAULTS
from features.tables.contract import TableContract


def inject_faults(table: TableContract, rows: pa.Table, *, world: World) -> pa.Table:
    """The rows as they arrive if the company's shifts break this source."""
    for shift in world.company.shifts:
        if shift.kind in SOURCE_FAULTS and shift.table == table.name:
            since = to_timestamps(world, world.month_starts[[shift.month]].astype(np.float64))
            after = rows[table.at].to_numpy() >= since
            rows = FAULTS[shift.kind](table, rows, after)
    return rows


def _stop_source(_: TableContract, rows: pa.Table, after: np.ndarray) -> pa.Table:
    return rows.filter(pa.array(~after))


def _duplicate_rows(table: TableContract, rows: pa.Table, after: np.ndarray) -> pa.Table:
    """Every row twice; if rows have an id, the copy gets a new one, as after a careless import."""
    copy = rows.filter(pa.array(after))
    if table.key:
        name, index = table.key[1], rows.column_names.index(table.key[1])
        rows = rows.set_column(index, name, rows[name].cast(pa.string()))
        copied_ids = [f"{value}-again" for value in copy[name].to_pylist()]
        copy = copy.set_column(index, name, pa.array(copied_ids, pa.string()))
    return pa.concat_tables([rows, copy])


def _null_out_values(table: TableContract, rows: pa.Table, after: np.ndarray) -> pa.Table:
    """Every optional column is empty."""
    row_indices = pa.array(np.arange(len(rows)), mask=after)  # an empty index takes an empty value
    for index, name in enumerate(rows.column_names):
        if not table.columns[name].required and name not in table.key and name != "recorded_at":
            rows = rows.set_column(index, name, rows[name].take(row_indices))
    return rows


FAULTS = {"stops": _stop_source, "doubles": _duplicate_rows, "nulls": _null_out_values}
