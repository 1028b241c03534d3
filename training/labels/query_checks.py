"""Whether the answers of a label query can be learned from: they have to depend on what happens in the horizon."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

import numpy as np
import pandas as pd

from configs.errors import LabelsRefused
from configs.sections.label import LabelSettings
from features.tables.contract import ACCOUNT_ID
from features.tables.raw_table import RawTable
from training.labels.merged_accounts import follow_merges
from training.labels.query import QueryWindow, answer_query, query_window

SHOWN_DAYS = 3


def raise_for_answers(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, labels: pd.Series, label: LabelSettings
) -> None:
    """Raise LabelsRefused for days without answers, days on which all churn, and answers known before the horizon.

    `snapshots` are mature.
    """
    _raise_for_days(snapshots, labels.notna(), "has no answer but null")
    _raise_for_days(snapshots, labels.ne(1), "has churned accounts only")
    followed = follow_merges(tables, snapshots)
    _raise_if_known_before(followed.tables, followed.snapshots, labels, label)


def _raise_for_days(snapshots: pd.DataFrame, is_sound: pd.Series, fault: str) -> None:
    """A day is sound if any of its snapshots is."""
    sound: pd.Series = is_sound.groupby(snapshots.as_of).any()
    days = [f"{day:%Y-%m-%d}" for day in sound.index[~sound.to_numpy("bool")]]
    if days:
        more = f" and on {len(days) - SHOWN_DAYS} days more" if len(days) > SHOWN_DAYS else ""
        raise LabelsRefused(
            f"label.query {fault} on {', '.join(days[:SHOWN_DAYS])}{more}.",
            "Are its tables complete then? Set observed_from or observed_until in the mapping, or correct the query.",
        )


def _raise_if_known_before(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, labels: pd.Series, label: LabelSettings
) -> None:
    """Ask the newest day with churned accounts again, with tables that end where the horizon begins."""
    churned = snapshots.as_of[labels == 1]
    if churned.empty:
        return
    is_newest = snapshots.as_of == churned.max()
    newest: pd.DataFrame = snapshots[[ACCOUNT_ID, "as_of"]][is_newest]
    early = answer_query(tables, newest, label.query or "", partial(_window_before, label))
    if np.array_equal(early.to_numpy(), labels[is_newest].to_numpy(), equal_nan=True):
        raise LabelsRefused(
            f"label.query answers the same for all accounts of {churned.max():%Y-%m-%d} without what happened in the"
            " horizon: a model would learn what is known already.",
            "Let the query look at rows from begins to ends of `snapshots`, or shorten the lead.",
        )


def _window_before(label: LabelSettings, as_of: datetime) -> QueryWindow:
    """The horizon of a day, at whose beginning the tables end."""
    window = query_window(label, as_of)
    return replace(window, sees=window.begins)
