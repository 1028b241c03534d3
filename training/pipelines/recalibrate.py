"""Recalibration: a version with its parent's trees and a calibrator that is fitted on the newest labels."""

from dataclasses import replace
from datetime import datetime

import pandas as pd

from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from training.comparison.candidate import ComparisonContext, build_comparison_context
from training.comparison.compare_versions import compare_and_record
from training.data.training_set import TrainingSet, build_training_set
from training.evaluation.backtest import evaluation_data, rows_on
from training.evaluation.baselines import fit_baselines_out_of_fold
from training.evaluation.paired_difference import compare_with_baselines
from training.evaluation.scorecard import evaluate_risks
from training.model.churn_model import encode
from training.model.recalibration import days_after_training, predict_out_of_fold, recalibrate_model
from training.pipelines.derived_version import StoredVersion, load_parent, register_derived
from training.pipelines.evaluate import calibration_bins, evaluate_baselines, evaluate_by_segment
from training.registry.comparison_record import ComparisonRecord
from training.registry.evaluation_record import EvaluationRecord
from training.registry.mlflow_registry import Registry, open_registry
from training.registry.provenance import restore_label_settings, restore_training_settings
from training.registry.version import Version


def recalibrate(
    settings: Settings, state: StateDir, parent: Version, known_until: datetime, progress: Progress
) -> tuple[Version, ComparisonRecord | None]:
    """Register the parent's trees with a calibrator fitted on the newest mature days; compare it with the champion.

    Raises NothingToLearn if too few labels became known since the trees were trained.
    """
    registry = open_registry(state, settings.name)
    stored = load_parent(registry, parent)
    settings = restore_label_settings(settings, stored.provenance)
    progress("building the training set", 0, 3)
    training_set = build_training_set(settings, state, known_until)
    progress("calibrating", 1, 3)
    derived = _recalibrate(stored, training_set, parent, settings)
    version = register_derived(registry, derived, f"recalibrated from {parent.number}")
    progress("comparing with the champion", 2, 3)
    context = build_comparison_context(training_set, settings, state)
    return version, _compare_with_champion(registry, version, context, progress)


def _recalibrate(
    stored: StoredVersion, training_set: TrainingSet, parent: Version, settings: Settings
) -> StoredVersion:
    training = restore_training_settings(stored.provenance)
    trained = [datetime.fromisoformat(day) for day in stored.evaluation.split["train"]]
    days = days_after_training(trained, training_set.days, settings.label)[-training.calibration_snapshots :]
    rows = rows_on(training_set.rows, tuple(days))
    derived = replace(stored, model=recalibrate_model(stored.model, rows, training.min_churned))
    calibrated_on = tuple(f"{day:%Y-%m-%d}" for day in days)
    return replace(
        derived,
        evaluation=replace(_evaluate_again(derived, rows, settings), recalibrated_on=calibrated_on),
        provenance=replace(stored.provenance, parent=parent.number, calibrated_on=calibrated_on),
    )


def _evaluate_again(derived: StoredVersion, rows: pd.DataFrame, settings: Settings) -> EvaluationRecord:
    """The evaluation with what a calibrator changes, on accounts that it was not fitted on.

    The ranking is the served one, because the calibrators of several parts of the accounts have several levels. The
    baselines are fitted on the same other accounts, so that they know the level of these days too.
    """
    model, data = derived.model, evaluation_data(rows)
    risks = predict_out_of_fold(model, rows)
    served = model.predict_risks(encode(rows, model.inputs))
    scorecard = evaluate_risks(data, risks, settings.evaluation, ranking=served)
    baselines = fit_baselines_out_of_fold(rows, model.inputs, settings.health_score.weights)
    return replace(
        derived.evaluation,
        metrics=scorecard.metrics(),
        calibration=calibration_bins(scorecard),
        is_calibrated=scorecard.is_calibrated,
        baselines=evaluate_baselines(data, baselines, settings.evaluation),
        baseline_comparisons=compare_with_baselines(data, risks, baselines, settings.evaluation),
        segments=evaluate_by_segment(rows, risks, settings.evaluation),
    )


def _compare_with_champion(
    registry: Registry, version: Version, context: ComparisonContext, progress: Progress
) -> ComparisonRecord | None:
    champion = registry.find_rival(version)
    return None if champion is None else compare_and_record(registry, (version, champion), context, progress)
