"""Monitoring: no alarm without a cause, an alarm with one, and risks judged by what happened."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from monitoring.drift import detect_drift, distance
from monitoring.health import check_health
from monitoring.observed_vs_expected import compare_observed_with_expected, non_overlapping_days
from serving.ledger.ledger import Ledger
from serving.scoring.batch import open_batch
from serving.scoring.scorer import Scorer
from tests.support.progress import silent
from tests.support.trained_model import EXTRACT_ENDS
from training.registry.mlflow_registry import open_registry


def days(count: int, shift: float = 0.0, signals: int = 20, seed: int = 0) -> list[pd.DataFrame]:
    """Clean days of 300 snapshots; the last one has its first five signals shifted."""
    generator = np.random.default_rng(seed)
    made = [pd.DataFrame(generator.normal(size=(300, signals))).rename(columns=str) for _ in range(count)]
    made[-1].iloc[:, :5] += shift
    return made


def test_samples_of_the_same_kind_are_close_and_others_far():
    generator = np.random.default_rng(0)
    old, same, other = (pd.Series(generator.normal(mean, 1, 2000)) for mean in (0, 0, 1))
    assert distance(old, same) < 0.06
    assert distance(old, other) > 0.3


def test_a_signal_that_goes_missing_is_far():
    values = pd.Series(np.arange(100.0))
    assert distance(values, values.where(values >= 50)) >= 0.5
    assert distance(values, pd.Series(np.full(100, np.nan))) == 1.0


def test_categories_are_compared_by_their_shares():
    assert distance(pd.Series(["a"] * 50 + ["b"] * 50), pd.Series(["a"] * 80 + ["c"] * 20)) == pytest.approx(0.5)


def test_an_alarm_without_a_cause_is_as_rare_as_promised():
    alarms = [detect_drift(days(15, seed=seed), reference_days=3, lag=2).is_alarm for seed in range(30)]
    # 10 past days: at most 1 in 11; six standard errors of 30 draws above it would be a broken promise.
    assert np.mean(alarms) <= 1 / 11 + 6 * np.sqrt(1 / 11 * 10 / 11 / 30)


def test_a_shift_raises_an_alarm_and_is_named():
    found = detect_drift(days(15, shift=1.0), reference_days=3, lag=2)
    assert found.is_alarm
    assert {one.signal for one in found.drifted} >= {"0", "1", "2", "3", "4"}


def test_too_few_past_days_raise_no_alarm():
    found = detect_drift(days(6, shift=5.0), reference_days=3, lag=2)
    assert (found.is_conclusive, found.is_alarm) == (False, False)


def test_risks_that_came_true_are_not_off():
    found = compare_observed_with_expected(pd.Series([0.1] * 1000), pd.Series([1.0] * 95 + [0.0] * 905), 0.95)
    assert (found.churned, found.expected, found.is_off) == (95, pytest.approx(100), False)
    assert found.low < 0.95 < found.high


def test_risks_half_as_high_as_the_truth_are_off():
    assert compare_observed_with_expected(pd.Series([0.05] * 1000), pd.Series([1.0] * 100 + [0.0] * 900), 0.95).is_off


def test_a_snapshot_without_an_answer_does_not_count():
    assert compare_observed_with_expected(pd.Series([0.5, 0.5]), pd.Series([1.0, np.nan]), 0.95).snapshots == 1


def test_only_horizons_that_do_not_overlap_are_judged_together():
    months = [datetime(2023, month, 1) for month in range(1, 7)]
    assert non_overlapping_days(months, 60) == [datetime(2023, 6, 1), datetime(2023, 4, 1), datetime(2023, 1, 1)]


def test_the_champion_is_judged_by_its_mature_risks(trained):
    engine = Scorer(trained.settings, trained.state, lambda: EXTRACT_ENDS)
    open_batch(engine, [], datetime(2023, 5, 1)).score_all(0)
    health = check_health(trained.settings, trained.state, EXTRACT_ENDS, silent)
    test = open_registry(trained.state, "crm5").evaluation(health.version)["figures"]
    assert (health.outcome.snapshots, health.outcome.churned) == (test["snapshots"], test["churned"])
    assert health.outcome.expected == pytest.approx(test["mean_risk"] * test["snapshots"])
    assert health.verdict in ("ok", "watch")


def test_risks_that_were_wrong_ask_for_a_retrain(trained):
    engine = Scorer(trained.settings, trained.state, lambda: EXTRACT_ENDS)
    open_batch(engine, [], datetime(2023, 5, 1)).score_all(0)
    wrong = Ledger(trained.state.ledger)
    given = wrong.risks_of_version(version=1).to_dict("records")
    _append(wrong, given, times=4)
    health = check_health(trained.settings, trained.state, EXTRACT_ENDS, silent)
    assert health.verdict == "retrain"
    assert "observed/expected 0." in health.reasons[1]
    _append(wrong, given, times=1)


def _append(ledger: Ledger, given: list[dict], times: int) -> None:
    same = {"base": 0.0, "band": "high", "status": "scored", "revenue": {"mrr": None}}
    scores = [
        {**same, "account_id": row["account_id"], "risk": row["risk"] * times, "signals_as_of": str(row["as_of"])}
        for row in given
    ]
    model = {"model": "crm5", "version": 1, "label_hash": "", "signal_set": ""}
    ledger.append(scores, {"given_at": EXTRACT_ENDS, "request_id": "r", **model})
