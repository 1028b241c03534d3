"""Metrics: figures with known answers."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from configs.settings import ProfitSettings
from training.evaluation import metrics
from training.evaluation.metrics import tally
from training.evaluation.profit import expected_maximum_profit

CHURNED = np.array([1.0, 1.0] + [0.0] * 18)


def some(n: int = 500, steps: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Answers and risks with many ties."""
    generator = np.random.default_rng(3)
    risks = generator.integers(1, steps, n) / (2 * steps)
    return (generator.random(n) < risks).astype(float), risks


def lift(churned: np.ndarray, risks: np.ndarray) -> float:
    return metrics.lift(tally(churned, risks), 0.1)[0]


def test_the_lift_of_equal_risks_is_one():
    assert lift(CHURNED, np.full(20, 0.3)) == pytest.approx(1.0)


def test_the_lift_of_perfect_risks_is_the_most_possible():
    assert lift(CHURNED, np.linspace(1, 0, 20)) == pytest.approx(10.0)


def test_the_lift_counts_ties_at_the_edge_in_proportion():
    risks = np.array([0.9] + [0.5] * 4 + [0.1] * 15)
    # One of two places goes to the first churner, the other to one of four of which one churned.
    assert lift(CHURNED, risks) == pytest.approx((1 + 1 / 4) / 2 / 0.1)


def test_the_lift_does_not_depend_on_the_order_of_rows():
    generator = np.random.default_rng(1)
    risks, order = generator.integers(0, 5, 20) / 5, generator.permutation(20)
    assert lift(CHURNED, risks) == pytest.approx(lift(CHURNED[order], risks[order]))


@pytest.mark.parametrize(
    ("ours", "known"),
    [
        (metrics.auc, roc_auc_score),
        (metrics.average_precision, average_precision_score),
        (metrics.brier, brier_score_loss),
        (metrics.log_loss, log_loss),
    ],
)
def test_a_metric_agrees_with_scikit_learn_under_weights(ours, known):
    churned, risks = some()
    weights = np.random.default_rng(0).integers(0, 4, (3, len(risks))).astype(float)
    found = ours(tally(churned, risks, weights))
    assert found == pytest.approx([known(churned, risks, sample_weight=one) for one in weights], abs=1e-9)


def test_the_parts_of_the_brier_score_add_up_to_it():
    t = tally(*some())
    reliability, resolution, uncertainty = metrics.brier_parts(t)
    assert reliability - resolution + uncertainty == pytest.approx(metrics.brier(t))
    assert min(reliability[0], resolution[0]) > 0


def test_the_base_rate_is_reliable_and_resolves_nothing():
    churned, _ = some()
    reliability, resolution, uncertainty = metrics.brier_parts(tally(churned, np.full(500, churned.mean())))
    assert (reliability[0], resolution[0]) == (pytest.approx(0), pytest.approx(0))
    assert uncertainty[0] == pytest.approx(churned.mean() * (1 - churned.mean()))


def test_the_calibration_slope_is_that_of_a_logistic_regression():
    churned, risks = some()
    margins = np.log(risks / (1 - risks))
    known = LogisticRegression(C=np.inf, tol=1e-10).fit(margins[:, None], churned)
    assert metrics.calibration_slope(tally(churned, risks))[0] == pytest.approx(known.coef_[0, 0], abs=1e-4)


def test_risks_that_are_too_low_throughout_have_a_positive_intercept():
    churned, risks = some(20_000)
    halved = 1 / (1 + np.exp(-(np.log(risks / (1 - risks)) - 0.7)))
    assert metrics.calibration_intercept(tally(churned, halved))[0] == pytest.approx(0.7, abs=0.06)


def test_equal_risks_have_no_calibration_slope():
    assert np.isnan(metrics.calibration_slope(tally(CHURNED, np.full(20, 0.1)))[0])


def test_what_the_team_can_call_is_counted_by_accounts_and_by_revenue():
    risks, revenue = np.linspace(1, 0, 20), np.r_[900.0, 100.0, np.full(18, 50.0)]
    t = tally(CHURNED, risks, revenue=revenue)
    assert metrics.revenue_at(t, 1)[0] == pytest.approx(0.9)
    assert metrics.precision_at(t, 4)[0] == pytest.approx(0.5)
    assert metrics.precision_at(t, 1000)[0] == pytest.approx(0.1)


def test_the_expected_maximum_profit_agrees_with_trying_every_cut():
    churned, risks = some(200, 15)
    profit = ProfitSettings(lifetime_value=120, offer_cost=12, contact_cost=3, alpha=2, beta=3)
    caught = np.array([churned[risks > edge].sum() for edge in [*np.unique(risks), -1]])
    asked = np.array([(risks > edge).sum() for edge in [*np.unique(risks), -1]])

    def best(acceptance: float) -> float:
        gain = acceptance * caught * (120 - 12) - 3 * asked - 12 * (asked - caught)
        return gain.max() / len(risks) * beta.pdf(acceptance, 2, 3)

    assert expected_maximum_profit(tally(churned, risks), profit)[0] == pytest.approx(
        quad(best, 0, 1, limit=500)[0], rel=1e-4
    )


def test_there_is_no_profit_in_calling_where_nobody_would_be_worth_it():
    costly = ProfitSettings(lifetime_value=10, offer_cost=10, contact_cost=1)
    assert expected_maximum_profit(tally(*some()), costly)[0] == 0
