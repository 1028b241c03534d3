"""Which of two forecasters has the lower log loss: evidence and an interval that hold whenever they are looked at.

Source: Choe and Ramdas, Comparing sequential forecasters (2023), with the empirical Bernstein bound of Howard et al.
(2021). The gain of an account is the champion's log loss less the challenger's. Where the mean gain is at most m, with
    E = mean over rates r of exp(r * sum(gain - m) - psi(r) * sum((gain - m)^2)),
    psi(r) = (-log(1 - c r) - c r) / c^2, and no gain below m - c,
the expectation of E is at most 1 at any time: E is an e-value. The accounts of a day are taken to leave independently.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_expit, logit, logsumexp

from monitoring.evidence.e_values import to_e_value

FloatArray = NDArray[np.float64]
Finding = Literal["challenger is better", "champion is better", "cannot tell yet"]
RISK_LIMIT = 1e-5
MAX_DIFFERENCE = 2.0  # in log-odds: no single account may decide
SPAN = 2 * MAX_DIFFERENCE  # the constant c: a gain and a mean gain are each within MAX_DIFFERENCE
RATES = 0.5 ** np.arange(1, 13) / SPAN
ALPHA = 0.05


@dataclass(frozen=True)
class SequentialComparison:
    """The gain of a challenger over the champion in log loss per account, over the accounts seen so far.

    `low` and `high` hold the mean gain in 95 of 100 comparisons, over all looks. `evidence_for` is the e-value for
    "the challenger is better", `evidence_against` for "the champion is better"; 20 is enough for either.
    """

    accounts: int
    churned: int
    gain: float
    low: float
    high: float
    evidence_for: float
    evidence_against: float

    @property
    def finding(self) -> Finding:
        """What the evidence is enough to say, with at most one error in 20 comparisons.

        >>> SequentialComparison(900, 60, 0.01, 0.002, 0.02, 45.0, 0.1).finding
        'challenger is better'
        """
        if self.evidence_for >= 1 / ALPHA:
            return "challenger is better"
        return "champion is better" if self.evidence_against >= 1 / ALPHA else "cannot tell yet"


def log_loss_gains(challenger: FloatArray, champion: FloatArray, churned: FloatArray) -> FloatArray:
    """The champion's log loss less the challenger's, of each account; positive where the challenger was closer.

    A challenger whose log-odds differ by more than MAX_DIFFERENCE counts as if they differed by that much.

    >>> log_loss_gains(np.array([0.2]), np.array([0.1]), np.array([1.0])).round(3).tolist()
    [0.693]
    """
    served = logit(np.clip(champion, RISK_LIMIT, 1 - RISK_LIMIT))
    difference = logit(np.clip(challenger, RISK_LIMIT, 1 - RISK_LIMIT)) - served
    other = served + np.clip(difference, -MAX_DIFFERENCE, MAX_DIFFERENCE)
    left = log_expit(other) - log_expit(served)
    return np.where(churned > 0, left, log_expit(-other) - log_expit(-served))


def compare_sequentially(gains: FloatArray, churned: FloatArray) -> SequentialComparison:
    """The comparison on these accounts; `gains` as of `log_loss_gains`."""
    total, squares = float(gains.sum()), float((gains**2).sum())
    moments = len(gains), total, squares
    mirrored = len(gains), -total, squares
    return SequentialComparison(
        accounts=len(gains),
        churned=int(churned.sum()),
        gain=total / len(gains) if len(gains) else 0.0,
        low=_lower_bound(moments),
        high=-_lower_bound(mirrored),
        evidence_for=to_e_value(_log_evidence(moments, 0.0)),
        evidence_against=to_e_value(_log_evidence(mirrored, 0.0)),
    )


def _log_evidence(moments: tuple[int, float, float], mean: float) -> float:
    """The log of the e-value against "the mean gain is at most `mean`", from count, sum and sum of squares."""
    count, total, squares = moments
    above = total - count * mean
    spread = squares - 2 * mean * total + count * mean**2
    penalty = (-np.log1p(-SPAN * RATES) - SPAN * RATES) / SPAN**2
    return float(logsumexp(RATES * above - penalty * spread) - np.log(len(RATES)))


def _lower_bound(moments: tuple[int, float, float]) -> float:
    """The largest mean gain that the evidence rules out, at half of the level; -MAX_DIFFERENCE if it rules out none."""

    def excess(mean: float) -> float:
        return _log_evidence(moments, mean) - float(np.log(2 / ALPHA))

    highest = moments[1] / max(moments[0], 1)
    return float(brentq(excess, -MAX_DIFFERENCE, highest)) if excess(-MAX_DIFFERENCE) > 0 else -MAX_DIFFERENCE
