"""Profit: the expected maximum profit of a campaign that follows the risks, per account.

Verbraken, Verbeke & Baesens (2013), A novel profit maximizing metric for measuring classification performance of
customer churn prediction models, IEEE Transactions on Knowledge and Data Engineering 25(5).
"""

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.stats import beta

from configs.settings import ProfitSettings
from training.evaluation.metrics import Tally


def expected_maximum_profit(t: Tally, profit: ProfitSettings) -> np.ndarray:
    """Profit per account of making the offer down to the best risk, averaged over how many would accept it."""
    return np.array([_one(churned, weight, profit) for churned, weight in zip(t.churned, t.weight, strict=True)])


def _one(churned: np.ndarray, weight: np.ndarray, profit: ProfitSettings) -> float:
    caught, asked = _best_cuts(churned, weight)
    total = weight.sum()
    # Asking the accounts between two cuts pays from the acceptance on at which their profit is no longer negative.
    steps = _acceptance_needed(np.diff(caught), np.diff(asked), profit)
    edges = np.r_[0.0, np.clip(steps, 0.0, 1.0), 1.0]
    chance = np.diff(beta.cdf(edges, profit.alpha, profit.beta))
    mean = profit.alpha / (profit.alpha + profit.beta)
    accepted = mean * np.diff(beta.cdf(edges, profit.alpha + 1, profit.beta))
    gained = accepted * caught * (profit.lifetime_value - profit.offer_cost)
    spent = chance * (profit.contact_cost * asked + profit.offer_cost * (asked - caught))
    return float((gained - spent).sum() / total)


def _best_cuts(churned: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Churned caught and accounts asked at the cuts that can be best: the corners of the ROC's convex hull.

    The hull is the blocks of the isotonic regression of the answers (Fawcett & Niculescu-Mizil, 2007).
    """
    drawn = weight > 0
    hits, of = churned[drawn], weight[drawn]
    corners = isotonic_regression(hits / of, weights=of, increasing=False).blocks
    return np.r_[0.0, hits.cumsum()][corners], np.r_[0.0, of.cumsum()][corners]


def _acceptance_needed(caught: np.ndarray, asked: np.ndarray, profit: ProfitSettings) -> np.ndarray:
    spent = profit.contact_cost * asked + profit.offer_cost * (asked - caught)
    gain = caught * (profit.lifetime_value - profit.offer_cost)
    return np.divide(spent, gain, out=np.full(len(gain), np.inf), where=gain > 0)
