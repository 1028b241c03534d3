"""Comparing versions: both are fitted again on the same past days with their own settings, and their risks compared."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
from pydantic import ValidationError

from configs.errors import NothingToLearn, NotReady
from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from training.comparison.candidate import Candidate, ComparisonContext, build_comparison_context, load_candidate
from training.comparison.non_inferiority import (
    ComparisonResult,
    ExplanationFlips,
    assess_non_inferiority,
    assess_same_recipe,
    not_comparable,
)
from training.comparison.served_risks import (
    calibration_drift_reason,
    pair_served_risks,
    pair_unseen_days,
    serve_folds,
    share_trees,
)
from training.data.time_splits import Days, TimeSplit, split_days
from training.data.training_set import build_training_set
from training.evaluation.backtest import (
    BacktestFold,
    backtest_splits,
    evaluation_data,
    fit_split,
    pooled_risks,
    rows_on,
    segment_column,
)
from training.evaluation.paired_difference import PairedRisks
from training.labels.definition import supported_horizons
from training.model.attribution import columns_by_family, find_leading_family, sum_by_family
from training.model.churn_model import ChurnModel, encode
from training.model.fit import FitConfig
from training.registry.comparison_record import ComparisonRecord
from training.registry.mlflow_registry import Registry, open_registry
from training.registry.provenance import restore_label_settings, restore_training_settings
from training.registry.version import Version

NO_FAMILY = ""


def compare_versions(
    settings: Settings, state: StateDir, versions: tuple[Version, Version], known_until: datetime, progress: Progress
) -> ComparisonRecord:
    """Compare a challenger (the first) with another version on the challenger's label, and store the result."""
    registry = open_registry(state, settings.name)
    settings = restore_label_settings(settings, registry.provenance(versions[0]))
    progress("building the training set", 0, 1)
    training_set = build_training_set(settings, state, known_until)
    context = build_comparison_context(training_set, settings, state)
    return compare_and_record(registry, versions, context, progress)


def compare_and_record(
    registry: Registry, versions: tuple[Version, Version], context: ComparisonContext, progress: Progress
) -> ComparisonRecord:
    """Compare a challenger (the first) with another version, and store the result with the challenger."""
    try:
        challenger, champion = (load_candidate(registry, version) for version in versions)
    except NotReady as error:
        result = not_comparable(error.message)
    else:
        result = compare_models(challenger, champion, context, progress)
    record = ComparisonRecord(
        challenger=versions[0].number,
        champion=versions[1].number,
        margins=context.settings.comparison.model_dump(),
        **result.to_json(),
    )
    registry.save_comparison(*versions, record)
    return record


def compare_models(
    challenger: Candidate, champion: Candidate, context: ComparisonContext, progress: Progress
) -> ComparisonResult:
    """Compare two candidates on the same past days; each is fitted again as it was fitted in training."""
    reason = (
        incomparability_reason(challenger, champion, context)
        or calibration_drift_reason(challenger, context)
        or calibration_drift_reason(champion, context)
    )
    if reason:
        return not_comparable(reason)
    settings = context.settings
    flips = count_explanation_flips(challenger.model, champion.model, context)
    if share_trees(challenger, champion):
        risks = pair_served_risks(challenger, champion, context)
    elif has_same_recipe(challenger, champion, context):
        unseen = pair_unseen_days(challenger, champion, context)
        return assess_same_recipe(unseen, flips, evaluation=settings.evaluation, margins=settings.comparison)
    else:
        risks = pair_backtests(*(_backtest(side, context, progress) for side in (challenger, champion)))
    if risks is None:
        return not_comparable("there is no past day on which both could be fitted and evaluated")
    return assess_non_inferiority(risks, flips, evaluation=settings.evaluation, margins=settings.comparison)


def has_same_recipe(challenger: Candidate, champion: Candidate, context: ComparisonContext) -> bool:
    """Whether fitting both again on the same days would give one model twice."""
    if challenger.is_adopted or champion.is_adopted:
        return False
    days = context.training_set.days
    recipes = [
        (replace(fit_config_of(side, context), identity={}), side.own_days(days)) for side in (challenger, champion)
    ]
    return recipes[0] == recipes[1]


def incomparability_reason(challenger: Candidate, champion: Candidate, context: ComparisonContext) -> str:
    """Why no snapshot can compare the two, in one clause; empty if they can be compared."""
    return (
        _refit_fault(challenger, context)
        or _refit_fault(champion, context)
        or _label_difference(challenger.model, champion.model)
    )


