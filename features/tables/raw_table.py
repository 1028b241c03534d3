"""A raw table after mapping: its contract, its expression and the columns that the data set has."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
from dataclasses import dataclass

import ibis.expr.types as ir

from features.tables.contract import Table

IBIS_TYPES = {"text": "string", "number": "float64", "instant": "timestamp", "flag": "boolean"}


@dataclass(frozen=True)
class RawTable:
    """One table of the contract as rows that keep to it; `given` are the columns the data set really has."""

    contract: Table
    rows: ir.Table
    given: frozenset[str]
