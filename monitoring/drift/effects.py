"""The effect of a drift on the risk: what each signal that moved did to the risks of the same accounts.

A signal of the newest day is moved back to what it was for each account, and the champion scores again. Distance says
how far a signal moved, the effect says whether it matters.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import pandas as pd

from monitoring.drift.detector import EVERYBODY, DriftedSignal, DriftReport
from monitoring.drift.paired_changes import TOGETHER, Families
from training.model.churn_model import ModelInput, encode

PERCENT = 100.0
Frames = tuple[pd.DataFrame, pd.DataFrame]


class SupportsRisks(Protocol):
    """A model that gives risks, as it was trained or as it is served."""

    @property
    def inputs(self) -> tuple[ModelInput, ...]: ...

    def predict_risks(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """The risk of each row within the main horizon."""
        ...


def add_effects(report: DriftReport, model: SupportsRisks, frames: Frames, families: Families) -> DriftReport:
    """The report with the effect of each drifted signal or family, the largest first.

    `frames` are the same accounts before and after; `families` names the signals of each family.
    """
    moved = {
        signal.signal: families[signal.signal] if signal.kind == TOGETHER else [signal.signal]
        for signal in report.drifted
        if signal.segment == EVERYBODY
    }
    inputs = {signal.name for signal in model.inputs}
    read = {name: [own for own in signals if own in inputs] for name, signals in moved.items()}
    effects = {name: measure_effect(model, *frames, signals) for name, signals in read.items() if signals}
    ranked = sorted((replace(signal, points=effects.get(signal.signal)) for signal in report.drifted), key=_rank)
    together = sorted({name for signals in read.values() for name in signals})
    joint = measure_effect(model, *frames, together) if together else None
    return replace(report, drifted=tuple(ranked), joint_points=joint)


def measure_effect(model: SupportsRisks, before: pd.DataFrame, after: pd.DataFrame, signals: Sequence[str]) -> float:
    """The mean risk on the newest day less the one with these signals as they were, in percentage points."""
    names = [signal.name for signal in model.inputs]
    columns = [names.index(signal) for signal in signals]
    matrix = encode(after, model.inputs)
    moved_back = matrix.copy()
    moved_back[:, columns] = encode(before, model.inputs)[:, columns]
    return PERCENT * float(np.mean(model.predict_risks(matrix) - model.predict_risks(moved_back)))


def _rank(signal: DriftedSignal) -> tuple[float, float]:
    return -abs(signal.points or 0.0), -signal.statistic
