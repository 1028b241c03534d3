"""Outcomes of groups: observed and expected departures overall, by care, segment and risk.

They describe; a group is no alarm by itself. The interval of each is one look at one group, so of 20 groups one is
expected to miss.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# (scipy.special is imported in a third of the time of scipy.stats; its stubs do not know the inverses)

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import gammaincinv

from training.labels.definition import CHURNED

CONFIDENCE = 0.95
RISK_GROUPS = 4
MIN_ROWS = 20


@dataclass(frozen=True)
class GroupOutcome:
    """Departures of a group: observed, expected by the served risks, and their ratio with its interval."""

    dimension: str
    group: str
    accounts: int
    observed: int
    expected: float
    ratio: float | None
    low: float
    high: float | None


def compare_groups(rows: pd.DataFrame) -> tuple[GroupOutcome, ...]:
    """The outcome of everybody, then by care, segment and quarter of the risks; `rows` are those of the cohorts."""
    return tuple(_compare(dimension, group, members) for dimension, group, members in _groups(rows))


def _groups(rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    yield "all", "", rows
    if len(rows) < MIN_ROWS:
        return
    quarters = pd.qcut(rows.risk.rank(method="first"), RISK_GROUPS, labels=["lowest", "low", "high", "highest"])
    for dimension, groups in (("care", rows.care), ("segment", rows.segment), ("risk", quarters.astype(str))):
        for group, members in rows.groupby(groups):
            yield dimension, str(group), members


def _compare(dimension: str, group: str, rows: pd.DataFrame) -> GroupOutcome:
    """The ratio has the exact Poisson interval of the count (Garwood, 1936)."""
    observed, expected = int(rows[CHURNED].sum()), float(rows["risk"].sum())
    tail = (1 - CONFIDENCE) / 2
    low = float(gammaincinv(observed, tail)) if observed else 0.0
    high = float(gammaincinv(observed + 1, 1 - tail))
    if expected <= 0:
        return GroupOutcome(dimension, group, len(rows), observed, expected, None, 0.0, None)
    ratios = np.array([observed, low, high]) / expected
    return GroupOutcome(dimension, group, len(rows), observed, expected, *map(float, ratios))
