"""A raw table after mapping: its contract, its expression and the columns that the data set has."""

from dataclasses import dataclass

import ibis.expr.types as ir

from features.tables.contract import TableContract

IBIS_TYPES = {"text": "string", "number": "float64", "instant": "timestamp", "flag": "boolean"}


@dataclass(frozen=True)
class RawTable:
    """One table of the contract as rows that follow it; `source_columns` are the columns that the data set has."""

    contract: TableContract
    rows: ir.Table
    source_columns: frozenset[str]
