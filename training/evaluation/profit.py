"""Profit: the expected maximum profit of a campaign that follows the risks, per account.

Verbraken, Verbeke & Baesens (2013), A novel profit maximizing metric for measuring classification performance of
customer churn prediction models, IEEE Transactions on Knowledge and Data Engineering 25(5).
"""

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.stats import beta

from configs.sections.evaluation import ProfitSettings
from training.evaluation.metrics import WeightedCounts


def expected_maximum_profit(counts: WeightedCounts, profit: ProfitSettings) -> np.ndarray:
    """Profit per account of making the offer down to the best risk, averaged over the acceptance rate."""
    rows = zip(counts.churned, counts.total, strict=True)
    return np.array([_expected_profit(churned, total, profit) for churned, total in rows])


def _expected_profit(churned: np.ndarray, total: np.ndarray, profit: ProfitSettings) -> float:
    caught, called = _optimal_cuts(churned, total)
    # Calling the accounts between two cuts pays from the acceptance rate at which their profit is no longer negative.
    thresholds = _break_even_acceptance(np.diff(caught), np.diff(called), profit)
    edges: np.ndarray = np.r_[0.0, np.clip(thresholds, 0.0, 1.0), 1.0]
    probability = np.diff(beta.cdf(edges, profit.alpha, profit.beta))
    mean = profit.alpha / (profit.alpha + profit.beta)
    accepted = mean * np.diff(beta.cdf(edges, profit.alpha + 1, profit.beta))
    gained = accepted * caught * (profit.lifetime_value - profit.offer_cost)
    spent = probability * (profit.contact_cost * called + profit.offer_cost * (called - caught))
    return float((gained - spent).sum() / total.sum())


def _optimal_cuts(churned: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Churned caught and accounts called at the cuts that can be optimal: the corners of the ROC's convex hull.

    They are the blocks of the isotonic regression of the labels (Fawcett & Niculescu-Mizil, 2007).
    """
    has_weight = total > 0
    hits, weights = churned[has_weight], total[has_weight]
    corners = isotonic_regression(hits / weights, weights=weights, increasing=False).blocks
    return np.r_[0.0, hits.cumsum()][corners], np.r_[0.0, weights.cumsum()][corners]


def _break_even_acceptance(caught: np.ndarray, called: np.ndarray, profit: ProfitSettings) -> np.ndarray:
    spent = profit.contact_cost * called + profit.offer_cost * (called - caught)
    gain = caught * (profit.lifetime_value - profit.offer_cost)
    return np.divide(spent, gain, out=np.full(len(gain), np.inf), where=gain > 0)
