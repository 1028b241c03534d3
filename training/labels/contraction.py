"""Contraction: recurring revenue that shrinks inside the horizon although the account stays.

It is separate from churn, so the two never count the same loss: an account whose revenue falls to zero has left, which
is what contract mode labels.
"""

from collections.abc import Mapping
from datetime import datetime

import ibis
import pandas as pd

from configs.sections.label import LabelSettings
from features.tables.contract import ACCOUNT_ID
from features.tables.raw_table import RawTable
from training.labels.definition import CHURNED, horizon_ends, is_mature


def label_contraction(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.Series:
    """1.0 if revenue shrank by `contraction_share` or more between the start and end of the horizon, 0.0 if not.

    NaN if the snapshot is not mature, if there was no revenue at the start of the horizon, or if it shrank so much
    within the lead.
    """
    begins = snapshots.as_of + pd.Timedelta(days=label.lead_days)
    times = (snapshots.as_of, begins, horizon_ends(snapshots.as_of, label))
    at_first, before, after = (_running_revenue(tables, snapshots, time) for time in times)
    has_shrunk = (after > 0) & (after <= (1 - label.contraction_share) * before)
    shrank_early = before <= (1 - label.contraction_share) * at_first
    is_known = is_mature(snapshots, label, known_until) & (before > 0) & ~((label.lead_days > 0) & shrank_early)
    return has_shrunk.astype("float64").where(is_known).rename(CHURNED)


def _running_revenue(tables: Mapping[str, RawTable], snapshots: pd.DataFrame, time: pd.Series) -> pd.Series:
    """The recurring revenue of each snapshot's account at a time, 0 if there is none."""
    times = pd.DataFrame({"row": range(len(snapshots)), ACCOUNT_ID: snapshots[ACCOUNT_ID].to_numpy()})
    times["time"] = time.to_numpy()
    paid = ibis.memtable(times).join(tables["subscriptions"].rows, ACCOUNT_ID)
    is_running = (paid.started_at <= paid.time) & (paid.ended_at.isnull() | (paid.ended_at > paid.time))
    running = paid.filter(is_running)
    sums = running.group_by("row").aggregate(mrr=running.mrr.sum()).to_pandas()
    revenue = sums.set_index("row").mrr.reindex(times.row).fillna(0.0)
    return pd.Series(revenue.to_numpy(), snapshots.index)
