"""Contraction: recurring revenue that shrinks inside the horizon without the account leaving.

It is told apart from churn, so the two never count the same loss: an account whose revenue is gone altogether has left,
which the label of contract mode says.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

from collections.abc import Mapping
from datetime import datetime, timedelta

import ibis
import numpy as np
import pandas as pd

from configs.settings import LabelSettings
from features.tables.raw_table import RawTable
from training.labels.departures import KEY, mature


def contracted(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.Series:
    """1.0 shrank by `contraction_share` or more from the horizon's beginning to its end, 0.0 not, NaN not known.

    It is not known where the snapshot is not mature, or where no revenue was running as the horizon began.
    """
    before, after = (
        _revenue(tables, snapshots, days) for days in (label.lead_days, label.lead_days + label.horizon_days)
    )
    shrank = (after > 0) & (after <= (1 - label.contraction_share) * before)
    known = mature(snapshots, label, known_until) & (before > 0)
    return shrank.astype("float64").where(known, np.nan).rename("churned")


def _revenue(tables: Mapping[str, RawTable], snapshots: pd.DataFrame, days: int) -> pd.Series:
    """The recurring revenue running so many days after each snapshot, 0 where none is."""
    asked = pd.DataFrame({"row": np.arange(len(snapshots)), KEY: snapshots[KEY].to_numpy()})
    asked["instant"] = (snapshots.as_of + timedelta(days=days)).to_numpy()
    paid = ibis.memtable(asked).join(tables["subscriptions"].rows, KEY)
    running = (paid.started_at <= paid.instant) & (paid.ended_at.isnull() | (paid.ended_at > paid.instant))
    found = paid.filter(running).group_by("row").aggregate(mrr=lambda rows: rows.mrr.sum()).to_pandas()
    revenue = found.set_index("row").mrr.reindex(asked.row).fillna(0.0)
    return pd.Series(revenue.to_numpy(), snapshots.index)
