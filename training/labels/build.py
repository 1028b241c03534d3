"""Builds the labels of snapshots in the mode of the settings, and the context that labels are checked with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import ibis
import numpy as np
import pandas as pd

from configs.errors import ConfigError
from configs.sections.label import LabelSettings
from features.tables.contract import ACCOUNT_ID
from features.tables.point_in_time import has_closed
from features.tables.raw_table import RawTable
from training.labels.contraction import label_contraction
from training.labels.definition import DATED_MODES, churned_column, horizon_ends, supported_horizons
from training.labels.departures import (
    find_departures,
    find_next_departure,
    label_departures,
    label_next_departure,
)
from training.labels.inactivity import label_inactivity
from training.labels.merged_accounts import follow_merges
from training.labels.query import label_by_query

REQUIRED_TABLE = {
    "contract": "subscriptions",
    "event": "notices",
    "inactivity": "usage",
    "contraction": "subscriptions",
    "query": "accounts",
}


@dataclass(frozen=True)
class LabelContext:
    """What is known of snapshots besides their signals, in the order of the snapshots.

    `left_at` is when the account leaves next, `locked_until` the end of its longest paid term as agreed at as_of, and
    `notice_until` the end of a notice that it had given by then; NaT if there is none.
    """

    left_at: pd.Series
    locked_until: pd.Series
    notice_until: pd.Series

    def subset(self, mask: pd.Series) -> "LabelContext":
        """The context of the chosen snapshots, with a new index."""
        return LabelContext(*(column[mask].reset_index(drop=True) for column in vars(self).values()))


def build_labels(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.Series:
    """1.0 churned, 0.0 stayed, NaN unknown or left before the horizon; in the order of the snapshots.

    Raises ConfigError if the data set lacks the table that the mode reads, LabelsRefused for answers of a query that
    are no labels.
    """
    _require_table(tables, label)
    followed = follow_merges(tables, snapshots)
    return _build_labels(followed.tables, followed.snapshots, label, known_until)


def _build_labels(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.Series:
    if label.mode == "inactivity":
        return label_inactivity(tables, snapshots, label, known_until)
    if label.mode == "contraction":
        return label_contraction(tables, snapshots, label, known_until)
    if label.mode == "query":
        return label_by_query(tables, snapshots, label, known_until)
    return label_departures(snapshots, find_departures(tables, label), label, known_until)


def _require_table(tables: Mapping[str, RawTable], label: LabelSettings) -> None:
    if REQUIRED_TABLE[label.mode] not in tables:
        raise ConfigError(
            f"The label mode '{label.mode}' needs the table '{REQUIRED_TABLE[label.mode]}', which is not mapped.",
            "Map it, or choose another mode.",
        )


def find_next_departures(tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings) -> pd.Series:
    """When the account of each snapshot (account_id, as_of) leaves next, NaT if it never does; for dated modes."""
    followed = follow_merges(tables, snapshots)
    return find_next_departure(followed.snapshots, find_departures(followed.tables, label))


def find_all_departures(tables: Mapping[str, RawTable], label: LabelSettings) -> pd.Series:
    """When any account left; for dated modes."""
    nobody = pd.DataFrame({ACCOUNT_ID: [], "as_of": []})
    return find_departures(follow_merges(tables, nobody).tables, label).left_at


def build_labels_by_horizon(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.DataFrame:
    """The labels for every horizon that the mode supports, in a column each; each matures in its own time.

    If accounts leave on a day, all columns follow from that day, so none contradicts another.
    """
    _require_table(tables, label)
    followed = follow_merges(tables, snapshots)
    tables, snapshots = followed.tables, followed.snapshots
    horizons, _ = supported_horizons(label)
    labels = {days: label.model_copy(update={"horizon_days": days}) for days in horizons}
    if label.mode in DATED_MODES:
        left_at = find_next_departure(snapshots, find_departures(tables, label))
        columns = {
            days: label_next_departure(snapshots, left_at, settings, known_until) for days, settings in labels.items()
        }
    else:
        columns = {days: _build_labels(tables, snapshots, settings, known_until) for days, settings in labels.items()}
    return pd.DataFrame({churned_column(days): column for days, column in columns.items()})


def build_contraction_labels(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.Series | None:
    """1.0 if the account's revenue shrank within the main horizon, 0.0 if not, NaN unknown.

    None if contraction is the main label already, or if the data set has no subscriptions.
    """
    if label.mode == "contraction" or "subscriptions" not in tables:
        return None
    followed = follow_merges(tables, snapshots)
    return label_contraction(followed.tables, followed.snapshots, label, known_until)


def build_label_context(tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings) -> LabelContext:
    """The context of the labels of these snapshots (account_id, as_of)."""
    followed = follow_merges(tables, snapshots)
    tables, snapshots = followed.tables, followed.snapshots
    never = pd.Series(pd.NaT, snapshots.index, dtype="datetime64[us]")
    is_dated = label.mode in DATED_MODES
    return LabelContext(
        left_at=find_next_departure(snapshots, find_departures(tables, label)) if is_dated else never,
        locked_until=_locked_until(tables, snapshots) if label.mode == "contract" else never,
        notice_until=_notice_until(tables, snapshots) if label.mode == "event" else never,
    )


def is_locked_in(rows: pd.DataFrame, context: LabelContext, label: LabelSettings) -> pd.Series:
    """Whether the account's paid term runs past the end of the horizon."""
    return context.locked_until >= horizon_ends(rows.as_of, label)


def _locked_until(tables: Mapping[str, RawTable], snapshots: pd.DataFrame) -> pd.Series:
    terms = _to_ibis(snapshots).join(tables["subscriptions"].rows, ACCOUNT_ID)
    has_ended = terms.ended_at.notnull() & has_closed(terms, "ended_at", terms.as_of)
    return _latest(terms.filter((terms.started_at < terms.as_of) & ~has_ended), "renews_at", snapshots)


def _notice_until(tables: Mapping[str, RawTable], snapshots: pd.DataFrame) -> pd.Series:
    notices = _to_ibis(snapshots).join(tables["notices"].rows, ACCOUNT_ID)
    is_pending = (notices.notified_at < notices.as_of) & (notices.effective_at > notices.as_of)
    return _latest(notices.filter(is_pending), "effective_at", snapshots)


def _to_ibis(snapshots: pd.DataFrame) -> ibis.Table:
    columns = {
        "row": np.arange(len(snapshots)),
        ACCOUNT_ID: snapshots[ACCOUNT_ID].to_numpy(),
        "as_of": snapshots.as_of.to_numpy(),
    }
    return ibis.memtable(pd.DataFrame(columns))


def _latest(rows: ibis.Table, column: str, snapshots: pd.DataFrame) -> pd.Series:
    latest = rows.group_by("row").aggregate(latest=rows[column].max()).to_pandas().set_index("row").latest
    aligned = latest.reindex(np.arange(len(snapshots))).astype("datetime64[us]")
    return pd.Series(aligned.to_numpy(), snapshots.index)
