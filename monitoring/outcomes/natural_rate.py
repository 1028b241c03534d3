"""The natural rate: the churn that is expected of accounts about which nothing is wrong, beside what happened.

An account's natural risk is its served risk without what went wrong: every family that raises it is taken away on the
scale of log-odds, and what lowers it stays. The contract and the profile of the customer stay as they are, because they
are no fault: a term that ends soon is part of the natural rate.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from features.rate_interval import wilson_bounds
from features.tables.contract import ACCOUNT_ID
from monitoring.outcomes.served_scores import NEVER_CERTAIN, ServedScore, log_odds_by_family
from training.evaluation.scorecard import Interval
from training.labels.definition import CHURNED

NO_FAULT = frozenset({"contract", "customer_profile"})


@dataclass(frozen=True)
class NaturalRate:
    """The mean natural and served risk of a segment's snapshots, and the share of them whose account left.

    `snapshots` counts an account in each of its quarters, `accounts` once.
    """

    segment: str
    snapshots: int
    accounts: int
    natural: float
    expected: float
    happened: Interval


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


def natural_rates(rows: pd.DataFrame) -> Sequence[NaturalRate]:
    """The natural rate of every segment; `rows` has account_id, segment, natural, risk and churned."""
    return [_rate(str(segment), members) for segment, members in rows.groupby("segment", sort=True)]


def _rate(segment: str, rows: pd.DataFrame) -> NaturalRate:
    return NaturalRate(
        segment=segment,
        snapshots=len(rows),
        accounts=rows[ACCOUNT_ID].nunique(),
        natural=float(rows.natural.mean()),
        expected=float(rows["risk"].mean()),
        happened=_share_left(rows),
    )


def _share_left(rows: pd.DataFrame) -> Interval:
    """Wilson's interval, as wide as if all snapshots of an account had one answer: of Kish's effective size (1965)."""
    per_account = rows.groupby(ACCOUNT_ID).size().to_numpy()
    effective = float(len(rows) ** 2 / (per_account**2).sum())
    share = float(rows[CHURNED].mean())
    return Interval(share, *wilson_bounds(share * effective, effective))
