"""Which sources a select reads."""

from collections.abc import Iterable

import sqlglot
from sqlglot import expressions as sge
from sqlglot.errors import SqlglotError

from features.compute.backends.base import MAPPING_DIALECT


def sources_read(select: str, sources: Iterable[str]) -> frozenset[str]:
    """The sources that a select names as tables; all of them for a select that cannot be parsed."""
    try:
        tree = sqlglot.parse_one(select, dialect=MAPPING_DIALECT)
    except SqlglotError:
        return frozenset(sources)
    names = {table.name.casefold() for table in tree.find_all(sge.Table)}
    return frozenset(source for source in sources if source.casefold() in names)
