"""Inactivity: churn without a contract, measured by days without usage.

An account churned if `inactive_days` without usage fit inside the horizon. If the horizon is exactly that long, the
account did nothing in it at all. It leaves when the stretch without usage begins, and not before as_of; if that is
within the lead, its label is unknown, as in the other modes.
"""

from collections.abc import Mapping
from datetime import datetime

import ibis
import numpy as np
import pandas as pd

from configs.sections.label import LabelSettings
from features.tables.contract import ACCOUNT_ID
from features.tables.point_in_time import FAR_FUTURE
from features.tables.raw_table import RawTable
from training.labels.definition import CHURNED, horizon_ends, is_mature

SECONDS_PER_DAY = 86_400


def label_inactivity(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.Series:
    """1.0 inactive, 0.0 active, NaN unknown; in the order of the snapshots (account_id, as_of)."""
    gaps = (
        snapshots[[ACCOUNT_ID, "as_of"]]
        .rename_axis("row")
        .reset_index()
        .merge(_long_gaps(tables, label), on=ACCOUNT_ID)
    )
    begins = gaps.as_of + pd.Timedelta(days=label.lead_days)
    ends = horizon_ends(gaps.as_of, label)
    # pandas has no row-wise maximum of timestamps that keeps their type.
    first, last = begins.where(begins > gaps.since, gaps.since), ends.where(ends < gaps.until, gaps.until)
    inactive = gaps.row[last - first >= pd.Timedelta(days=label.inactive_days)]
    churned = pd.Series(snapshots.index.isin(inactive), snapshots.index, dtype="float64", name=CHURNED)
    left_early = snapshots.index.isin(gaps.row[_begins_in_lead(gaps, label)])
    return churned.where(is_mature(snapshots, label, known_until) & ~left_early, np.nan)


def _begins_in_lead(gaps: pd.DataFrame, label: LabelSettings) -> pd.Series:
    """Whether the account leaves within the lead: a long enough stretch without usage, from as_of on, begins there."""
    silent_from = gaps.as_of.where(gaps.as_of > gaps.since, gaps.since)
    is_long = gaps.until - silent_from >= pd.Timedelta(days=label.inactive_days)
    return is_long & (silent_from < gaps.as_of + pd.Timedelta(days=label.lead_days))


def _long_gaps(tables: Mapping[str, RawTable], label: LabelSettings) -> pd.DataFrame:
    """Every gap in usage that is long enough: account_id, since, until (far in the future if usage never resumed)."""
    used = tables["usage"].rows.select(ACCOUNT_ID, since="occurred_at").distinct()
    following = ibis.window(group_by=ACCOUNT_ID, order_by="since")
    next_use = used.since.lead().over(following).fill_null(ibis.timestamp(FAR_FUTURE))
    gaps = used.mutate(until=next_use)
    is_long = gaps.until.delta(gaps.since, unit="second") >= label.inactive_days * SECONDS_PER_DAY
    return gaps.filter(is_long).to_pandas().astype({"since": "datetime64[us]", "until": "datetime64[us]"})
