"""The natural rate: the churn that is expected of accounts about which nothing is wrong, beside what happened.

An account's natural risk is its served risk without what went wrong: every family that raises it is taken away on the
scale of log-odds, and what lowers it stays. The contract and the profile of the customer stay as they are, because they
are no fault: a term that ends soon is part of the natural rate.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from features.rate_interval import Z, wilson_bounds
from features.tables.contract import ACCOUNT_ID
from monitoring.outcomes.served_scores import NEVER_CERTAIN, ServedScore, log_odds_by_family
from serving.ledger.served_outcomes import NaturalRate, OutcomeRate
from training.labels.definition import CHURNED

NO_FAULT = frozenset({"contract", "customer_profile"})


def natural_risk(score: ServedScore) -> float:
    """The risk of an account if nothing were wrong.

    >>> drivers = [{"family": "support", "points": 0.2}, {"family": "contract", "points": 0.1}]
    >>> score = {"risk": 0.4, "base": 0.1, "risks": {}, "drivers": drivers, "protective_drivers": []}
    >>> round(natural_risk(score), 3), round(natural_risk({**score, "risk": 0.1, "drivers": []}), 3)
    (0.168, 0.1)
    """
    base = float(np.clip(score["base"], NEVER_CERTAIN, 1 - NEVER_CERTAIN))
    parts = log_odds_by_family(score)
    return float(expit(logit(base) + sum(part for family, part in parts.items() if family in NO_FAULT or part < 0)))


def natural_rates(rows: pd.DataFrame, level_sd: float) -> Sequence[NaturalRate]:
    """The natural rate of every segment; `rows` has account_id, segment, natural, risk and churned.

    `level_sd` is how far the log-odds of a segment may be from what the model learned, before anybody left: drift, and
    the segment's own level. The fewer accounts left, the less is known of it.
    """
    left = rows.loc[rows[CHURNED] == 1, ACCOUNT_ID].nunique()
    shift_sd = float(np.hypot(level_sd, 1 / np.sqrt(max(left, 1))))
    return [_rate(str(segment), members, shift_sd) for segment, members in rows.groupby("segment", sort=True)]


def _rate(segment: str, rows: pd.DataFrame, shift_sd: float) -> NaturalRate:
    return NaturalRate(
        segment=segment,
        snapshots=len(rows),
        accounts=rows[ACCOUNT_ID].nunique(),
        natural=_mean_risk(rows, rows.natural.to_numpy("float64"), shift_sd),
        expected=_mean_risk(rows, rows["risk"].to_numpy("float64"), shift_sd),
        happened=_share_left(rows),
    )


def _mean_risk(rows: pd.DataFrame, risks: np.ndarray, shift_sd: float) -> OutcomeRate:
    """The mean of risks: which accounts there are and the level of their log-odds are uncertain, on that scale both."""
    codes, _ = pd.factorize(rows[ACCOUNT_ID])
    by_account = np.bincount(codes, risks - risks.mean())
    slope = float((risks * (1 - risks)).mean())
    sampling_sd = float(np.sqrt((by_account**2).sum())) / len(risks) / slope
    reach = Z * float(np.hypot(shift_sd, sampling_sd))
    odds = logit(np.clip(risks, NEVER_CERTAIN, 1 - NEVER_CERTAIN))
    return OutcomeRate(float(risks.mean()), *(float(expit(odds + side * reach).mean()) for side in (-1, 1)))


def _share_left(rows: pd.DataFrame) -> OutcomeRate:
    """Wilson's interval, as wide as if all snapshots of an account had one answer: of Kish's effective size (1965)."""
    per_account = rows.groupby(ACCOUNT_ID).size().to_numpy()
    effective = float(len(rows) ** 2 / (per_account**2).sum())
    share = float(rows[CHURNED].mean())
    return OutcomeRate(share, *wilson_bounds(share * effective, effective))
