"""Cohorts: the risks that were really served, by any version, with what happened to each account soon after.

In the modes in which accounts leave on a day, a cohort is followed for 28 days, so its answer is known months before
that of the main horizon. The risk of leaving so soon follows from the served risks by horizon, through the hazard. In
other modes a cohort is followed for the main horizon. The cohorts of one account never overlap: no departure counts
twice.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

import numpy as np
import pandas as pd

from configs.sections.label import LabelSettings
from features.tables.contract import ACCOUNT_ID
from monitoring.outcomes.bets import Cohort
from training.labels.definition import CHURNED, DATED_MODES, longest_wait

COHORT_DAYS = 28
SHORT_GRACE_DAYS = 7
PHASES, DENSE_DAYS = 4, 14
NO_PLAY, PLAY, HELD_OUT = "no play", "play", "held out"
DAY_ZERO = datetime(2000, 1, 1)


@dataclass(frozen=True)
class FollowedAccounts:
    """Accounts whose answer is known: as_of, version, risk, churned, care, segment and their families.

    No account is named. `risk` is that of leaving within the cohort's days. `care` says if a play was under way, or
    held out, when the cohort began. `next_known_at` is when the next answers are known; None if nothing was served that
    is still open.
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
    grace_days = min(label.grace_days, SHORT_GRACE_DAYS)
    if label.horizon_days <= COHORT_DAYS:
        return label.model_copy(update={"grace_days": grace_days})
    return label.model_copy(update={"horizon_days": COHORT_DAYS, "horizon_months": None, "grace_days": grace_days})


def days_until_known(label: LabelSettings) -> timedelta:
    """How long after a cohort began its answers are known."""
    return longest_wait(cohort_label(label))


def spacing_of(label: LabelSettings) -> timedelta:
    """How long after a cohort began the next one of the same account may begin."""
    return longest_wait(cohort_label(label).model_copy(update={"grace_days": 0}))


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
