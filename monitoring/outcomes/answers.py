"""Answers: what happened to each account soon after its risk was served, read from the data set.

How many accounts left after the days that a version was calibrated on says how little it can know about its own level.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import ibis
import numpy as np
import pandas as pd

from configs.sections.label import LabelSettings
from configs.settings import Settings
from configs.state_dir import StateDir
from features.publishing.open_dataset import OpenDataset
from features.store.history import complete_days
from features.tables.account_merges import rows_as_written
from features.tables.contract import ACCOUNT_ID
from features.tables.raw_table import RawTable
from monitoring.outcomes.cohorts import (
    HELD_OUT,
    NO_PLAY,
    PLAY,
    FollowedAccounts,
    choose_snapshots,
    cohort_label,
    days_until_known,
    spacing_of,
)
from monitoring.outcomes.served_scores import (
    log_odds_by_family,
    read_scores,
    read_served_snapshots,
    risk_within,
)
from serving.ledger.ledger import Ledger
from training.data.training_set import observed_labels, snapshots_on
from training.labels.build import build_labels, find_all_departures
from training.labels.definition import CHURNED, label_hash
from training.registry.mlflow_registry import open_registry

PLAY_DAYS, ASSIGNED_WITHIN_DAYS = 91, 2
Days = tuple[str, ...]


def follow_served_accounts(
    opened: OpenDataset, settings: Settings, ledger: Ledger, known_until: datetime
) -> FollowedAccounts:
    """Every cohort of risks that were served, with the answers that are known by an instant."""
    known_until = opened.known_until(known_until)
    served = read_served_snapshots(ledger, label_hash(settings.label), known_until)
    label, wait = cohort_label(settings.label), days_until_known(settings.label)
    chosen = choose_snapshots(served, spacing_of(settings.label))
    is_known = chosen.as_of + wait <= pd.Timestamp(known_until)
    rows: pd.DataFrame = chosen[is_known].reset_index(drop=True).astype({"as_of": "datetime64[us]"})
    rows[CHURNED] = build_labels(opened.tables, rows[[ACCOUNT_ID, "as_of"]], label, known_until)
    rows = rows.dropna(subset=[CHURNED]).reset_index(drop=True)
    parts = _parts(ledger, rows, label.horizon_days)
    rows["risk"] = np.clip(parts.pop("risk") * _return_factor(opened, settings.label, known_until), 0, 1)
    rows["care"], rows["segment"] = care_at(opened.tables, rows), segments_of(opened.tables, rows)
    pending = chosen.as_of[~is_known]
    return FollowedAccounts(
        pd.concat([rows.drop(columns=["id", ACCOUNT_ID]), parts], axis=1),
        tuple(map(str, parts.columns)),
        None if pending.empty else pd.Timestamp(pending.min() + wait).to_pydatetime(),
    )


def care_at(tables: Mapping[str, RawTable], rows: pd.DataFrame) -> pd.Series:
    """Whether an account had a play, or one that was held out, when its cohort began: the last one counts.

    Plays that are assigned later are not looked at: only accounts that stay are given one.
    """
    care = pd.Series(NO_PLAY, rows.index)
    if "plays" not in tables:
        return care
    plays = rows_as_written(tables["plays"].rows)
    is_held_out = plays.holdout.fill_null(False) if "holdout" in plays.columns else ibis.literal(False)
    assigned = plays.select(ACCOUNT_ID, "assigned_at", is_held_out=is_held_out).to_pandas()
    seen_at = assigned.assigned_at - pd.Timedelta(days=ASSIGNED_WITHIN_DAYS)
    assigned["seen_at"] = seen_at.astype("datetime64[us]")  # pandas joins instants of one resolution only
    begun = rows[[ACCOUNT_ID, "as_of"]].astype({"as_of": "datetime64[us]"})
    ordered = begun.rename_axis("row").reset_index().sort_values("as_of")
    tolerance = pd.Timedelta(days=PLAY_DAYS + ASSIGNED_WITHIN_DAYS)
    last = pd.merge_asof(
        ordered,
        assigned.sort_values("seen_at"),
        left_on="as_of",
        right_on="seen_at",
        by=ACCOUNT_ID,
        tolerance=tolerance,
    ).set_index("row")
    has_play = last.assigned_at.notna().reindex(rows.index)
    held_out = last.is_held_out.eq(True).reindex(rows.index)
    return care.mask(has_play, PLAY).mask(has_play & held_out, HELD_OUT)


def _parts(ledger: Ledger, rows: pd.DataFrame, days: int) -> pd.DataFrame:
    """The risk within some days, and the log-odds of each family, of each served row; 0 if a family was not served."""
    scores = read_scores(ledger, rows["id"].tolist())
    parts = [{"risk": risk_within(score["risks"], days), **log_odds_by_family(score)} for score in scores]
    return pd.DataFrame(parts, index=rows.index, columns=None if parts else ["risk"]).fillna(0.0)


def _return_factor(opened: OpenDataset, label: LabelSettings, known_until: datetime) -> float:
    """How many departures there are after a short grace for each one after the full grace, by past departures.

    Some accounts come back after the short grace: waiting for them would make every answer weeks older.
    """
    short = cohort_label(label)
    if label.mode != "contract" or short.grace_days == label.grace_days:
        return 1.0
    before = pd.Timestamp(known_until - timedelta(days=label.grace_days))
    counts = [int((find_all_departures(opened.tables, kind) < before).sum()) for kind in (short, label)]
    return (counts[0] + 1) / (counts[1] + 1)


def segments_of(tables: Mapping[str, RawTable], rows: pd.DataFrame) -> pd.Series:
    """The segment of the account of each row; empty if the data set names none."""
    accounts = tables["accounts"]
    if "segment" not in accounts.source_columns:
        return pd.Series("", rows.index)
    segments = accounts.rows.select(ACCOUNT_ID, "segment").to_pandas().drop_duplicates(ACCOUNT_ID)
    return rows[ACCOUNT_ID].map(segments.set_index(ACCOUNT_ID).segment).fillna("").astype(str)


def read_calibration_days(
    settings: Settings, state: StateDir, versions: Collection[int], stored: Mapping[int, Days]
) -> Mapping[int, Days]:
    """The days of versions that are not stored yet; none of a version that was deleted since it served."""
    unknown = set(versions).difference(stored)
    if not unknown:
        return {}
    registry = open_registry(state, settings.name)
    registered = {version.number: version for version in registry.versions()}
    evaluations = {number: registry.evaluation(registered[number]) for number in unknown if number in registered}
    return dict.fromkeys(unknown, ()) | {
        number: tuple(evaluation.recalibrated_on or evaluation.split["calibration"])
        for number, evaluation in evaluations.items()
    }


def count_departures(opened: OpenDataset, settings: Settings, names: Days, known_until: datetime) -> int:
    """The accounts that left after these days; an account counts once, on however many days it was seen."""
    days = sorted({datetime.fromisoformat(name) for name in names} & {*complete_days(opened.history)})
    if not days:
        return 0
    snapshots = snapshots_on(opened.history, days)
    churned = observed_labels(opened, settings, snapshots, known_until)
    return int(snapshots[ACCOUNT_ID][churned == 1].nunique())
