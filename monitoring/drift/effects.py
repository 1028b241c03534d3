"""The effect of a drift on the risk: what each signal that moved did to the risks of the same accounts.

A signal of the newest day is moved back to what it was for each account, and the champion scores again. Distance says
how far a signal moved, the effect says whether it matters.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from monitoring.drift.detector import EVERYBODY, DriftedSignal, DriftReport
from training.model.churn_model import ChurnModel, encode

PERCENT = 100.0


def add_effects(report: DriftReport, model: ChurnModel, before: pd.DataFrame, after: pd.DataFrame) -> DriftReport:
    """The report with the effect of each drifted signal, the largest first; both frames hold the same accounts."""
    names = list(dict.fromkeys(signal.signal for signal in report.drifted if signal.segment == EVERYBODY))
    read = [name for name in names if name in model.signal_names]
    effects = {name: measure_effect(model, before, after, [name]) for name in read}
    ranked = sorted((replace(signal, points=effects.get(signal.signal)) for signal in report.drifted), key=_rank)
    return replace(
        report, drifted=tuple(ranked), joint_points=measure_effect(model, before, after, read) if read else None
    )


def measure_effect(model: ChurnModel, before: pd.DataFrame, after: pd.DataFrame, signals: Sequence[str]) -> float:
    """The mean risk on the newest day less the one with these signals as they were, in percentage points."""
    columns = [model.signal_names.index(signal) for signal in signals]
    matrix = encode(after, model.inputs)
    moved_back = matrix.copy()
    moved_back[:, columns] = encode(before, model.inputs)[:, columns]
    return PERCENT * float(np.mean(model.predict_risks(matrix) - model.predict_risks(moved_back)))


def _rank(signal: DriftedSignal) -> tuple[float, float]:
    return -abs(signal.points or 0.0), -signal.statistic
