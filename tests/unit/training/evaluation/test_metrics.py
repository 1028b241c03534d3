"""Metrics: examples with known values."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from configs.sections.evaluation import ProfitSettings
from training.evaluation import metrics
from training.evaluation.metrics import count_by_group, count_by_risk
from training.evaluation.profit import expected_maximum_profit

CHURNED = np.array([1.0, 1.0] + [0.0] * 18)


def tied_risks(n: int = 500, steps: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Labels and risks with many ties."""
    generator = np.random.default_rng(3)
    risks = generator.integers(1, steps, n) / (2 * steps)
    return (generator.random(n) < risks).astype(float), risks


def lift(churned: np.ndarray, risks: np.ndarray) -> float:
    return metrics.lift(count_by_risk(churned, risks), 0.1)[0]


def test_the_lift_of_equal_risks_is_one():
    assert lift(CHURNED, np.full(20, 0.3)) == pytest.approx(1.0)


def test_the_lift_of_a_perfect_ranking_is_the_maximum():
    assert lift(CHURNED, np.linspace(1, 0, 20)) == pytest.approx(10.0)


def test_the_lift_counts_ties_at_the_edge_in_proportion():
    risks = np.array([0.9] + [0.5] * 4 + [0.1] * 15)
    # The first of two calls reaches a churned account, the second one of four of which one churned.
    assert lift(CHURNED, risks) == pytest.approx((1 + 1 / 4) / 2 / 0.1)


def test_the_lift_does_not_depend_on_the_order_of_rows():
    generator = np.random.default_rng(1)
    risks, order = generator.integers(0, 5, 20) / 5, generator.permutation(20)
    assert lift(CHURNED, risks) == pytest.approx(lift(CHURNED[order], risks[order]))


def test_only_accounts_of_one_day_are_ranked_against_each_other():
    """On each day the churned account is above the other, at a level of churn of its own."""
    churned, risks = np.array([1, 0, 1, 0]), np.array([0.2, 0.1, 0.8, 0.7])
    days = [np.array([True, True, False, False]), np.array([False, False, True, True])]
    assert metrics.auc(*count_by_group(churned, risks, days)).tolist() == [1.0]
    assert metrics.auc(count_by_risk(churned, risks)).tolist() == [0.75]


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        (metrics.auc, roc_auc_score),
        (metrics.average_precision, average_precision_score),
        (metrics.brier, brier_score_loss),
        (metrics.log_loss, log_loss),
    ],
)
def test_a_metric_equals_scikit_learns_under_weights(metric, reference):
    churned, risks = tied_risks()
    weights = np.random.default_rng(0).integers(0, 4, (3, len(risks))).astype(float)
    expected = [reference(churned, risks, sample_weight=row) for row in weights]
    assert metric(count_by_risk(churned, risks, weights)) == pytest.approx(expected, abs=1e-9)


def test_the_parts_of_the_brier_score_add_up_to_it():
    counts = count_by_risk(*tied_risks())
    reliability, resolution, uncertainty = metrics.brier_decomposition(counts)
    assert reliability - resolution + uncertainty == pytest.approx(metrics.brier(counts))
    assert min(reliability[0], resolution[0]) > 0


def test_the_base_rate_is_reliable_and_has_no_resolution():
    churned, _ = tied_risks()
    rate = churned.mean()
    parts = metrics.brier_decomposition(count_by_risk(churned, np.full(500, rate)))
    assert [part[0] for part in parts] == pytest.approx([0, 0, rate * (1 - rate)])


def test_the_calibration_slope_is_that_of_a_logistic_regression():
    churned, risks = tied_risks()
    log_odds = np.log(risks / (1 - risks))
    regression = LogisticRegression(C=np.inf, tol=1e-10).fit(log_odds[:, None], churned)
    slope = metrics.calibration_slope(count_by_risk(churned, risks))[0]
    assert slope == pytest.approx(regression.coef_[0, 0], abs=1e-4)


def test_risks_that_are_too_low_have_a_positive_intercept():
    churned, risks = tied_risks(20_000)
    lowered = 1 / (1 + np.exp(-(np.log(risks / (1 - risks)) - 0.7)))
    assert metrics.calibration_intercept(count_by_risk(churned, lowered))[0] == pytest.approx(0.7, abs=0.06)


def test_equal_risks_have_no_calibration_slope():
    assert np.isnan(metrics.calibration_slope(count_by_risk(CHURNED, np.full(20, 0.1)))[0])


def test_capacity_counts_accounts_and_revenue():
    risks, revenue = np.linspace(1, 0, 20), np.r_[900.0, 100.0, np.full(18, 50.0)]
    counts = count_by_risk(CHURNED, risks, revenue=revenue)
    assert metrics.revenue_at(counts, 1)[0] == pytest.approx(0.9)
    assert metrics.precision_at(counts, 4)[0] == pytest.approx(0.5)
    assert metrics.precision_at(counts, 1000)[0] == pytest.approx(0.1)


def test_the_expected_maximum_profit_equals_a_full_search():
    churned, risks = tied_risks(200, 15)
    profit = ProfitSettings(lifetime_value=120, offer_cost=12, contact_cost=3, alpha=2, beta=3)
    edges = [*np.unique(risks), -1]
    caught = np.array([churned[risks > edge].sum() for edge in edges])
    called = np.array([(risks > edge).sum() for edge in edges])

    def best_profit(acceptance: float) -> float:
        gain = acceptance * caught * (120 - 12) - 3 * called - 12 * (called - caught)
        return gain.max() / len(risks) * beta.pdf(acceptance, 2, 3)

    expected, _ = quad(best_profit, 0, 1, limit=500)
    assert expected_maximum_profit(count_by_risk(churned, risks), profit)[0] == pytest.approx(expected, rel=1e-4)


def test_there_is_no_profit_if_no_account_is_worth_its_offer():
    costly = ProfitSettings(lifetime_value=10, offer_cost=10, contact_cost=1)
    assert expected_maximum_profit(count_by_risk(*tied_risks()), costly)[0] == 0


@pytest.mark.parametrize(
    ("risks", "groups", "error"), [(np.full(100, 0.3), 1, 0.2), (np.repeat([0.25, 0.75], 50), 2, 0.25)]
)
def test_the_calibration_error_of_known_examples(risks, groups, error):
    churned = np.tile([1.0, 0.0], 50)
    assert metrics.calibration_error(count_by_risk(churned, risks), groups=groups)[0] == pytest.approx(error)
