"""How likely each account is to pay at the end of coming quarters, as its risks say, as far as they reach."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from configs.sections.label import LabelSettings
from features.retention.renewal_rates import quarter_day
from features.retention.renewals import QUARTERS
from features.store.revenue_table import RevenueHistory
from serving.accounts.portfolio import Portfolio

REACH_DAYS = 7  # beyond the longest horizon: the hazard is that of its last days
CERTAIN = 1e-9


def chances_to_stay(history: RevenueHistory, portfolio: Portfolio | None, label: LabelSettings) -> np.ndarray:
    """The chance of each account at the end of each quarter, shape (accounts, quarters); NaN where no risk reaches.

    Only a risk that means leaving from today on says who still pays: that of the mode `contract` without a lead.
    """
    chances = np.full((len(history.cents), QUARTERS), np.nan)
    is_leaving = label.mode == "contract" and label.lead_days == 0
    if portfolio is None or not is_leaving or not history.origins:
        return chances
    rows = {account_id: row for row, account_id in enumerate(portfolio.account_ids)}
    portfolio_rows = np.array([rows.get(account_id, -1) for account_id in history.account_ids], dtype=int)
    has_risk = portfolio_rows >= 0
    days = [_days_to(history, quarter) for quarter in range(1, QUARTERS + 1)]
    chances[has_risk] = chances_within(portfolio.risks[portfolio_rows[has_risk]], portfolio.key.horizons, days)
    return chances


def chances_within(risks: np.ndarray, horizons: Sequence[int], days: Sequence[float]) -> np.ndarray:
    """The chance to stay for some days, from risks of the shape (accounts, horizons); NaN beyond the last horizon.

    The hazard is constant between horizons.

    >>> chances_within(np.array([[0.19, 0.5]]), (30, 90), (15, 92, 180)).round(3).tolist()
    [[0.9, 0.492, nan]]
    """
    order = np.argsort(horizons)
    ends = np.array([0, *np.take(horizons, order)], dtype=float)
    hazards = -np.log1p(-np.minimum(risks[:, order], 1 - CERTAIN))
    hazards = np.column_stack([np.zeros(len(risks)), hazards])
    chances = np.full((len(risks), len(days)), np.nan)
    for column, day in enumerate(days):
        if day <= ends[-1] + REACH_DAYS:
            last = min(int(np.searchsorted(ends, day)), len(ends) - 1)
            share = (day - ends[last - 1]) / (ends[last] - ends[last - 1])
            chances[:, column] = np.exp(-(hazards[:, last - 1] * (1 - share) + hazards[:, last] * share))
    return chances


def _days_to(history: RevenueHistory, quarter: int) -> float:
    end: datetime = quarter_day(history, len(history.origins) - 1 + quarter)
    return (end - history.as_of).days
