"""Comparing versions: both are fitted again on the same past days, or are reported as not comparable."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from configs.sections.evaluation import ComparisonSettings
from configs.sections.training import TrainingSettings
from features.store.history import HistoryVersion
from tests.support.backtest_rows import DAYS, FIT_CONFIG, SETTINGS, SIGNALS
from tests.support.progress import ignore_progress
from training.comparison.candidate import Candidate, ComparisonContext
from training.comparison.compare_versions import backtest_candidate, compare_models, fit_config_of, pair_backtests
from training.comparison.non_inferiority import ComparisonResult
from training.data.training_set import TrainingSet
from training.evaluation.backtest import backtest_splits, fit_split
from training.labels.build import LabelContext
from training.registry.provenance import Provenance

POOR = TrainingSettings(
    num_iterations=1, learning_rate=0.01, linear_prior_sd=0, min_data_in_leaf=20, calibration_snapshots=2
)


@pytest.fixture(scope="module")
def context(rows) -> ComparisonContext:
    never = pd.Series(pd.NaT, rows.index)
    training_set = TrainingSet(
        rows, LabelContext(never, never, never), HistoryVersion(Path(), SIGNALS), "", {}, datetime(2025, 1, 1)
    )
    # 1,200 snapshots are too few to show a calibration error within the default margin.
    settings = SETTINGS.model_copy(update={"comparison": ComparisonSettings(calibration_margin=0.03)})
    return ComparisonContext(training_set, settings, rows[rows.as_of == DAYS[-1]].reset_index(drop=True))


@pytest.fixture(scope="module")
def candidate(rows) -> Callable[..., Candidate]:
    """A candidate with these training settings, fitted on the newest split."""
    model = fit_split(rows, backtest_splits(DAYS, SETTINGS)[0], FIT_CONFIG)

    def make(version: int, training: TrainingSettings = SETTINGS.training, label: str = "x") -> Candidate:
        provenance = Provenance({"training": training.model_dump()}, (), "", {}, {}, {})
        return Candidate(version, replace(model, identity={"label": label}), provenance)

    return make


def compare(challenger: Candidate, champion: Candidate, context: ComparisonContext) -> ComparisonResult:
    return compare_models(challenger, champion, context, ignore_progress)


def test_each_candidate_is_fitted_again_with_its_own_settings(context, candidate):
    poor = candidate(2, POOR)
    assert fit_config_of(poor, context).training == POOR
    good, bad = (backtest_candidate(side, context, ignore_progress) for side in (candidate(1), poor))
    assert good.keys() == bad.keys()
    ranges = [[fold.risks.max() - fold.risks.min() for fold in folds.values()] for folds in (good, bad)]
    assert min(ranges[0]) > 3 * max(ranges[1])


@pytest.mark.slow
def test_poor_settings_are_inferior_to_good_ones(context, candidate):
    assert compare(candidate(2, POOR), candidate(1), context).verdict == "inferior"
    assert compare(candidate(1), candidate(2, POOR), context).verdict == "superior"


def test_the_same_recipe_is_identical_and_flips_nothing(context, candidate):
    result = compare(candidate(2), candidate(1), context)
    assert (result.verdict, result.metrics) == ("identical", None)
    assert "they are one model" in result.reasons[0]
    flips = result.explanation_flips
    assert flips and (flips.flipped, flips.accounts) == (0, SETTINGS.evaluation.capacity)


def on_days(candidate: Candidate, days: list[datetime]) -> Candidate:
    assert candidate.provenance
    return replace(candidate, provenance=replace(candidate.provenance, days=tuple(f"{day:%Y-%m-%d}" for day in days)))


def test_a_version_of_newer_data_is_the_same_recipe(context, candidate):
    older, newer = on_days(candidate(1), DAYS[:10]), on_days(candidate(2), DAYS)
    assert compare(newer, older, context).verdict == "identical"


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "identical"), (1e-3, "identical"), (3.0, "inferior")])
def test_versions_of_one_recipe_are_compared_as_they_are_served(context, candidate, shift, verdict):
    """Newer data may spoil a model: on days that neither learned from, that shows."""
    learned_on = tuple(f"{day:%Y-%m-%d}" for day in DAYS[:10])
    champion = replace(candidate(1), learned_on=learned_on)
    calibrator = champion.model.calibrator
    shifted = replace(calibrator, intercepts=tuple(value + shift for value in calibrator.intercepts))
    newer = replace(champion, version=2, model=replace(champion.model, calibrator=shifted))
    result = compare(newer, champion, context)
    assert (result.verdict, result.metrics is None) == (verdict, verdict == "identical")
    assert ("neither learned from" in result.reasons[0]) == bool(shift)


@pytest.mark.slow
def test_a_version_of_fewer_snapshots_is_fitted_again_on_its_own_days(context, candidate):
    """Every second snapshot is another recipe: the comparison shows a difference, not one version twice."""
    sparse = on_days(candidate(1), DAYS[:9:2])
    assert sparse.own_days(DAYS) == tuple(DAYS[::2])
    result = compare(on_days(candidate(2), DAYS), sparse, context)
    assert result.metrics and result.metrics["log_loss"].difference.value != 0


def test_models_with_different_labels_are_not_comparable(context, candidate):
    result = compare(candidate(2, label="y"), candidate(1), context)
    assert result.verdict == "not_comparable"
    assert "they predict different labels" in result.reasons[0]


def test_a_version_without_provenance_is_not_comparable(context, candidate):
    result = compare(candidate(2), replace(candidate(1), provenance=None), context)
    assert "version 1 has no stored provenance" in result.reasons[0]


def test_a_missing_signal_is_named(context, candidate):
    training_set = replace(context.training_set, rows=context.training_set.rows.drop(columns="plan"))
    result = compare(candidate(2), candidate(1), replace(context, training_set=training_set))
    assert "needs the signal 'plan'" in result.reasons[0]


def test_settings_that_no_longer_exist_are_not_comparable(context, candidate):
    old = Provenance({"training": {"forests": 3}}, (), "", {}, {}, {})
    result = compare(candidate(2), replace(candidate(1), provenance=old), context)
    assert "trained with settings that no longer exist" in result.reasons[0]


@pytest.mark.slow
def test_without_a_common_day_there_is_nothing_to_compare(context, candidate):
    assert pair_backtests(backtest_candidate(candidate(1), context, ignore_progress), {}) is None
    too_many = SETTINGS.training.model_copy(update={"min_churned": 10_000})
    result = compare(candidate(2), candidate(1, too_many), context)
    assert (result.verdict, "no past day" in result.reasons[0]) == ("not_comparable", True)
