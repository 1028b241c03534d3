"""Served risks: versions that share trees are compared as they are served, because fitting them again cannot differ."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from configs.errors import NothingToLearn
from training.comparison.candidate import Candidate, ComparisonContext
from training.data.time_splits import Days, TimeSplit
from training.evaluation.backtest import BacktestFold, evaluation_data, rows_on, segment_column
from training.evaluation.paired_difference import PairedRisks
from training.labels.definition import CHURNED
from training.model.churn_model import encode
from training.model.recalibration import days_after_training, predict_out_of_fold


def share_trees(challenger: Candidate, champion: Candidate) -> bool:
    """Whether one was made from the other without retraining."""
    is_derived = any(side.provenance and side.provenance.parent for side in (challenger, champion))
    return is_derived and challenger.model.has_same_margins_as(champion.model)


def pair_served_risks(challenger: Candidate, champion: Candidate, context: ComparisonContext) -> PairedRisks:
    """The served risks of two versions with the same trees, on days after either was recalibrated.

    If no such day is mature yet, the recalibration days themselves are used, with risks from calibrators that were
    fitted on other accounts. If neither was recalibrated, the newest days are used.
    """
    rows, is_out_of_fold = _evaluation_rows(challenger, champion, context)

    def risks_of(candidate: Candidate) -> np.ndarray:
        if is_out_of_fold and candidate.recalibration_days:
            return predict_out_of_fold(candidate.model, rows)
        return _served(candidate, rows)

    rankings = _served(challenger, rows), _served(champion, rows)
    return PairedRisks(evaluation_data(rows), risks_of(challenger), risks_of(champion), segment_column(rows), rankings)


def pair_unseen_days(challenger: Candidate, champion: Candidate, context: ComparisonContext) -> PairedRisks | None:
    """The served risks of two versions on the days that neither learned from; None without such a day."""
    learned_on = [*challenger.learned_on, *champion.learned_on]
    if not (challenger.learned_on and champion.learned_on):
        return None
    newest, label = datetime.fromisoformat(max(learned_on)), context.settings.label
    days = days_after_training([newest], context.training_set.days, label)
    rows = rows_on(context.training_set.rows, tuple(days))
    if rows[CHURNED].nunique() < 2:
        return None
    return PairedRisks(evaluation_data(rows), _served(challenger, rows), _served(champion, rows))


def serve_folds(
    candidate: Candidate, tests: Sequence[TimeSplit], context: ComparisonContext
) -> dict[Days, BacktestFold]:
    """The served risks of a candidate whose trees know no label here, by test days.

    Accounts of days that its calibrator was fitted on get the risks of a calibration on other accounts. Without both
    outcomes in each part of them, these days are left out.
    """
    calibrated = context.recalibration_rows(candidate)
    try:
        out_of_fold = predict_out_of_fold(candidate.model, calibrated)
    except NothingToLearn:
        out_of_fold = None
    folds: dict[Days, BacktestFold] = {}
    for split in tests:
        test = rows_on(context.training_set.rows, split.test)
        is_calibrated = calibrated.as_of.isin(split.test).to_numpy()
        if not is_calibrated.any():
            folds[split.test] = BacktestFold(split, test, _served(candidate, test), ())
        elif out_of_fold is not None and is_calibrated.sum() == len(test):
            folds[split.test] = BacktestFold(split, test, out_of_fold[is_calibrated], ())
    return folds


def calibration_drift_reason(candidate: Candidate, context: ComparisonContext) -> str:
    """Why a recalibrated version is not what its recalibration days give, in one clause; empty if it is."""
    rows = context.recalibration_rows(candidate)
    if rows.empty:
        return ""
    served = _served(candidate, rows)
    distance = float(np.abs(served - predict_out_of_fold(candidate.model, rows)).mean())
    margin = context.settings.comparison.calibration_margin
    if distance <= margin:
        return ""
    served_risks = f"the served risks of version {candidate.version}"
    return f"{served_risks} differ by {distance:.4f} from a calibration on the same days; at most {margin} is allowed"


def _served(candidate: Candidate, rows: pd.DataFrame) -> np.ndarray:
    return candidate.model.predict_risks(encode(rows, candidate.model.inputs))


def _evaluation_rows(
    challenger: Candidate, champion: Candidate, context: ComparisonContext
) -> tuple[pd.DataFrame, bool]:
    """The snapshots, and whether they are those that a calibrator was fitted on."""
    days, settings = context.training_set.days, context.settings
    recalibrated = {*challenger.recalibration_days, *champion.recalibration_days}
    if not recalibrated:
        return rows_on(context.training_set.rows, tuple(days[-settings.training.test_snapshots :])), False
    later = days_after_training([datetime.fromisoformat(max(recalibrated))], days, settings.label)
    chosen = later or [day for day in days if f"{day:%Y-%m-%d}" in recalibrated]
    return rows_on(context.training_set.rows, tuple(chosen)), not later
