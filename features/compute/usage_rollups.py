"""Look-back: what the days of a history keep of usage, so that each event is read once and not once a day.

Usage by day and usage by stretch of time say nothing of when they are asked for, from the day on for which they were
read: what became known later is told apart in them, and they are cut in time like any raw table.
"""

# pyright: reportArgumentType=false
# (the published types of ibis do not cover its columns)

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import ibis.expr.types as ir

from features.compute.backends.base import Engine, MadeOf
from features.tables.contract import CONTRACT
from features.tables.derived import BY_DAY, BY_STRETCH, LATELY, OF_DAYS, OF_STRETCHES, by_day, by_stretch
from features.tables.point_in_time import happened_between, known_later
from features.tables.raw_table import RawTable

Hold = Callable[[datetime], None]
Reaches = Mapping[str, int | None]
LEAST_STRETCH_DAYS = 7  # of shorter ones there are hardly fewer rows than events


def keep_usage(
    engine: Engine, tables: Mapping[str, RawTable], reaches: Reaches, days: Sequence[datetime]
) -> tuple[dict[str, RawTable], Hold]:
    """The tables made of usage that are worth keeping for these days, and what makes them hold all that one day needs.

    `reaches` says how many days back each derived table is read.
    """
    limits = {name: reach for name, reach in reaches.items() if reach is not None}
    made = dict(rollup_builders(tables["usage"], limits, days)) if "usage" in tables else {}
    if not made or engine.keep is None:
        return {}, lambda _: None
    edges = _edges({name: limits[name] for name in made if name in OF_STRETCHES}, days)
    kept = engine.keep(lambda since, until: read_events(tables["usage"], since, until), made, edges)
    rows = {
        name: RawTable(
            BY_STRETCH if name in OF_STRETCHES else BY_DAY, engine.select(f"select * from kept_{name}"), frozenset()
        )
        for name in made
    }
    back = timedelta(days=max(limits[name] for name in {*OF_DAYS, *made} if name in limits))
    return rows, lambda as_of: kept.hold(as_of - back, as_of)


def rollup_builders(
    usage: RawTable, limits: Mapping[str, int], days: Sequence[datetime]
) -> Iterator[tuple[str, MadeOf]]:
    """What is worth keeping, and how it is made of events between two midnights."""
    named, late = "user_id" in usage.given, "recorded_at" in usage.given
    # People who are told by their names cannot be counted in parts, where some were told of late.
    told = {OF_DAYS[name] for name in limits if name in OF_DAYS} - ({"people"} if named and late else set())
    if told and any(_is_read_again(limits[name], days) for name in limits if name in OF_DAYS):
        yield BY_DAY.name, lambda rows, _: by_day(rows, told, named=named, late=late)
    for name, what in OF_STRETCHES.items():
        if name in limits and _is_read_again(limits[name], days) and _are_long(limits[name], days):
            yield name, _by_stretch(what, late=late)


def _by_stretch(what: str, *, late: bool) -> MadeOf:
    return lambda rows, since: by_stretch(rows, what, since, late=late)


def read_events(usage: RawTable, since: datetime, until: datetime) -> ir.Table:
    """The events from one midnight until another, and of `recorded_at` what is seen from that other one or later.

    That is its day, or nothing where the event was known by then.
    """
    rows = happened_between(usage.rows, CONTRACT["usage"], since, until)
    late = known_later(rows.recorded_at, until)
    return rows.select("account_id", "user_id", "event", "occurred_at", "quantity", recorded_at=late)


def _edges(limits: Mapping[str, int], days: Sequence[datetime]) -> list[datetime]:
    """Where the windows over stretches begin and end, seen from any of the days."""
    back = {0, LATELY, *limits.values()} if limits else set()
    return sorted({day - timedelta(days=some) for day in days for some in back})


def _are_long(limit: int, days: Sequence[datetime]) -> bool:
    """Whether the stretches that these days would cut the time into are longer than a few days."""
    begins = max(days) - timedelta(days=limit)
    within = [edge for edge in _edges({"usage_kinds": limit}, days) if begins < edge <= max(days)]
    return len(within) * LEAST_STRETCH_DAYS <= limit


def _is_read_again(limit: int, days: Sequence[datetime]) -> bool:
    """Whether looking back so far from each of the days goes over the same events more than once."""
    return len(days) > 1 and (max(days) - min(days)).days < limit * (len(days) - 1)
