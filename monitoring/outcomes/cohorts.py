"""Cohorts: the risks that were really served, by any version, with what happened to each account soon after.

In the modes in which accounts leave on a day, a cohort is followed for 28 days, so its answer is known months before
that of the main horizon. The risk of leaving so soon follows from the served risks by horizon, through the hazard. In
other modes a cohort is followed for the main horizon. The cohorts of one account never overlap: no departure counts
twice.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

import ibis
import numpy as np
import pandas as pd

from configs.settings import LabelSettings, Settings
from features.publishing.pipeline import OpenDataset
from features.tables.contract import ACCOUNT_ID
from features.tables.raw_table import RawTable
from monitoring.outcomes.bets import Cohort
from monitoring.outcomes.served_scores import (
    log_odds_by_family,
    read_scores,
    read_served_snapshots,
    risk_within,
)
from serving.ledger.ledger import Ledger
from training.labels.build import DATED_MODES, build_labels
from training.labels.definition import CHURNED, label_hash, matures_at
from training.labels.departures import find_departures

COHORT_DAYS = 28
SHORT_GRACE_DAYS = 7
PHASES, DENSE_DAYS = 4, 14
PLAY_DAYS, ASSIGNED_WITHIN_DAYS = 91, 2
NO_PLAY, PLAY, HELD_OUT = "no play", "play", "held out"
DAY_ZERO = datetime(2000, 1, 1)


@dataclass(frozen=True)
class FollowedAccounts:
    """Accounts whose answer is known: account_id, as_of, version, risk, churned, care, segment and their families.

    `risk` is that of leaving within the cohort's days. `care` says if a play was under way, or held out, when the
    cohort began. `next_known_at` is when the next answers are known; None if nothing was served that is still open.
    """

    rows: pd.DataFrame
    families: tuple[str, ...]
    next_known_at: datetime | None

    def cohorts(self) -> list[Cohort]:
        """The cohorts of accounts without a play, by day and version: plays that save must not look like a wrong risk.

        Held-out accounts are among them.
        """
        own = self.rows[self.rows.care != PLAY]
        return [self._cohort(rows) for _, rows in own.groupby(["as_of", "version"], sort=True)]

    def _cohort(self, rows: pd.DataFrame) -> Cohort:
        return Cohort(
            started=pd.Timestamp(rows.as_of.iloc[0]).to_pydatetime(),
            version=int(rows.version.iloc[0]),
            risks=np.asarray(rows["risk"], "float64"),
            churned=np.asarray(rows[CHURNED], "float64"),
            families={family: np.asarray(rows[family], "float64") for family in self.families},
            segments=np.asarray(rows["segment"].tolist(), np.str_),
        )


def cohort_label(label: LabelSettings) -> LabelSettings:
    """The label of a cohort: departures within 28 days, or the main label if accounts do not leave on a day."""
    if label.mode not in DATED_MODES:
        return label
    days = min(COHORT_DAYS, label.horizon_days)
    return label.model_copy(update={"horizon_days": days, "grace_days": min(label.grace_days, SHORT_GRACE_DAYS)})


def days_until_known(label: LabelSettings) -> timedelta:
    """How long after a cohort began its answers are known."""
    return matures_at(DAY_ZERO, cohort_label(label)) - DAY_ZERO


def follow_served_accounts(
    opened: OpenDataset, settings: Settings, ledger: Ledger, known_until: datetime
) -> FollowedAccounts:
    """Every cohort of risks that were served, with the answers that are known by an instant."""
    known_until = opened.known_until(known_until)
    served = read_served_snapshots(ledger, label_hash(settings.label), known_until)
    label, wait = cohort_label(settings.label), days_until_known(settings.label)
    chosen = choose_snapshots(served, timedelta(days=label.lead_days + label.horizon_days))
    is_known = chosen.as_of + wait <= pd.Timestamp(known_until)
    rows: pd.DataFrame = chosen[is_known].reset_index(drop=True).astype({"as_of": "datetime64[us]"})
    rows[CHURNED] = build_labels(opened.tables, rows[[ACCOUNT_ID, "as_of"]], label, known_until)
    rows = rows.dropna(subset=[CHURNED]).reset_index(drop=True)
    parts = _parts(ledger, rows, label.horizon_days)
    rows["risk"] = np.clip(parts.pop("risk") * _return_factor(opened, settings.label, known_until), 0, 1)
    rows["care"], rows["segment"] = care_at(opened.tables, rows), segments_of(opened.tables, rows)
    pending = chosen.as_of[~is_known]
    return FollowedAccounts(
        pd.concat([rows, parts], axis=1),
        tuple(map(str, parts.columns)),
        None if pending.empty else pd.Timestamp(pending.min() + wait).to_pydatetime(),
    )


def choose_snapshots(served: pd.DataFrame, spacing: timedelta) -> pd.DataFrame:
    """The snapshots that start a cohort: each account's first, then the first after the end of the one before.

    If risks are served more often than every other week, accounts begin in one of four weeks: there is news every week.
    """
    days = sorted({_to_datetime(day) for day in served.as_of.unique()})
    gaps = [(later - earlier).days for earlier, later in pairwise(days)]
    is_dense = bool(gaps) and median(gaps) < DENSE_DAYS
    ordered = served.sort_values([ACCOUNT_ID, "as_of"], kind="stable").reset_index(drop=True)
    starts: list[bool] = []
    account, next_start = "", DAY_ZERO
    for account_id, as_of in zip(ordered[ACCOUNT_ID], map(_to_datetime, ordered["as_of"]), strict=True):
        if account_id != account:
            account = account_id
            next_start = days[0] + timedelta(weeks=zlib.crc32(account.encode()) % PHASES if is_dense else 0)
        starts.append(as_of >= next_start)
        next_start = as_of + spacing if starts[-1] else next_start
    return ordered[np.array(starts, dtype=bool)].reset_index(drop=True)


def _to_datetime(instant: pd.Timestamp) -> datetime:
    return instant.to_pydatetime()


def care_at(tables: Mapping[str, RawTable], rows: pd.DataFrame) -> pd.Series:
    """Whether an account had a play, or one that was held out, when its cohort began: the last one counts.

    Plays that are assigned later are not looked at: only accounts that stay are given one.
    """
    care = pd.Series(NO_PLAY, rows.index)
    if "plays" not in tables:
        return care
    plays = tables["plays"].rows
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
    counts = [int((find_departures(opened.tables, kind).left_at < before).sum()) for kind in (short, label)]
    return (counts[0] + 1) / (counts[1] + 1)


def segments_of(tables: Mapping[str, RawTable], rows: pd.DataFrame) -> pd.Series:
    """The segment of the account of each row; empty if the data set names none."""
    accounts = tables["accounts"]
    if "segment" not in accounts.source_columns:
        return pd.Series("", rows.index)
    segments = accounts.rows.select(ACCOUNT_ID, "segment").to_pandas().drop_duplicates(ACCOUNT_ID)
    return rows[ACCOUNT_ID].map(segments.set_index(ACCOUNT_ID).segment).fillna("").astype(str)
