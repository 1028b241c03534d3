"""Evaluation of a model: everything that it is judged by, in one record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from configs.sections.evaluation import EvaluationSettings
from configs.sections.label import LabelSettings
from features.store.history import complete_days
from features.store.history_reader import read_history_frame
from features.tables.contract import ACCOUNT_ID
from training.evaluation.backtest import (
    BacktestFold,
    evaluate_earlier_folds,
    evaluate_fold,
    evaluate_unseen_accounts,
    evaluation_data,
    pooled_baselines,
    pooled_data,
    pooled_risks,
    rows_on,
    segment_column,
)
from training.evaluation.baselines import Baseline
from training.evaluation.driver_stability import DriverStability
from training.evaluation.monotonicity import check_monotonicity
from training.evaluation.paired_difference import compare_with_baselines, evaluate_segments
from training.evaluation.scorecard import EvaluationData, Scorecard, evaluate_risks
from training.evaluation.secondary_metrics import evaluate_contraction, evaluate_horizons
from training.labels.definition import CHURNED, supported_horizons
from training.leakage.leakage import (
    LeadData,
    LeakageReport,
    ShuffledLabels,
    auc_by_lead,
    fit_on_shuffled_labels,
    report_leakage,
    single_signal_aucs,
    strongest_signal_risks,
)
from training.leakage.set_at_departure import AtRiskToday, find_values_set_at_departure
from training.model.churn_model import ChurnModel, encode
from training.pipelines.training_inputs import TrainingInputs
from training.registry.evaluation_record import (
    BacktestRecord,
    CalibrationBin,
    EvaluationRecord,
    FoldMetrics,
    HorizonRecord,
    Metrics,
)

RANGE_METRICS = ("auc", "average_precision", "lift_at_10", "log_loss", "brier")


@dataclass(frozen=True)
class ModelEvaluation:
    """The record of an evaluation, and the folds that it rests on, newest first."""

    record: EvaluationRecord
    folds: tuple[BacktestFold, ...]


@dataclass(frozen=True)
class EvaluationEvidence:
    """What a record rests on: the folds, newest first, the scorecard of the newest, and the checks.

    `skipped` says why other folds were not fitted, by their test day; `unseen` is None if it was not asked for.
    """

    folds: tuple[BacktestFold, ...]
    scorecard: Scorecard
    leakage: LeakageReport
    stability: DriverStability
    skipped: Mapping[str, str] = field(default_factory=dict[str, str])
    unseen: Scorecard | None = None


def evaluate_model(model: ChurnModel, stability: DriverStability, inputs: TrainingInputs) -> ModelEvaluation:
    """Evaluate a model on its test days and, fitted again, on earlier ones, against its baselines and for leaks."""
    rows, split, settings = inputs.training_set.rows, inputs.splits[0], inputs.settings
    newest = evaluate_fold(model, rows, split, settings)
    earlier, skipped = evaluate_earlier_folds(rows, inputs.splits, inputs.fit_config, settings)
    shuffled = fit_on_shuffled_labels(rows, split, inputs.fit_config)
    evidence = EvaluationEvidence(
        folds=(newest, *earlier),
        scorecard=evaluate_risks(pooled_data([newest]), newest.risks, settings.evaluation),
        leakage=check_leakage(model, newest, inputs, shuffled),
        stability=stability,
        skipped=skipped,
        unseen=evaluate_unseen_accounts(rows, split, inputs.fit_config, settings),
    )
    return ModelEvaluation(_record(model, evidence, inputs), evidence.folds)


def evaluate_adopted(
    model: ChurnModel, fold: BacktestFold, inputs: TrainingInputs, stability: DriverStability
) -> EvaluationRecord:
    """Evaluate a model whose calibration alone was fitted here, by the risks of a fold that left out each account.

    The ranking is the served one: the calibrations of several parts of the accounts have several levels. No labels are
    shuffled, since its trees know none of them.
    """
    served = model.predict_risks(encode(fold.test, model.inputs))
    evidence = EvaluationEvidence(
        folds=(fold,),
        scorecard=evaluate_risks(pooled_data([fold]), fold.risks, inputs.settings.evaluation, ranking=served),
        leakage=check_leakage(model, fold, inputs, None),
        stability=stability,
    )
    return _record(model, evidence, inputs)


def calibration_bins(scorecard: Scorecard) -> tuple[CalibrationBin, ...]:
    """The calibration table of a scorecard, row by row."""
    return tuple(CalibrationBin(*row) for row in scorecard.calibration.itertuples(index=False, name=None))


def evaluate_baselines(
    data: EvaluationData, baselines: Sequence[Baseline], settings: EvaluationSettings
) -> dict[str, Metrics]:
    """The metrics of each baseline, by its name."""
    return {baseline.name: evaluate_risks(data, baseline.risks, settings).metrics() for baseline in baselines}


def evaluate_by_segment(rows: pd.DataFrame, risks: np.ndarray, settings: EvaluationSettings) -> dict[str, Metrics]:
    """The metrics of each segment in which some accounts churned and some stayed."""
    segments = segment_column(rows)
    if segments is None:
        return {}
    scorecards = evaluate_segments(evaluation_data(rows), risks, segments, settings)
    return {segment: scorecard.metrics() for segment, scorecard in scorecards.items()}


def check_leakage(
    model: ChurnModel, newest: BacktestFold, inputs: TrainingInputs, shuffled: ShuffledLabels | None
) -> LeakageReport:
    """Every sign that a model knows the answer, with the alarms that refuse its promotion."""
    rows, settings = inputs.training_set.rows, inputs.settings.leakage
    train, test = rows_on(rows, newest.split.train), newest.test
    aucs = single_signal_aucs(train, test, model.inputs)
    leads = LeadData(
        test[ACCOUNT_ID].to_numpy(dtype="str"),
        test[CHURNED].to_numpy(),
        _days_left(newest, inputs),
        newest.risks,
        strongest_signal_risks(train, test, model.inputs, aucs.by_name),
    )
    suspects = find_values_set_at_departure(rows, model.inputs, _at_risk_today(inputs))
    return report_leakage(aucs, shuffled, auc_by_lead(leads, settings.lead_days), settings, set_at_departure=suspects)


def _record(model: ChurnModel, evidence: EvaluationEvidence, inputs: TrainingInputs) -> EvaluationRecord:
    settings, folds, scorecard = inputs.settings, evidence.folds, evidence.scorecard
    newest, split, unseen = folds[0], folds[0].split, evidence.unseen
    data, risks = pooled_data(folds), pooled_risks(folds)
    return EvaluationRecord(
        identity=model.identity,
        label=model.label,
        signal_count=len(model.inputs),
        tree_count=model.booster.num_trees(),
        leaves_per_tree=model.leaves_per_tree,
        has_linear_model=model.linear_model is not None,
        excluded_snapshots=inputs.training_set.excluded,
        split={group: tuple(f"{day:%Y-%m-%d}" for day in days) for group, days in split.groups.items() if days},
        metrics=scorecard.metrics(),
        calibration=calibration_bins(scorecard),
        is_calibrated=scorecard.is_calibrated,
        baselines=evaluate_baselines(pooled_data([newest]), newest.baselines, settings.evaluation),
        baseline_comparisons=compare_with_baselines(data, risks, pooled_baselines(folds), settings.evaluation),
        backtest=_summarize_backtest(evidence, settings.evaluation),
        horizons=HorizonRecord(
            evaluate_horizons(folds, settings.evaluation),
            _unavailable_horizons(model, settings.label),
            model.calibrator.offsets,
        ),
        contraction=evaluate_contraction(folds, settings.evaluation),
        monotonicity=check_monotonicity(model, encode(newest.test, model.inputs)),
        unseen_accounts=unseen.metrics() if unseen else None,
        segments=evaluate_by_segment(pd.concat([fold.test for fold in folds]), risks, settings.evaluation),
        leakage=evidence.leakage,
        stability=evidence.stability,
        capacity=settings.evaluation.capacity,
        confidence=settings.evaluation.confidence,
    )


def _summarize_backtest(evidence: EvaluationEvidence, settings: EvaluationSettings) -> BacktestRecord:
    folds = evidence.folds
    newest = evidence.scorecard.metrics()
    each = [newest, *(evaluate_risks(pooled_data([fold]), fold.risks, settings).metrics() for fold in folds[1:])]
    pooled = evaluate_risks(pooled_data(folds), pooled_risks(folds), settings).metrics() if len(folds) > 1 else newest
    days = [tuple(f"{day:%Y-%m-%d}" for day in fold.split.test) for fold in folds]
    return BacktestRecord(
        pooled=pooled,
        folds=tuple(FoldMetrics(test_days, metrics) for test_days, metrics in zip(days, each, strict=True)),
        fold_range={name: (min(m[name] for m in each), max(m[name] for m in each)) for name in RANGE_METRICS},
        skipped=evidence.skipped,
    )


def _unavailable_horizons(model: ChurnModel, label: LabelSettings) -> dict[str, str]:
    """Why the model has no risk for a horizon of the settings, by its days."""
    _, unsupported = supported_horizons(label)
    return {**{str(days): reason for days, reason in unsupported.items()}, **model.unavailable_horizons}


def _at_risk_today(inputs: TrainingInputs) -> AtRiskToday:
    training_set = inputs.training_set
    day = max(day for day in complete_days(training_set.history) if day <= training_set.known_until)
    signals = read_history_frame(training_set.history.folder, day)
    return AtRiskToday(signals, day, inputs.settings.label.horizon_days)


def _days_left(newest: BacktestFold, inputs: TrainingInputs) -> np.ndarray:
    """Days from the start of the horizon until each test account leaves; NaN if it never does."""
    training_set = inputs.training_set
    left_at = training_set.context.subset(training_set.rows.as_of.isin(newest.split.test)).left_at
    start = newest.test.as_of + pd.Timedelta(days=inputs.settings.label.lead_days)
    return ((left_at - start) / pd.Timedelta(days=1)).to_numpy(dtype="float64", na_value=np.nan)
