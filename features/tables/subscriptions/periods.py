"""Periods: neighbouring subscriptions of one account are joined before anything reads them.

Sources write the end of a period as its last second, as its last day, or as the start of the next period. An end moves
to the start of the period that it meant: the nearest one of the account within the tolerance, or, if that begins before
the end, the nearest one of the same plan. Subscriptions that overlap for longer, such as add-ons, stay as they are.
Risk set, signals and labels read the joined periods, so that they agree.
"""

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from features.tables.contract import ACCOUNT_ID
from features.tables.point_in_time import CONTINUES

SECONDS_PER_HOUR = 3_600
PERIOD = (ACCOUNT_ID, "plan", "started_at", "ended_at")


@dataclass(frozen=True)
class PeriodCounts:
    """How many ends were moved to the start of the next period, and what is left of gaps and overlaps.

    A gap is a time without any subscription between two of an account; an overlap is a subscription that begins while
    another one of the account runs.
    """

    joined: int
    gaps: int
    overlaps: int


def join_periods(subscriptions: ir.Table, hours: int) -> ir.Table:
    """The subscriptions with every end moved to the start of the next period, if that is at most `hours` away.

    `CONTINUES` says of each row whether the next period begins exactly where it ends.
    """
    following = _next_starts(subscriptions, hours)
    written = [subscriptions[ACCOUNT_ID], _plan(subscriptions), subscriptions.started_at, subscriptions.ended_at]
    same_period = [value == following[f"_{name}"] for value, name in zip(written, PERIOD, strict=True)]
    rows = subscriptions.left_join(following, same_period)
    joined = rows.select(
        *(name for name in subscriptions.columns if name not in {"ended_at", CONTINUES}),
        ended_at=ibis.coalesce(rows["_next_start"], rows.ended_at),
        **{CONTINUES: rows["_next_start"].notnull()},
    )
    return joined.select(*subscriptions.columns, *({CONTINUES} - {*subscriptions.columns}))


def count_periods(subscriptions: ir.Table, joined: ir.Table) -> PeriodCounts:
    """What joining changed, and the gaps and overlaps of the joined periods."""
    so_far = ibis.window(group_by=ACCOUNT_ID, order_by=["started_at", "ended_at"], preceding=None, following=0)
    in_order = ibis.window(group_by=ACCOUNT_ID, order_by=["started_at", "ended_at"])
    ends = joined.select(ACCOUNT_ID, "started_at", ended_at=joined.ended_at.fill_null(ibis.timestamp("9999-01-01")))
    reach = ends.mutate(reach=ends.ended_at.max().over(so_far))
    runs = reach.mutate(runs_until=reach.reach.lag().over(in_order))
    counts = runs.aggregate(
        gaps=(runs.started_at > runs.runs_until).sum(), overlaps=(runs.started_at < runs.runs_until).sum()
    )
    before, after = (rows.ended_at.cast("string") for rows in (subscriptions, joined))
    key = [ACCOUNT_ID, "subscription_id", "started_at"]
    both = subscriptions.select(*key, before=before).join(joined.select(*key, after=after), key)
    moved = both.filter(both.before != both.after).count()
    row = counts.to_pyarrow().to_pylist()[0]
    return PeriodCounts(int(moved.to_pyarrow().as_py()), int(row["gaps"] or 0), int(row["overlaps"] or 0))


def _next_starts(subscriptions: ir.Table, hours: int) -> ir.Table:
    """The start that each end stands for, of the ends that stand for one."""
    ended = subscriptions.filter(subscriptions.ended_at.notnull())
    ends = ended.select(
        **{f"_{ACCOUNT_ID}": ended[ACCOUNT_ID]},
        _plan=_plan(ended),
        _started_at=ended.started_at,
        _ended_at=ended.ended_at,
    ).distinct()
    starts = subscriptions.select(_id=ACCOUNT_ID, _next_plan=_plan(subscriptions), _at="started_at").distinct()
    pairs = ends.join(starts, [ends[f"_{ACCOUNT_ID}"] == starts["_id"], starts["_at"] > ends["_started_at"]])
    seconds = pairs["_at"].delta(pairs["_ended_at"], unit="second")
    is_after = pairs["_at"] >= pairs["_ended_at"]
    may_join = is_after | (pairs["_next_plan"] == pairs["_plan"])
    near = pairs.mutate(_distance=seconds.abs(), _is_after=is_after).filter(
        may_join & (seconds.abs() <= hours * SECONDS_PER_HOUR)
    )
    nearest = near.group_by(*(f"_{name}" for name in PERIOD)).aggregate(
        _later=near["_at"].min(where=near["_is_after"]), _earlier=near["_at"].max(where=~near["_is_after"])
    )
    gap = nearest["_later"].delta(nearest["_ended_at"], unit="second")
    overlap = nearest["_ended_at"].delta(nearest["_earlier"], unit="second")
    prefers_later = nearest["_earlier"].isnull() | (gap <= overlap)
    return nearest.select(
        *(f"_{name}" for name in PERIOD),
        _next_start=(nearest["_later"].notnull() & prefers_later).ifelse(nearest["_later"], nearest["_earlier"]),
    )


def _plan(subscriptions: ir.Table) -> ir.Value:
    return subscriptions.plan.fill_null("")
