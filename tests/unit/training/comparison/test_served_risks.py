"""Versions that share trees are compared by the risks that they serve."""

from dataclasses import replace
from datetime import datetime

import pandas as pd
import pytest

from tests.support.backtest_rows import SETTINGS
from tests.support.progress import ignore_progress
from tests.support.recalibration_rows import fit_two_horizons, high_churn_rows
from tests.support.training_rows import snapshots
from training.comparison.candidate import Candidate, ComparisonContext
from training.comparison.compare_versions import compare_models
from training.data.training_set import TrainingSet
from training.evaluation.scorecard import Interval
from training.labels.build import LabelContext
from training.model.churn_model import ChurnModel
from training.model.recalibration import recalibrate_model
from training.registry.provenance import Provenance

PROVENANCE = Provenance({"training": SETTINGS.training.model_dump()}, (), "", {}, {}, {})
RECALIBRATED = replace(PROVENANCE, parent=1, calibrated_on=("2023-01-01",))


@pytest.fixture(scope="module")
def parent() -> Candidate:
    return Candidate(1, fit_two_horizons(), PROVENANCE)


@pytest.fixture(scope="module")
def recalibrated(parent) -> Candidate:
    return Candidate(2, recalibrate_model(parent.model, high_churn_rows(), min_churned=20), RECALIBRATED)


def context_of(rows: pd.DataFrame) -> ComparisonContext:
    never = pd.Series(pd.NaT, rows.index)
    training_set = TrainingSet(rows, LabelContext(never, never, never), None, "", {}, datetime(2025, 1, 1))  # type: ignore[arg-type]
    return ComparisonContext(training_set, SETTINGS, rows.head(200))


def raise_risks(model: ChurnModel) -> ChurnModel:
    """The model with all log-odds 3 higher."""
    intercepts = tuple(intercept + 3 for intercept in model.calibrator.intercepts)
    return replace(model, calibrator=replace(model.calibrator, intercepts=intercepts))


def test_a_recalibrated_version_is_compared_on_other_accounts(parent, recalibrated):
    result = compare_models(recalibrated, parent, context_of(high_churn_rows()), ignore_progress)
    assert (result.verdict, result.snapshots) == ("superior", 3000)
    # The trees are the same, so is the ranking, whichever calibrator each account's risk comes from.
    assert result.metrics and result.metrics["auc"].difference == Interval(0.0, 0.0, 0.0)
    assert result.explanation_flips and result.explanation_flips.flipped == 0


def test_a_calibration_far_from_its_own_days_is_not_comparable(parent, recalibrated):
    drifted = replace(recalibrated, version=3, model=raise_risks(recalibrated.model))
    for other in (parent, recalibrated):
        result = compare_models(drifted, other, context_of(high_churn_rows()), ignore_progress)
        assert result.verdict == "not_comparable"
        assert "the served risks of version 3 differ" in result.reasons[0]


def test_recalibrated_versions_are_compared_on_later_days(parent, recalibrated):
    later = snapshots(0.3, n=3000, seed=6).assign(as_of=datetime(2023, 6, 1))
    rows = pd.concat([high_churn_rows(), later], ignore_index=True)
    result = compare_models(recalibrated, parent, context_of(rows), ignore_progress)
    assert (result.verdict, result.snapshots) == ("inferior", 3000)
