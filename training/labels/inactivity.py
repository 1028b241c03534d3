"""Silence: churn where there is no contract, told by the days without a row of usage.

An account churned where `inactive_days` without usage fit wholly inside the horizon: with a horizon as long as that,
where it did nothing in it at all.
"""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

from collections.abc import Mapping
from datetime import datetime

import ibis
import numpy as np
import pandas as pd

from configs.settings import LabelSettings
from features.tables.raw_table import RawTable
from training.labels.departures import FOREVER, KEY, mature

SECONDS_A_DAY = 86_400


def silent(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.Series:
    """1.0 silent, 0.0 not, NaN not known yet; in the order of the snapshots (account_id, as_of)."""
    stretches = snapshots[[KEY, "as_of"]].rename_axis("row").reset_index().merge(_silences(tables, label), on=KEY)
    begins = stretches.as_of + pd.Timedelta(days=label.lead_days)
    ends = begins + pd.Timedelta(days=label.horizon_days)
    # pandas has no row-wise maximum of instants that keeps their type.
    first, last = begins.where(begins > stretches.since, stretches.since), ends.where(ends < stretches.to, stretches.to)
    quiet = stretches.row[last - first >= pd.Timedelta(days=label.inactive_days)]
    answer = pd.Series(snapshots.index.isin(quiet), snapshots.index, dtype="float64", name="churned")
    return answer.where(mature(snapshots, label, known_until), np.nan)


def _silences(tables: Mapping[str, RawTable], label: LabelSettings) -> pd.DataFrame:
    """Every stretch without usage that is long enough: account_id, since, to (far ahead where none came after)."""
    used = tables["usage"].rows.select(KEY, since="occurred_at").distinct()
    following = ibis.window(group_by=KEY, order_by="since")
    next_use = used.since.lead().over(following).fill_null(ibis.timestamp(FOREVER))
    stretches = used.mutate(to=next_use)
    long = stretches.to.delta(stretches.since, unit="second") >= label.inactive_days * SECONDS_A_DAY
    return stretches.filter(long).to_pandas().astype({"since": "datetime64[us]", "to": "datetime64[us]"})
