"""Where an account and what people see of it disagree: who looks fine and is at risk, who looks bad and is safe.

What people see is one number from -1 (looks bad) to 1 (looks fine), the weighted mean of what is known: what people
said counts twice, that is the owner's own judgement (the newest feedback or mark) and the newest survey answers; the
commercial signals (a notice, overdue invoices, the change of recurring revenue) count once. The disagreement is the
product of that number and of the evidence against it: how far the risk is above that of the median account (a third of
it), and how far the use of the product, for what the account pays, is below it (two thirds, bounded), both in robust
standard deviations of logarithms. The use is there because a model may see little risk in an account that hardly uses
what it pays for. An account of which nothing is seen is on no list. The scales of survey answers are those of the
contract.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from features.tables.contract import CONTRACT
from serving.accounts.trends.risk_trend import to_log_odds

OWNER_WEIGHT, SURVEY_WEIGHT, COMMERCIAL_WEIGHT = 2.0, 2.0, 1.0
SURVEY_DAYS = 182.0  # an older answer says little of today
# Where on its scale an answer says neither: NPS between 7 and 8 of 10, CSAT 5 of 7.
NEUTRAL_ANSWERS: Mapping[str, float] = {"nps": 3 / 4, "csat": 2 / 3}
GROWTH_REACH = 0.2  # a change of recurring revenue that counts in full
MIN_GROWTH = 0.001
OVERDUE, PAYS = -0.5, 0.25
# Of a risk that was not low. Of a low one, "right" means that the account looks fine, and "wrong" that it does not.
JUDGEMENTS: Mapping[str, float] = {"wrong": 1.0, "right": -1.0, "already_known": -1.0, "saved_watch": -0.5}
VERDICTS = ("right", "wrong")
IQR_OF_NORMAL = 1.349
RISK_SHARE = 1 / 3  # of the evidence; the rest is the use
MAX_DEVIATIONS = 4.0  # of the use; an account without any is not first whatever people see of it
HALF_EVENT, LITTLE_UTILISATION = 0.5, 0.01  # keep the logarithms of no events and of no users finite
LITTLE_USE = 1.0  # robust standard deviations below the median account: about one account in six
MIN_SPREAD = 1e-9  # of log-odds; less is rounding
SIGNALS = (
    "last_nps", "last_nps_age", "last_csat", "last_csat_age", "mrr", "mrr_change_91d", "overdue_invoices",
    "days_until_cancellation", "tickets_opened_91d", "conversations_91d", "events_28d", "seats", "seat_utilisation_28d",
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


@dataclass(frozen=True)
class Evidence:
    """What speaks for leaving, in robust standard deviations from the median account; `use` is NaN if not known."""

    risk: np.ndarray
    use: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """How much the risk and how little the use say so; the risk alone if the use is not known."""
        use = np.clip(self.use, -MAX_DEVIATIONS, MAX_DEVIATIONS)
        return np.where(np.isfinite(use), RISK_SHARE * self.risk - (1 - RISK_SHARE) * use, self.risk)

    @property
    def is_little_used(self) -> np.ndarray:
        """Whether the use of each account is far below the median for what it pays."""
        return self.use < -LITTLE_USE


def find_evidence(risks: np.ndarray, signals: Mapping[str, np.ndarray]) -> Evidence:
    """What speaks for leaving, from the risks and from the use of 28 days for what the account pays for.

    That is the mean of the events for each seat and of the share of the seats in use, as far as they are known; the
    events for each unit of recurring revenue if neither is.
    """
    events, seats, mrr = (signals[name] for name in ("events_28d", "seats", "mrr"))
    by_seat = np.array(
        [
            standardize(np.log((events + HALF_EVENT) / np.where(seats > 0, seats, np.nan))),
            standardize(np.log(signals["seat_utilisation_28d"] + LITTLE_UTILISATION)),
        ]
    )
    count = np.isfinite(by_seat).sum(axis=0)
    by_revenue = standardize(np.log((events + HALF_EVENT) / np.where(mrr > 0, mrr, np.nan)))
    use = np.where(count > 0, np.nansum(by_seat, axis=0) / np.maximum(count, 1), by_revenue)
    return Evidence(standardize(to_log_odds(risks)), standardize(use))


def rate_appearances(signals: Mapping[str, np.ndarray], judgements: np.ndarray, was_low: np.ndarray) -> Appearances:
    """What people see, from the signals and from each account's newest judgement (a key of JUDGEMENTS, or None).

    `was_low` says whether the judged risk was in band low.
    """
    owner = np.array([JUDGEMENTS.get(judgement, np.nan) for judgement in judgements], dtype=float)
    owner = np.where(was_low & np.isin(judgements.astype(str), VERDICTS), -owner, owner)
    return Appearances(owner, _survey(signals), _commercial(signals))


def find_disagreements(evidence: Evidence, appearances: np.ndarray, *, is_low: np.ndarray) -> np.ndarray:
    """How much the evidence disagrees with what people see; 0 if they agree, or if nothing is seen.

    It is above 0 for accounts that look fine and are at risk (in a band above low, or hardly used), below 0 for those
    that look bad and are safe. `is_low` says whether each account is in band low.
    """
    surprise, is_safe = evidence.total, is_low & ~evidence.is_little_used
    agrees = ~np.isfinite(appearances) | (surprise * appearances <= 0) | (is_safe != (surprise < 0))
    return np.where(agrees, 0.0, surprise * np.abs(np.nan_to_num(appearances)))


def answer_limits(kind: str) -> tuple[float, float]:
    """The worst and the best answer to a kind of survey, by the contract.

    >>> answer_limits("csat")
    (1, 7)
    """
    return CONTRACT["surveys"].columns["score"].ranges[kind].limits


def standardize(values: np.ndarray) -> np.ndarray:
    """How far values are above their median, in robust standard deviations; what is not known stays NaN.

    They are in plain standard deviations if the middle half of the values is equal, and 0 if all are.

    >>> standardize(np.array([1.0, 1.0, 1.0, 1.0, 2.0, np.nan])).round(2).tolist()
    [0.0, 0.0, 0.0, 0.0, 2.5, nan]
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return values
    low, middle, high = np.percentile(finite, [25, 50, 75])
    spread = float((high - low) / IQR_OF_NORMAL)
    if spread < MIN_SPREAD:
        spread = float(np.std(finite))
    return (values - middle) / spread if spread >= MIN_SPREAD else values * 0.0


