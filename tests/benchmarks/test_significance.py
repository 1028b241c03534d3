"""Significance in the benchmarks: which differences between models are more than noise."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from benchmarks.accuracy.runner import METRICS, BenchmarkRun, ModelRisks, significant_leads, summarize_models
from benchmarks.accuracy.significance import DayNoise, day_spread, p_value, significant_differences
from configs.sections.label import LabelSettings

QUARTERLY = LabelSettings(horizon_days=90, grace_days=0)


def snapshots_at_rates(rates: list[float], *, snapshots: int = 1_000) -> pd.DataFrame:
    """Snapshots on days 90 apart, with these churn rates."""
    days = pd.date_range("2026-01-01", periods=len(rates), freq="90D")
    churned = [np.arange(snapshots) < rate * snapshots for rate in rates]
    return pd.DataFrame({"as_of": days.repeat(snapshots), "churned": np.concatenate(churned).astype(float)})


def test_a_constant_rate_has_no_day_spread():
    assert day_spread(snapshots_at_rates([0.3, 0.3, 0.3]), QUARTERLY) == 0


def test_the_day_spread_is_the_change_of_the_logit_rate():
    rows = snapshots_at_rates([0.3, 0.5, 0.3], snapshots=100_000)
    assert day_spread(rows, QUARTERLY) == pytest.approx(logit(0.5) - logit(0.3), rel=1e-3)


def test_sampling_noise_is_no_day_spread():
    assert day_spread(snapshots_at_rates([0.3, 0.34], snapshots=50), QUARTERLY) == 0


def test_a_day_is_compared_with_the_newest_mature_day():
    late = QUARTERLY.model_copy(update={"grace_days": 90})
    rows = snapshots_at_rates([0.3, 0.5, 0.3, 0.5], snapshots=100_000)
    assert day_spread(rows, late) == 0, "two days apart the rate is the same"


def test_moves_agree_with_simulated_days():
    """Compared with brute force: labels simulated at changed odds, and the log loss of both models on them."""
    risks, others = np.full(1_000, 0.45), np.full(1_000, 0.40)
    shifts = DayNoise(np.zeros(1_000, int), 0.2).day_shifts(risks, others, 2_000)
    resampled = np.random.default_rng(1).normal(0.0, 0.2, 2_000)
    rates = expit(logit(0.425) + resampled)
    losses = [-(rates * np.log(risk) + (1 - rates) * np.log(1 - risk)) for risk in (0.45, 0.40)]
    assert shifts.std() == pytest.approx((losses[0] - losses[1]).std(), rel=0.05)
    assert shifts.mean() == pytest.approx(0, abs=0.0006)


def test_moves_of_exchanged_risks_have_opposite_signs():
    day_noise = DayNoise(np.zeros(2, int), 0.2)
    high, low = np.full(2, 0.5), np.full(2, 0.4)
    higher, lower = day_noise.day_shifts(high, low, 50), day_noise.day_shifts(low, high, 50)
    assert higher == pytest.approx(-lower)


def test_equal_risks_have_no_moves():
    assert DayNoise(np.array([0, 0, 1]), 0.3).day_shifts(np.full(3, 0.4), np.full(3, 0.4), 10) == pytest.approx(0)


def test_two_standard_deviations_have_the_normal_p_value():
    assert p_value(2.0, np.array([-1.0, 1.0])) == pytest.approx(0.0228, abs=1e-4)


def test_a_zero_lead_has_a_p_value_of_one():
    assert p_value(0.0, np.zeros(3)) == 1


def test_discoveries_are_corrected_for_many_comparisons():
    p_values = {("forest", f"metric {number}"): 0.5 for number in range(19)}
    assert significant_differences(p_values | {("forest", "auc"): 0.002}) == [("forest", "auc")]
    assert significant_differences(p_values | {("forest", "auc"): 0.01}) == []


def benchmark_run(day_spread: float) -> BenchmarkRun:
    """Oarlock's risks are too high on a day with less churn; a second model with the same ranking is calibrated."""
    generator = np.random.default_rng(3)
    margins = generator.uniform(-1, 1, 2_000)
    churned = (generator.random(2_000) < expit(margins - 0.4)).astype(float)
    test = pd.DataFrame({"account_id": np.arange(2_000).astype(str), "as_of": pd.Timestamp("2026-01-01")})
    models = [ModelRisks("Oarlock", expit(margins), 1, 1), ModelRisks("lower", expit(margins - 0.4), 1, 1)]
    return BenchmarkRun(None, test.assign(churned=churned), models, day_spread)  # pyright: ignore[reportArgumentType]


def test_a_better_level_is_significant_if_days_hardly_differ():
    results = summarize_models(benchmark_run(day_spread=0.01))
    assert results[1].is_better("log_loss")
    assert significant_leads(results) == ["lower (log_loss)"]


def test_a_better_level_is_not_significant_if_days_differ():
    results = summarize_models(benchmark_run(day_spread=0.4))
    assert results[1].is_better("log_loss"), "on the day as it was"
    assert significant_leads(results) == []
    assert all(results[1].with_day_noise[name] == results[1].difference[name] for name in METRICS if name != "log_loss")
