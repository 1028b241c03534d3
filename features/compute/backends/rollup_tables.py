"""Kept: tables in DuckDB of rows that are the same whenever they are asked for later, held from one day to the next.

The days of a history look back over much the same events; what is kept of them is made of each event once. Only what
the day at hand looks back on is held, so it does not grow with the length of the history.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

Query = Callable[[datetime, datetime], str]
SOURCE = "kept_source"
# As much as is read at once, which is held for a moment, and as is held, and let go, in one table.
LONGEST = timedelta(days=31)


@dataclass
class _Span:
    """Time of which the rows lie in tables of their own, named after its beginning."""

    since: datetime
    until: datetime

    def table(self, name: str) -> str:
        return f"kept_{name}_{self.since:%Y%m%d}"


class Kept:
    """A view `kept_NAME` for each query, of the rows it gives for stretches of time, as far as they were asked for.

    Where there is a `source`, the queries read `SOURCE`, which holds what it gives for the time at hand. No stretch
    reaches over an edge.
    """

    def __init__(self, run: Callable[[str], Any], edges: Sequence[datetime] = (), source: Query | None = None) -> None:
        self._run, self._edges, self._source = run, edges, source
        self._queries: Mapping[str, Query] = {}
        self._spans: list[_Span] = []
        if source:
            run(f"create or replace temp table {SOURCE} as {source(datetime.min, datetime.min)} with no data")

    def make(self, queries: Mapping[str, Query]) -> None:
        """Say what is made of the source."""
        self._queries = queries
        for name, query in queries.items():
            empty = query(datetime.min, datetime.min)
            self._run(f"create or replace temp table kept_{name}_none as {empty} with no data")
        self._show()

    def hold(self, since: datetime, until: datetime) -> None:
        """Hold the rows from one instant until just before another, and let go of those long before.

        What was read for a later instant knows more than this one may: then all is read again.
        """
        if self._spans and not self._spans[0].since <= since <= self._spans[-1].until <= until:
            self._let_go(datetime.max)
        begun = self._spans[-1].until if self._spans else since
        while begun < until:
            self._add(begun, min(begun + LONGEST, until))
            begun = self._spans[-1].until
        self._let_go(since)
        self._show()

    def _add(self, since: datetime, until: datetime) -> None:
        if self._source:
            self._run(f"create or replace temp table {SOURCE} as {self._source(since, until)}")
        span = self._span(since, until)
        edges = [since, *(edge for edge in self._edges if since < edge < until), until]
        for name, query in self._queries.items():
            for stretch in pairwise(edges):
                self._run(f"insert into {span.table(name)} {query(*stretch)}")
        if self._source:
            self._run(f"truncate {SOURCE}")

    def _span(self, since: datetime, until: datetime) -> _Span:
        """The one that these rows go to: the last where they fit in, a new one otherwise."""
        if not self._spans or until - self._spans[-1].since > LONGEST:
            self._spans.append(_Span(since, until))
            for name in self._queries:
                self._run(f"create temp table {self._spans[-1].table(name)} as from kept_{name}_none")
        self._spans[-1].until = until
        return self._spans[-1]

    def _let_go(self, since: datetime) -> None:
        for span in [one for one in self._spans if one.until <= since]:
            self._spans.remove(span)
            self._show()
            for name in self._queries:
                self._run(f"drop table {span.table(name)}")

    def _show(self) -> None:
        for name in self._queries:
            tables = [f"kept_{name}_none", *(span.table(name) for span in self._spans)]
            rows = " union all ".join(f"from {table}" for table in tables)
            self._run(f"create or replace temp view kept_{name} as {rows}")
