"""The hash of an ibis expression: of its operations and literals, not of the source text that built it."""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.schema as sch
import ibis.expr.types as ir
from ibis.backends import BaseBackend

SCALARS = (str, bool, int, float, bytes, Decimal, date, datetime, Enum, dt.DataType, ops.Namespace, type(None))


def hash_expression(expression: ir.Expr) -> str:
    """A hash that is equal in every process for expressions of equal operations, columns, types and literals.

    A table of a backend counts with its name, its columns and their types, and an SQL text as it stands. Another
    release of ibis may build other operations. Raises TypeError for an operation that holds rows or Python code.
    """
    operation = expression.op()
    return operation.map(_hash_operation)[operation].hex()[:24]


def _hash_operation(operation: ops.Node, _: object, **arguments: object) -> bytes:
    # The arguments that are operations themselves come as their hashes.
    return hashlib.sha256(f"{type(operation).__name__}{_canonical(arguments)}".encode()).digest()


def _canonical(value: object) -> str:
    if isinstance(value, SCALARS):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, BaseBackend):
        return value.name
    if isinstance(value, sch.Schema):
        return _canonical(dict(value.items()))
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name!r}: {_canonical(item)}' for name, item in value.items())}}}"
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_canonical, value))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_canonical, value)))}}}"
    raise TypeError(f"{type(value).__name__} in an expression has no canonical form")