def _survey(signals: Mapping[str, np.ndarray]) -> np.ndarray:
    answers = [
        np.where(signals[f"last_{kind}_age"] <= SURVEY_DAYS, _rate_answers(signals[f"last_{kind}"], kind), np.nan)
        for kind in NEUTRAL_ANSWERS
    ]
    count = np.isfinite(answers).sum(axis=0)
    return np.where(count > 0, np.nansum(answers, axis=0) / np.maximum(count, 1), np.nan)


def _rate_answers(scores: np.ndarray, kind: str) -> np.ndarray:
    """Answers to a kind of survey from -1 (bad) to 1 (the highest of the contract's scale)."""
    lowest, highest = answer_limits(kind)
    neutral = lowest + NEUTRAL_ANSWERS[kind] * (highest - lowest)
    return np.clip((scores - neutral) / (highest - neutral), -1, 1)


def _commercial(signals: Mapping[str, np.ndarray]) -> np.ndarray:
    """The change of recurring revenue, or that it is paid as agreed; a notice is the worst."""
    mrr, growth = signals["mrr"], signals["mrr_change_91d"] - 1
    moved = np.isfinite(growth) & (np.abs(growth) > MIN_GROWTH)
    value = np.where(moved, np.clip(growth / GROWTH_REACH, -1, 1), PAYS)
    value = np.where(np.nan_to_num(signals["overdue_invoices"]) > 0, np.minimum(value, OVERDUE), value)
    value = np.where(np.isfinite(signals["days_until_cancellation"]), -1.0, value)
    return np.where(np.isfinite(mrr), value, np.nan)
