"""Training: from the published history to a registered, evaluated model that is compared with the champion.

The same inputs are never trained on twice.
"""

import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from training.comparison.candidate import ComparisonContext, build_comparison_context
from training.comparison.compare_versions import compare_and_record
from training.evaluation.ablation import AblationResult, run_ablations
from training.evaluation.backtest import BacktestFold, fit_split, rows_on
from training.evaluation.driver_stability import measure_stability
from training.evaluation.learning_curve import measure_learning_curve
from training.evaluation.past_accounts import collect_past_snapshots
from training.model.churn_model import ChurnModel
from training.pipelines.evaluate import ModelEvaluation, evaluate_model
from training.pipelines.training_inputs import TrainingInputs, build_provenance, read_training_inputs
from training.pipelines.tuning import SearchBudget, TrialStorage, TuningResult, prepare_search
from training.registry.comparison_record import ComparisonRecord
from training.registry.evaluation_record import EvaluationRecord
from training.registry.mlflow_registry import Registry, open_registry
from training.registry.provenance import describe_environment
from training.registry.training_run import TrainingRun
from training.registry.version import Version
from training.reports.model_card_html import write_model_cards
from training.reports.plots import PlotSubject, draw_plots

STEPS = 9


@dataclass(frozen=True)
class TrainingResult:
    """A version with its evaluation, its comparison with another champion, and whether it existed before."""

    version: Version
    evaluation: EvaluationRecord
    comparison: ComparisonRecord | None
    reused: bool


def train(
    settings: Settings,
    state: StateDir,
    known_until: datetime,
    progress: Progress,
    *,
    budget: SearchBudget | None = None,
) -> TrainingResult:
    """Fit, evaluate and register a model on every snapshot mature by `known_until`, or find the one trained before.

    With a budget, training settings are searched first. Raises NothingToLearn if the history has too few labels,
    LabelsRefused if a model would learn something else from them.
    """
    progress("building the training set", 0, STEPS)
    inputs = read_training_inputs(settings, state, known_until)
    tuned = _tune(inputs, state, budget) if budget else None
    inputs = inputs.with_training_settings(tuned.training) if tuned else inputs
    registry = open_registry(state, settings.name)
    context = build_comparison_context(inputs.training_set, inputs.settings, state)
    progress("looking for the same model", 1, STEPS)
    version = registry.find_by_identity(inputs.identity_hash)
    if version:
        comparison = _compare_with_champion(registry, version, context, progress)
        progress("found", STEPS, STEPS)
        return TrainingResult(version, registry.evaluation(version), comparison, reused=True)
    model, evaluation = _fit_and_evaluate(inputs, progress)
    record = replace(evaluation.record, tuning=tuned.to_record() if tuned else None)
    progress("logging to MLflow", 7, STEPS)
    version = _register(registry, inputs, PlotSubject(model, evaluation.folds[0], record))
    folds = {version.number: {fold.split.test: fold for fold in evaluation.folds}}
    comparison = _compare_with_champion(registry, version, replace(context, backtests=folds), progress)
    progress("registered", STEPS, STEPS)
    return TrainingResult(version, record, comparison, reused=False)


def _tune(inputs: TrainingInputs, state: StateDir, budget: SearchBudget) -> TuningResult:
    storage = TrialStorage(state.folder / "search.db", inputs.identity_hash)
    config = replace(inputs.fit_config, identity={}, horizons=())
    return prepare_search(inputs.training_set.rows, inputs.splits, config, inputs.settings).run(budget, storage)


def _fit_and_evaluate(inputs: TrainingInputs, progress: Progress) -> tuple[ChurnModel, ModelEvaluation]:
    rows, split = inputs.training_set.rows, inputs.splits[0]
    progress("growing trees", 2, STEPS)
    model = fit_split(rows, split, inputs.fit_config)
    progress("refitting to see which main reasons are stable", 3, STEPS)
    test = rows_on(rows, split.test)
    stability, spread = measure_stability(model, rows_on(rows, split.train), test, inputs.settings)
    past = collect_past_snapshots(model, test)
    model = replace(model, main_reason_min_lead=stability.min_lead, margin_spread=spread, past=past)
    progress("evaluating on past days, against baselines and for leaks", 4, STEPS)
    evaluation = evaluate_model(model, stability, inputs)
    ablation = _run_ablations(model, evaluation.folds[0], inputs, progress)
    if inputs.settings.evaluation.learning_curve:
        progress("fitting on fewer accounts, to see what more data would bring", 6, STEPS)
    curve = measure_learning_curve(evaluation.folds[0], rows, inputs.fit_config, inputs.settings)
    return model, replace(evaluation, record=replace(evaluation.record, ablation=ablation, learning_curve=curve))


def _run_ablations(
    model: ChurnModel, newest: BacktestFold, inputs: TrainingInputs, progress: Progress
) -> tuple[AblationResult, ...]:
    results: list[AblationResult] = []
    for result in run_ablations(model, inputs.training_set, newest, inputs.settings):
        progress(f"evaluated {result.name}", 5, STEPS)
        results.append(result)
    return tuple(results)


def _register(registry: Registry, inputs: TrainingInputs, subject: PlotSubject) -> Version:
    """Draw the plots, write the model cards, and register the model with them."""
    settings, record = inputs.settings, subject.evaluation
    parameters = {**settings.training.model_dump(), **record.label, **inputs.identity, **describe_environment()}
    with tempfile.TemporaryDirectory() as folder:
        draw_plots(subject, Path(folder))
        write_model_cards(record, Path(folder))
        run = TrainingRun(
            model=subject.model,
            evaluation=record,
            provenance=build_provenance(settings, inputs.training_set, inputs.known_until),
            metrics=record.metrics,
            parameters=parameters,
            identity=inputs.identity_hash,
            report_folder=Path(folder),
        )
        return registry.log_run(run)


def _compare_with_champion(
    registry: Registry, version: Version, context: ComparisonContext, progress: Progress
) -> ComparisonRecord | None:
    """The version's comparison with the champion, made now if there is none; None without another champion."""
    champion = registry.find_rival(version)
    if champion is None:
        return None
    progress(f"comparing with version {champion.number}", 8, STEPS)
    last = registry.last_comparison(version)
    if last and last["compared_with"] == champion.number:
        return registry.load_comparison(version, champion.number)
    return compare_and_record(registry, (version, champion), context, progress)
