"""Departures: when accounts leave, in the modes in which they leave on a day, and the labels that follow from it.

The label is 1 if the account leaves in [as_of + lead, as_of + lead + horizon). It is missing if the account leaves
before that, which is too late to act on, or if the snapshot is not mature. In contract mode an account leaves on the
day on which its last running subscription ends, unless another one starts within `grace` days; in event mode, on the
day on which it gives notice. `training/labels/inactivity.py` and `training/labels/contraction.py` have the modes that
know no such day.
"""

from collections.abc import Mapping
from datetime import datetime

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from configs.sections.label import LabelSettings
from features.tables.contract import ACCOUNT_ID
from features.tables.point_in_time import FAR_FUTURE, STAYS_UNTIL
from features.tables.raw_table import RawTable
from training.labels.definition import CHURNED, horizon_ends, is_mature


def find_departures(tables: Mapping[str, RawTable], label: LabelSettings) -> pd.DataFrame:
    """Every time an account left: account_id, left_at.

    In contract mode a gap of at most `grace` days does not count; in event mode every notice does.
    """
    if label.mode == "event":
        notices = tables["notices"].rows
        departures = notices.select(ACCOUNT_ID, left_at=notices.notified_at)
    else:
        departures = _contract_ends(tables["subscriptions"].rows, label.grace_days)
    return departures.order_by([ACCOUNT_ID, "left_at"]).to_pandas()


def label_departures(
    snapshots: pd.DataFrame, departures: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.Series:
    """1.0 churned, 0.0 stayed, NaN unknown or left before the horizon; in the order of the snapshots.

    `snapshots` has account_id and as_of; the tables are complete up to `known_until`.
    """
    return label_next_departure(snapshots, find_next_departure(snapshots, departures), label, known_until)


def label_next_departure(
    snapshots: pd.DataFrame, left_at: pd.Series, label: LabelSettings, known_until: datetime
) -> pd.Series:
    """The labels of snapshots, given when their accounts leave next (NaT: never)."""
    begins = snapshots.as_of + pd.Timedelta(days=label.lead_days)
    churned = ((left_at >= begins) & (left_at < horizon_ends(snapshots.as_of, label))).astype("float64")
    return churned.where(is_mature(snapshots, label, known_until) & ~(left_at < begins), np.nan).rename(CHURNED)


def find_next_departure(snapshots: pd.DataFrame, departures: pd.DataFrame) -> pd.Series:
    """When the account of each snapshot leaves next, NaT if it never does; in the order of the snapshots.

    An account can leave, come back, and leave again: the first departure from as_of on counts.
    """
    ordered = snapshots.reset_index(drop=True).rename_axis("row").reset_index().sort_values("as_of")
    following = pd.merge_asof(
        ordered,
        departures.assign(left_at=departures.left_at.astype(ordered.as_of.dtype)).sort_values("left_at"),
        left_on="as_of",
        right_on="left_at",
        by=ACCOUNT_ID,
        direction="forward",
    ).sort_values("row")
    return pd.Series(following.left_at.to_numpy(), index=snapshots.index, name="left_at")


def _contract_ends(rows: ir.Table, grace_days: int) -> ir.Table:
    """The last day of each run of subscriptions that overlap or follow one another within the grace."""
    ends = [rows[name] for name in (STAYS_UNTIL, "ended_at") if name in rows.columns]
    spans = rows.select(ACCOUNT_ID, "started_at", end=ibis.coalesce(*ends, ibis.timestamp(FAR_FUTURE)))
    so_far = ibis.window(group_by=ACCOUNT_ID, order_by=["started_at", "end"], preceding=None, following=0)
    following = ibis.window(group_by=ACCOUNT_ID, order_by=["started_at", "end"])
    runs = spans.mutate(left_at=spans.end.max().over(so_far), next_start=spans.started_at.lead().over(following))
    has_ended = runs.left_at < ibis.timestamp(FAR_FUTURE)
    stays_away = runs.next_start.isnull() | (runs.next_start > runs.left_at + ibis.interval(days=grace_days))
    return runs.filter(has_ended & stays_away).select(ACCOUNT_ID, "left_at")
