"""Recalibration: a new version with the same trees, evaluated again on the days it was calibrated on."""

from dataclasses import replace

import pytest

from tests.support.progress import ignore_progress
from tests.support.trained_model import EXTRACT_END
from training.pipelines.recalibrate import recalibrate
from training.registry.mlflow_registry import open_registry
from training.reports.model_card import model_card


def test_a_recalibrated_version_is_evaluated_again(trained, copy_state_part):
    registry = replace(open_registry(trained.state, trained.settings.name), folder=copy_state_part("mlflow"))
    for part in ("history", "feast"):
        copy_state_part(part)
    state = replace(trained.state, folder=registry.folder.parent)
    version, comparison = recalibrate(trained.settings, state, registry.get(1), EXTRACT_END, ignore_progress)
    before, after = registry.evaluation(registry.get(1)), registry.evaluation(version)
    assert after.recalibrated_on == before.split["test"]
    assert len(after.baseline_comparisons) == len(before.baseline_comparisons) == 4
    assert after.metrics != before.metrics
    assert after.metrics["auc"] == pytest.approx(before.metrics["auc"])  # the same trees on the same day
    assert after.baseline_comparisons != before.baseline_comparisons
    assert after.baselines != before.baselines
    assert after.leakage == before.leakage
    assert comparison and comparison["champion"] == 1
    assert comparison["margins"] == trained.settings.comparison.model_dump()
    assert "Recalibrated on" in model_card(after)
