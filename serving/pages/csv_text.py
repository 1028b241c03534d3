"""Writes rows as CSV that a spreadsheet takes for text and numbers, never for a formula."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """The rows as CSV; a text that a spreadsheet takes for a formula gets an apostrophe before it.

    >>> write_csv(["name", "mrr"], [{"name": "=1+1", "mrr": -2.5}])
    "name,mrr\\n'=1+1,-2.5\\n"
    """
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _safe_cell(value) for name, value in row.items()} for row in rows)
    return file.getvalue()


def _safe_cell(value: object) -> object:
    if isinstance(value, str) and value.lstrip("'").startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
