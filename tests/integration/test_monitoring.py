"""Monitoring: drift alarms, and risks compared with what happened."""

from datetime import datetime
from typing import cast

import numpy as np
import pandas as pd
import pytest

from monitoring.drift import detect_drift, distance
from monitoring.health import check_health
from monitoring.observed_vs_expected import compare_observed_with_expected, non_overlapping_days
from serving.ledger.ledger import Ledger
from serving.schemas.responses import Score
from serving.scoring.batch import open_batch
from serving.scoring.scorer import open_scorer
from tests.support.ledger_rows import source_at
from tests.support.progress import ignore_progress
from tests.support.trained_model import EXTRACT_END, TrainedModel
from training.registry.mlflow_registry import open_registry


def days(count: int, shift: float = 0.0, signals: int = 20, seed: int = 0) -> list[pd.DataFrame]:
    """Clean days of 300 snapshots; the last one has its first five signals shifted."""
    generator = np.random.default_rng(seed)
    frames = [pd.DataFrame(generator.normal(size=(300, signals))).rename(columns=str) for _ in range(count)]
    frames[-1].iloc[:, :5] += shift
    return frames


def test_distance_separates_shifted_samples():
    generator = np.random.default_rng(0)
    old, same, other = (pd.Series(generator.normal(mean, 1, 2000)) for mean in (0, 0, 1))
    assert distance(old, same) < 0.06
    assert distance(old, other) > 0.3


def test_a_signal_that_goes_missing_has_a_large_distance():
    values = pd.Series(np.arange(100.0))
    assert distance(values, values.where(values >= 50)) >= 0.5
    assert distance(values, pd.Series(np.full(100, np.nan))) == 1.0


def test_categories_are_compared_by_their_shares():
    assert distance(pd.Series(["a"] * 50 + ["b"] * 50), pd.Series(["a"] * 80 + ["c"] * 20)) == pytest.approx(0.5)


def test_false_alarms_are_as_rare_as_promised():
    alarms = [detect_drift(days(15, seed=seed), reference_days=3, lag=2).is_alarm for seed in range(30)]
    # 10 past days: at most 1 in 11, and six standard errors of 30 draws above that.
    assert np.mean(alarms) <= 1 / 11 + 6 * np.sqrt(1 / 11 * 10 / 11 / 30)


def test_a_shift_raises_an_alarm_that_names_the_signals():
    drift = detect_drift(days(15, shift=1.0), reference_days=3, lag=2)
    assert drift.is_alarm
    assert {signal_drift.signal for signal_drift in drift.drifted} >= {"0", "1", "2", "3", "4"}


def test_too_few_past_days_raise_no_alarm():
    drift = detect_drift(days(6, shift=5.0), reference_days=3, lag=2)
    assert (drift.is_conclusive, drift.is_alarm) == (False, False)


def test_calibrated_risks_are_not_off():
    result = compare_observed_with_expected(pd.Series([0.1] * 1000), pd.Series([1.0] * 95 + [0.0] * 905), 0.95)
    assert (result.churned, result.expected, result.is_off) == (95, pytest.approx(100), False)
    assert result.low < 0.95 < result.high


def test_risks_at_half_the_true_rate_are_off():
    assert compare_observed_with_expected(pd.Series([0.05] * 1000), pd.Series([1.0] * 100 + [0.0] * 900), 0.95).is_off


def test_a_snapshot_without_a_label_does_not_count():
    assert compare_observed_with_expected(pd.Series([0.5, 0.5]), pd.Series([1.0, np.nan]), 0.95).snapshots == 1


def test_observed_days_have_horizons_that_do_not_overlap():
    months = [datetime(2023, month, 1) for month in range(1, 7)]
    assert non_overlapping_days(months, 60) == [datetime(2023, 6, 1), datetime(2023, 4, 1), datetime(2023, 1, 1)]


def test_health_compares_the_mature_risks_of_the_champion(trained: TrainedModel):
    scorer = open_scorer(trained.settings, trained.state, lambda: EXTRACT_END)
    open_batch(trained.state, scorer, [], datetime(2023, 5, 1)).score_all(0)
    health = check_health(trained.settings, trained.state, EXTRACT_END, ignore_progress)
    test = open_registry(trained.state, "crm5").evaluation(health.version).metrics
    assert (health.outcome.snapshots, health.outcome.churned) == (test["snapshots"], test["churned"])
    assert health.outcome.expected == pytest.approx(test["mean_risk"] * test["snapshots"])
    assert health.verdict in ("ok", "watch")


def test_wrong_risks_lead_to_the_verdict_retrain(trained: TrainedModel):
    scorer = open_scorer(trained.settings, trained.state, lambda: EXTRACT_END)
    open_batch(trained.state, scorer, [], datetime(2023, 5, 1)).score_all(0)
    ledger = Ledger(trained.state.ledger)
    entries = ledger.risks_of_version(version=1).to_dict("records")
    _append(ledger, entries, times=4)
    health = check_health(trained.settings, trained.state, EXTRACT_END, ignore_progress)
    assert health.verdict == "retrain"
    assert "observed/expected 0." in health.reasons[1]
    _append(ledger, entries, times=1)


def _append(ledger: Ledger, entries: list[dict], times: int) -> None:
    common = {"base": 0.0, "band": "high", "status": "scored", "revenue": {"mrr": None}}
    scores = [
        {**common, "account_id": row["account_id"], "risk": row["risk"] * times, "signals_as_of": str(row["as_of"])}
        for row in entries
    ]
    ledger.append(cast(list[Score], scores), source_at(EXTRACT_END))