def backtest_candidate(
    candidate: Candidate, context: ComparisonContext, progress: Progress
) -> dict[Days, BacktestFold]:
    """The candidate's risks on past days, from models fitted again with its own settings; by test days."""
    config, rows = fit_config_of(candidate, context), context.training_set.rows
    # Both are evaluated on the same test days, whatever their own settings say of how a calibrator is fitted.
    training = config.training.model_copy(update={"test_snapshots": context.settings.training.test_snapshots})
    settings = context.settings.model_copy(update={"training": training})
    splits = _backtest_splits(context.training_set.days, settings)
    if candidate.is_adopted:
        return serve_folds(candidate, splits, context)
    tests = [split.test for split in splits]
    own_days = candidate.own_days(context.training_set.days)
    folds: dict[Days, BacktestFold] = {}
    for index, days in enumerate(tests):
        progress(f"fitting version {candidate.version} again for {days[-1]:%Y-%m-%d}", index, len(tests))
        try:
            split = split_days([*(day for day in own_days if day < days[0]), *days], settings.label, training)
            model = fit_split(rows, split, config)
        except NothingToLearn:
            continue
        test = rows_on(rows, split.test)
        folds[split.test] = BacktestFold(split, test, model.predict_risks(encode(test, model.inputs)), ())
    return folds


def _backtest_splits(days: list[datetime], settings: Settings) -> list[TimeSplit]:
    """The splits of a backtest; of a history too short for one the newest days as a test, for adopted versions."""
    try:
        return backtest_splits(days, settings)
    except NothingToLearn:
        return [TimeSplit(fit=(), calibration=(), train=(), test=tuple(days[-settings.training.test_snapshots :]))]


def fit_config_of(candidate: Candidate, context: ComparisonContext) -> FitConfig:
    """The settings that the candidate was fitted with, for the signals as they are declared now."""
    assert candidate.provenance is not None
    model = candidate.model
    signals = {signal.name: signal for signal in context.training_set.history.signals}
    horizons, _ = supported_horizons(context.settings.label)
    return FitConfig(
        tuple(signals[name] for name in model.signal_names),
        restore_training_settings(candidate.provenance),
        model.label,
        dict(model.identity),
        tuple(days for days in horizons if days in model.calibrator.horizons),
    )


def pair_backtests(
    challenger: Mapping[Days, BacktestFold], champion: Mapping[Days, BacktestFold]
) -> PairedRisks | None:
    """The risks on the test days that both have, newest first; None if there is none."""
    common = sorted(challenger.keys() & champion.keys(), reverse=True)
    if not common:
        return None
    folds, others = ([side[days] for days in common] for side in (challenger, champion))
    test = pd.concat([fold.test for fold in folds], ignore_index=True)
    return PairedRisks(evaluation_data(test), pooled_risks(folds), pooled_risks(others), segment_column(test))


def count_explanation_flips(
    challenger: ChurnModel, champion: ChurnModel, context: ComparisonContext
) -> ExplanationFlips:
    """How many accounts of the newest day that either model ranks within capacity get another main family."""
    rows, settings = context.newest_rows, context.settings
    is_within_capacity = np.zeros(len(rows), dtype=bool)
    families: list[np.ndarray] = []
    for model in (challenger, champion):
        matrix = encode(rows, model.inputs)
        ranking = np.argsort(-model.predict_risks(matrix), kind="stable")
        is_within_capacity[ranking[: settings.evaluation.capacity]] = True
        families.append(_main_families(model, matrix, settings.training.threads))
    flipped = (families[0] != families[1])[is_within_capacity]
    return ExplanationFlips(f"{rows.as_of.iloc[0]:%Y-%m-%d}", len(flipped), int(flipped.sum()))


def _main_families(model: ChurnModel, matrix: np.ndarray, threads: int) -> np.ndarray:
    """The family that raises each row's margin most."""
    columns = columns_by_family(model.inputs)
    leading, _ = find_leading_family(sum_by_family(model.predict_contributions(matrix, threads), columns))
    return np.array([*columns, NO_FAMILY])[leading]


def _backtest(candidate: Candidate, context: ComparisonContext, progress: Progress) -> Mapping[Days, BacktestFold]:
    return context.backtests.get(candidate.version) or backtest_candidate(candidate, context, progress)


def _refit_fault(candidate: Candidate, context: ComparisonContext) -> str:
    """Why a candidate cannot be fitted again; empty if it can."""
    if candidate.provenance is None:
        return f"version {candidate.version} has no stored provenance; train again"
    missing = sorted(set(candidate.model.signal_names) - set(context.training_set.rows.columns))
    if missing:
        return f"version {candidate.version} needs the signal '{missing[0]}', which this data no longer has"
    try:
        restore_training_settings(candidate.provenance)
    except ValidationError:
        return f"version {candidate.version} was trained with settings that no longer exist"
    return ""


def _label_difference(challenger: ChurnModel, champion: ChurnModel) -> str:
    labels = [model.identity["label"] for model in (challenger, champion)]
    if labels[0] == labels[1]:
        return ""
    first, second = (
        f"'{model.label['mode']}' within {model.label['horizon_days']} days ({label})"
        for model, label in zip((challenger, champion), labels, strict=True)
    )
    return f"they predict different labels: {first} and {second}"
