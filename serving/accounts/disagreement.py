"""Where a risk and what people see of an account disagree: who looks fine and is at risk, who looks bad and is safe.

What people see is one number from -1 (looks bad) to 1 (looks fine), the weighted mean of what is known: the owner's own
judgement (the newest feedback or mark) counts twice; the newest survey answers and the commercial signals (a notice,
overdue invoices, the change of recurring revenue) once each. The disagreement is the product of that number and of how
far the risk is above the median account, in robust standard deviations of log-odds. An account of which nothing is
known is on no list.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from serving.accounts.risk_trend import to_log_odds

OWNER_WEIGHT, SURVEY_WEIGHT, COMMERCIAL_WEIGHT = 2.0, 1.0, 1.0
SURVEY_DAYS = 182.0  # an older answer says little of today
NPS_NEUTRAL, NPS_REACH = 7.5, 2.5
CSAT_NEUTRAL, CSAT_REACH = 5.0, 2.0
GROWTH_REACH = 0.2  # a change of recurring revenue that counts in full
MIN_GROWTH = 0.001
OVERDUE, PAYS = -0.5, 0.25
# Of a risk that was not low. Of a low one, "right" means that the account looks fine, and "wrong" that it does not.
JUDGEMENTS: Mapping[str, float] = {"wrong": 1.0, "right": -1.0, "already_known": -1.0, "saved_watch": -0.5}
VERDICTS = ("right", "wrong")
IQR_OF_NORMAL = 1.349
SIGNALS = (
    "last_nps", "last_nps_age", "last_csat", "last_csat_age", "mrr", "mrr_change_91d", "overdue_invoices",
    "days_until_cancellation", "tickets_opened_91d", "conversations_91d",
)  # fmt: skip


@dataclass(frozen=True)
class Appearances:
    """What people see of accounts, by part, NaN where nothing is known; all arrays have a row per account."""

    owner: np.ndarray
    survey: np.ndarray
    commercial: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """The weighted mean of what is known, NaN if nothing is."""
        parts = np.array([self.owner, self.survey, self.commercial])
        weights = np.array([[OWNER_WEIGHT], [SURVEY_WEIGHT], [COMMERCIAL_WEIGHT]]) * np.isfinite(parts)
        total = weights.sum(axis=0)
        return np.where(total > 0, np.nansum(parts * weights, axis=0) / np.where(total > 0, total, 1), np.nan)


def rate_appearances(signals: Mapping[str, np.ndarray], judgements: np.ndarray, was_low: np.ndarray) -> Appearances:
    """What people see, from the signals and from each account's newest judgement (a key of JUDGEMENTS, or None).

    `was_low` says whether the judged risk was in band low.
    """
    owner = np.array([JUDGEMENTS.get(judgement, np.nan) for judgement in judgements], dtype=float)
    owner = np.where(was_low & np.isin(judgements.astype(str), VERDICTS), -owner, owner)
    return Appearances(owner, _survey(signals), _commercial(signals))


def find_disagreements(risks: np.ndarray, appearances: np.ndarray) -> np.ndarray:
    """How much each risk disagrees with what people see; 0 if they agree, or if nothing is seen.

    It is above 0 for accounts that look fine and are at risk, below 0 for those that look bad and are safe.
    """
    surprise = standardize(risks)
    agrees = ~np.isfinite(appearances) | (surprise * appearances <= 0)
    return np.where(agrees, 0.0, surprise * np.abs(np.nan_to_num(appearances)))


def standardize(risks: np.ndarray) -> np.ndarray:
    """The log-odds of risks above the median, in robust standard deviations."""
    log_odds = to_log_odds(risks)
    low, middle, high = np.percentile(log_odds, [25, 50, 75]) if len(log_odds) else (0.0, 0.0, 0.0)
    return (log_odds - middle) / (max(high - low, 1e-9) / IQR_OF_NORMAL)


def _survey(signals: Mapping[str, np.ndarray]) -> np.ndarray:
    answers = [
        np.where(signals[f"{name}_age"] <= SURVEY_DAYS, np.clip((signals[name] - neutral) / reach, -1, 1), np.nan)
        for name, neutral, reach in (
            ("last_nps", NPS_NEUTRAL, NPS_REACH),
            ("last_csat", CSAT_NEUTRAL, CSAT_REACH),
        )
    ]
    count = np.isfinite(answers).sum(axis=0)
    return np.where(count > 0, np.nansum(answers, axis=0) / np.maximum(count, 1), np.nan)


def _commercial(signals: Mapping[str, np.ndarray]) -> np.ndarray:
    """The change of recurring revenue, or that it is paid as agreed; a notice is the worst."""
    mrr, growth = signals["mrr"], signals["mrr_change_91d"] - 1
    moved = np.isfinite(growth) & (np.abs(growth) > MIN_GROWTH)
    value = np.where(moved, np.clip(growth / GROWTH_REACH, -1, 1), PAYS)
    value = np.where(np.nan_to_num(signals["overdue_invoices"]) > 0, np.minimum(value, OVERDUE), value)
    value = np.where(np.isfinite(signals["days_until_cancellation"]), -1.0, value)
    return np.where(np.isfinite(mrr), value, np.nan)
