"""Labels: whether a snapshot's account left inside the horizon, and whether that can be known yet.

Contract mode: an account leaves on the day its last running subscription ends, unless another one runs within `grace`
days. A snapshot's label is 1 where it leaves in [as_of + lead, as_of + lead + horizon), and is missing where it leaves
before that (too late to act on) or where the snapshot is not mature.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from configs.settings import LabelSettings
from features.reading import RawTable

KEY = "account_id"
MODE = "contract"
FOREVER = "2200-01-01"


def label_hash(label: LabelSettings) -> str:
    """A hash of what counts as churn; it is on every label, model and risk."""
    return hashlib.sha256(f"{MODE} {label.model_dump_json()}".encode()).hexdigest()[:12]


def matures_at(as_of: datetime, label: LabelSettings) -> datetime:
    """When the answer of a snapshot is known: the horizon is over, and so is the grace of who left on its last day."""
    return as_of + timedelta(days=label.lead_days + label.horizon_days + label.grace_days)


def departures(tables: Mapping[str, RawTable], label: LabelSettings) -> pd.DataFrame:
    """Every time an account left: account_id, left_at. A gap of at most `grace` days is no departure."""
    rows = tables["subscriptions"].rows
    spans = rows.select(KEY, "started_at", end=rows.ended_at.fill_null(ibis.timestamp(FOREVER)))
    so_far = ibis.window(group_by=KEY, order_by=["started_at", "end"], preceding=None, following=0)
    following = ibis.window(group_by=KEY, order_by=["started_at", "end"])
    reached = spans.mutate(reached=spans.end.max().over(so_far), next_start=spans.started_at.lead().over(following))
    left = reached.filter(_really_left(reached, label.grace_days))
    return left.select(KEY, left_at=left.reached).order_by([KEY, "left_at"]).to_pandas()


def labelled(snapshots: pd.DataFrame, left: pd.DataFrame, label: LabelSettings, known_until: datetime) -> pd.Series:
    """1.0 churned, 0.0 stayed, NaN not known or gone before the horizon began; in the order of the snapshots.

    `snapshots` has account_id and as_of; `known_until` is up to when the tables are complete.
    """
    ordered = snapshots.reset_index(drop=True).rename_axis("row").reset_index().sort_values("as_of")
    # An account can leave, come back, and leave again: the departure that counts is the first from as_of on.
    following = pd.merge_asof(
        ordered,
        left.assign(left_at=left.left_at.astype(ordered.as_of.dtype)).sort_values("left_at"),
        left_on="as_of",
        right_on="left_at",
        by=KEY,
        direction="forward",
    ).sort_values("row")
    begins = following.as_of + pd.Timedelta(days=label.lead_days)
    ends = begins + pd.Timedelta(days=label.horizon_days)
    answer = ((following.left_at >= begins) & (following.left_at < ends)).astype("float64")
    mature = ends + pd.Timedelta(days=label.grace_days) <= pd.Timestamp(known_until)
    answer = answer.where(mature & ~(following.left_at < begins), np.nan)
    return pd.Series(answer.to_numpy(), index=snapshots.index, name="churned")


def _really_left(rows: ir.Table, grace_days: int) -> ir.BooleanValue:
    ended = rows.reached < ibis.timestamp(FOREVER)
    stayed_away = rows.next_start.isnull() | (rows.next_start > rows.reached + ibis.interval(days=grace_days))
    return ended & stayed_away
