"""Adoption: from the exported model of another company to a version here, calibrated and evaluated on departures here.

No account is evaluated by a calibration that was fitted on it. Trees know no label of this company, so the same days
can calibrate and test: a young company has no others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from configs.errors import NothingToLearn, RequestError
from configs.progress import Progress
from configs.sections.label import LabelSettings
from configs.settings import Settings
from configs.state_dir import StateDir
from features.signals.base import Signal
from features.store.history import HistoryVersion, complete_days
from features.store.history_reader import read_history_frame
from features.tables.contract import ACCOUNT_ID
from features.tables.mapping import read_mapping
from training.comparison.candidate import build_comparison_context
from training.comparison.compare_versions import compare_and_record
from training.data.label_checks import LabelledSplit, check_labels, raise_for_faults
from training.data.time_splits import TimeSplit
from training.data.training_set import TrainingSet, build_training_set
from training.evaluation.backtest import BacktestFold
from training.evaluation.baselines import fit_baselines_out_of_fold
from training.evaluation.past_accounts import collect_past_snapshots
from training.labels.definition import CHURNED, describe_label, supported_horizons
from training.model.adoption import DISTILLED_ROWS, calibrate_with_prior, distil_model, shared_variance
from training.model.churn_model import ChurnModel
from training.model.fit import FitConfig
from training.model.recalibration import LinePrior, predict_horizons_out_of_fold
from training.pipelines.derived_version import StoredVersion, register_version
from training.pipelines.evaluate import evaluate_adopted
from training.pipelines.exported_model import ExportedModel
from training.pipelines.train import TrainingResult
from training.pipelines.training_inputs import TrainingInputs, build_provenance
from training.registry.mlflow_registry import open_registry
from training.registry.provenance import hash_signals

STEPS = 4
# Fewer cannot show whether a model ranks the accounts of this company.
MIN_DEPARTED = 5


@dataclass(frozen=True)
class Adoption:
    """The registered version, how many signals it reads, and how many of the source's this company lacks.

    `shared_variance` is the squared correlation of its margins with the source's, on snapshots mixed for this alone.
    """

    result: TrainingResult
    shared_signals: int
    missing_signals: int
    shared_variance: float


def adopt(
    settings: Settings, state: StateDir, source: ExportedModel, known_until: datetime, progress: Progress
) -> Adoption:
    """Register another company's model as a version here, or find the same one registered before.

    Raises RequestError if it is of this company, predicts something else or shares no signal, NothingToLearn if too few
    accounts left here.
    """
    _require_other_company(source, read_mapping(settings.data)[0].name)
    _require_same_label(source, settings.label)
    progress("building the training set", 0, STEPS)
    inputs = _read_inputs(settings, state, known_until)
    shared = shared_signals(source, inputs.training_set.history.signals)
    rows = _newest_rows(inputs.training_set)
    registry, identity = open_registry(state, settings.name), f"{source.hash} {inputs.identity_hash}"
    existing = registry.find_by_identity(identity)
    if existing:
        version = existing
    else:
        progress("fitting trees to its margins", 1, STEPS)
        distilled = distil_model(source.model, rows, _fit_config(inputs, shared, source))
        stored = _calibrate_and_evaluate(distilled, source, inputs, progress)
        version = register_version(registry, stored, f"adopted from {source.label}", identity)
    comparison = None
    if existing is None and (champion := registry.find_rival(version)):
        context = build_comparison_context(inputs.training_set, settings, state)
        comparison = compare_and_record(registry, (version, champion), context, progress)
    progress("registered", STEPS, STEPS)
    return Adoption(
        TrainingResult(version, registry.evaluation(version), comparison, reused=existing is not None),
        shared_signals=len(shared),
        missing_signals=len(source.model.inputs) - len(shared),
        shared_variance=shared_variance(source.model, registry.load_model(version), rows),
    )


def shared_signals(source: ExportedModel, signals: tuple[Signal, ...]) -> tuple[Signal, ...]:
    """The signals that the source reads and this company computes in the same way, in the same unit.

    Amounts in another currency are not shared. Raises RequestError if there is no such signal.
    """
    hashes, units = hash_signals(signals), {signal.name: signal.unit for signal in source.model.inputs}
    shared = tuple(
        signal
        for signal in signals
        if source.origin.signals.get(signal.name) == hashes[signal.name] and units.get(signal.name) == signal.unit
    )
    if not shared:
        message = f"None of the {len(source.model.inputs)} signals of {source.label} can be computed here."
        raise RequestError(message, "Adopt a model of the same release, with some of the same tables.")
    return shared


def _require_other_company(source: ExportedModel, dataset: str) -> None:
    """A model that was fitted to the labels of this company would be judged by accounts that it knows."""
    if source.origin.dataset == dataset:
        raise RequestError(
            f"{source.label} was trained on a data set of the same name, '{dataset}': it may know who left here, and"
            " then no figure of it can be trusted.",
            "Adopt a model of another company. If it is of another one, give your data set a name of its own in the"
            " mapping.",
        )


def _require_same_label(source: ExportedModel, label: LabelSettings) -> None:
    own = describe_label(label)
    for name in ("mode", "horizon_days", "lead_days"):
        needed = source.model.label[name]
        if needed != own[name]:
            raise RequestError(
                f"{source.label} predicts another label: its label.{name} is {needed}, here it is {own[name]}.",
                f"Set label.{name} = {needed!r}, or adopt another model.",
            )


def _read_inputs(settings: Settings, state: StateDir, known_until: datetime) -> TrainingInputs:
    """The labelled snapshots on all of their days, which calibrate and test alike."""
    training_set = build_training_set(settings, state, known_until)
    days = tuple(training_set.days)
    split = TimeSplit(fit=(), calibration=days, train=days, test=days)
    data = LabelledSplit(training_set.rows, training_set.context, replace(split, test=()), training_set.history.signals)
    raise_for_faults(check_labels(data, settings.label, training_set.known_until))
    _require_departures(training_set.rows)
    return TrainingInputs(settings, training_set, [split], training_set.known_until)


def _require_departures(rows: pd.DataFrame) -> None:
    departed, accounts = rows[ACCOUNT_ID][rows[CHURNED] == 1].nunique(), rows[ACCOUNT_ID].nunique()
    if departed < MIN_DEPARTED:
        raise NothingToLearn(
            f"Of {accounts} accounts with known labels only {departed} churned; at least {MIN_DEPARTED} must have, to"
            " see how well another company's model ranks them.",
            "Wait until more labels have matured.",
        )


def _calibrate_and_evaluate(
    distilled: ChurnModel, source: ExportedModel, inputs: TrainingInputs, progress: Progress
) -> StoredVersion:
    training_set = inputs.training_set
    progress("calibrating to departures", 2, STEPS)
    model = calibrate_with_prior(distilled, training_set.rows)
    model = replace(model, past=collect_past_snapshots(model, training_set.rows))
    progress("evaluating on accounts left out of the calibration", 3, STEPS)
    fold = _evaluation_fold(distilled, inputs)
    evaluation = evaluate_adopted(model, fold, inputs, source.origin.stability)
    provenance = replace(
        build_provenance(inputs.settings, training_set, inputs.known_until),
        adopted_from=f"{source.label} ({source.hash})",
        calibrated_on=tuple(f"{day:%Y-%m-%d}" for day in training_set.days),
    )
    return StoredVersion(model, replace(evaluation, adopted_from=source.label), provenance, fold)


def _fit_config(inputs: TrainingInputs, shared: tuple[Signal, ...], source: ExportedModel) -> FitConfig:
    label = inputs.settings.label
    identity = inputs.identity | {"adopted": source.hash}
    return FitConfig(shared, inputs.settings.training, describe_label(label), identity, supported_horizons(label)[0])


def _newest_rows(training_set: TrainingSet) -> pd.DataFrame:
    """The newest published snapshots, labelled or not: enough for the trees."""
    return pd.concat(_days_until_enough(training_set.history, training_set.known_until), ignore_index=True)


def _days_until_enough(history: HistoryVersion, known_until: datetime) -> Iterator[pd.DataFrame]:
    rows = 0
    for day in sorted((day for day in complete_days(history) if day <= known_until), reverse=True):
        frame = read_history_frame(history.folder, day)
        yield frame
        rows += len(frame)
        if rows >= DISTILLED_ROWS:
            return


def _evaluation_fold(distilled: ChurnModel, inputs: TrainingInputs) -> BacktestFold:
    """The labelled snapshots, with risks and baselines that were fitted on other accounts."""
    rows = inputs.training_set.rows
    columns = predict_horizons_out_of_fold(distilled, rows, LinePrior.of(rows)).T
    by_horizon = dict(zip(distilled.calibrator.horizons, columns, strict=True))
    baselines = fit_baselines_out_of_fold(rows, distilled.inputs, inputs.settings.health_score.weights)
    return BacktestFold(inputs.splits[0], rows, by_horizon[distilled.horizon_days], baselines, by_horizon)
