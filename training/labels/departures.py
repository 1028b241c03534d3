"""Labels: whether a snapshot's account left inside the horizon, and whether that can be known yet.

A snapshot's label is 1 where the account leaves in [as_of + lead, as_of + lead + horizon), and is missing where it
leaves before that (too late to act on) or where the snapshot is not mature. In contract mode an account leaves on the
day its last running subscription ends, unless another one runs within `grace` days; in event mode when it gives notice.
Silence and contraction are no single day: `training/labels/inactivity.py` and `training/labels/contraction.py` tell
those.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from configs.settings import LabelSettings
from features.tables.raw_table import RawTable

KEY = "account_id"
FOREVER = "2200-01-01"
# What each mode reads besides lead, horizon, grace and the snapshots it is asked of.
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "contract": ("locked_in",),
    "event": (),
    "inactivity": ("inactive_days", "active_within_days"),
    "contraction": ("contraction_share",),
}


def label_hash(label: LabelSettings) -> str:
    """A hash of what counts as churn, the mode and all it reads; it is on every label, model and risk."""
    return hashlib.sha256(repr(sorted(describe_label(label).items())).encode()).hexdigest()[:12]


def describe_label(label: LabelSettings) -> dict[str, Any]:
    """The mode and every parameter it reads."""
    read = ("mode", "lead_days", "horizon_days", "grace_days", *PARAMETERS[label.mode])
    return {name: getattr(label, name) for name in read}


def matures_at(as_of: datetime, label: LabelSettings) -> datetime:
    """When the answer of a snapshot is known: the horizon is over, and so is the grace of who left on its last day."""
    return as_of + timedelta(days=label.lead_days + label.horizon_days + label.grace_days)


def departures(tables: Mapping[str, RawTable], label: LabelSettings) -> pd.DataFrame:
    """Every time an account left: account_id, left_at; in contract mode a gap of at most `grace` days is none.

    In event mode every notice counts.
    """
    if label.mode == "event":
        given = tables["notices"].rows
        return given.select(KEY, left_at=given.notified_at).order_by([KEY, "left_at"]).to_pandas()
    rows = tables["subscriptions"].rows
    spans = rows.select(KEY, "started_at", end=rows.ended_at.fill_null(ibis.timestamp(FOREVER)))
    so_far = ibis.window(group_by=KEY, order_by=["started_at", "end"], preceding=None, following=0)
    following = ibis.window(group_by=KEY, order_by=["started_at", "end"])
    reached = spans.mutate(reached=spans.end.max().over(so_far), next_start=spans.started_at.lead().over(following))
    left = reached.filter(_really_left(reached, label.grace_days))
    return left.select(KEY, left_at=left.reached).order_by([KEY, "left_at"]).to_pandas()


def horizons_of(label: LabelSettings) -> tuple[tuple[int, ...], dict[int, str]]:
    """The horizons that the mode can answer, rising, and why any other cannot be answered."""
    asked = tuple(sorted({*label.horizons, label.horizon_days}))
    why = {
        "inactivity": lambda days: "shorter than label.inactive_days" if days < label.inactive_days else "",
        "contraction": lambda days: "a contraction can be undone later" if days != label.horizon_days else "",
    }.get(label.mode, lambda _: "")
    return tuple(days for days in asked if not why(days)), {days: why(days) for days in asked if why(days)}


def within(horizon_days: int) -> str:
    """The column of the answers at one of several horizons."""
    return f"churned_{horizon_days}"


def labelled(snapshots: pd.DataFrame, left: pd.DataFrame, label: LabelSettings, known_until: datetime) -> pd.Series:
    """1.0 churned, 0.0 stayed, NaN not known or gone before the horizon began; in the order of the snapshots.

    `snapshots` has account_id and as_of; `known_until` is up to when the tables are complete.
    """
    return answered(snapshots, next_departure(snapshots, left), label, known_until)


def answered(snapshots: pd.DataFrame, gone: pd.Series, label: LabelSettings, known_until: datetime) -> pd.Series:
    """The labels of snapshots of which it is known when their accounts leave next (NaT never)."""
    begins = snapshots.as_of + pd.Timedelta(days=label.lead_days)
    ends = begins + pd.Timedelta(days=label.horizon_days)
    answer = ((gone >= begins) & (gone < ends)).astype("float64")
    return answer.where(mature(snapshots, label, known_until) & ~(gone < begins), np.nan).rename("churned")


def next_departure(snapshots: pd.DataFrame, left: pd.DataFrame) -> pd.Series:
    """When the account of each snapshot leaves next, NaT where it never does; in the order of the snapshots.

    An account can leave, come back, and leave again: the departure that counts is the first from as_of on.
    """
    ordered = snapshots.reset_index(drop=True).rename_axis("row").reset_index().sort_values("as_of")
    following = pd.merge_asof(
        ordered,
        left.assign(left_at=left.left_at.astype(ordered.as_of.dtype)).sort_values("left_at"),
        left_on="as_of",
        right_on="left_at",
        by=KEY,
        direction="forward",
    ).sort_values("row")
    return pd.Series(following.left_at.to_numpy(), index=snapshots.index, name="left_at")


def mature(snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime) -> pd.Series:
    """Whether the answer of each snapshot is known."""
    takes = pd.Timedelta(matures_at(datetime(2000, 1, 1), label) - datetime(2000, 1, 1))
    return snapshots.as_of + takes <= pd.Timestamp(known_until)


def _really_left(rows: ir.Table, grace_days: int) -> ir.BooleanValue:
    ended = rows.reached < ibis.timestamp(FOREVER)
    stayed_away = rows.next_start.isnull() | (rows.next_start > rows.reached + ibis.interval(days=grace_days))
    return ended & stayed_away
