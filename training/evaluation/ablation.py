"""Ablation: what a model loses without a family of signals, and what usage alone would give.

Each is fitted like what the calibrator sees (on the early days, calibrated on the days after) but in larger steps, and
judged on the newest test days, beside one with every signal that is fitted the same way. A family that others can stand
in for costs little when it is gone; that does not make it useless.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from configs.settings import Settings, TrainingSettings
from features.reports.dictionary import tables_of
from features.signals.base import Signal
from training.data.training_set import CHURNED, Panel
from training.evaluation.backtest import Origin, cases, on
from training.evaluation.paired_difference import Bout, Compared, compare
from training.model.calibrator_fit import logistic_curve
from training.model.churn_model import ChurnModel, Input, encode
from training.model.ensemble import learn_until_truest

FIGURES = ("log_loss", "auc")
# A third of the trees, which is a third of the time; what is compared is fitted alike.
HASTE, LARGEST_STEP = 3, 0.1
USAGE_ONLY = "usage only"


@dataclass(frozen=True)
class Ablated:
    """A model with fewer signals: its figures beside those with all of them, and their paired difference."""

    name: str
    signals: int
    figures: dict[str, Compared]


def ablations(model: ChurnModel, panel: Panel, newest: Origin, settings: Settings) -> Iterator[Ablated]:
    """Every family left out once, and usage alone, one by one; none where `evaluation.ablation_snapshots` is 0."""
    most = settings.evaluation.ablation_snapshots
    if not most:
        return
    early, later = (_sampled(on(panel.rows, days), most) for days in (newest.split.early, newest.split.calibration))
    hasty = _hasty(settings.training, with_line=model.line is not None)

    def risks(chosen: tuple[Input, ...]) -> np.ndarray:
        learned = learn_until_truest(early, chosen, hasty, later)
        seen, asked = (learned.margins(encode(rows, chosen)) for rows in (later, newest.test))
        slope, intercept = logistic_curve(seen, later[CHURNED].to_numpy())
        return expit(slope * asked + intercept)

    whole, of = risks(model.inputs), cases([newest])
    for name, names in parts(panel.place.signals):
        chosen = tuple(one for one in model.inputs if one.name in names)
        figures = compare(Bout(of, risks(chosen), whole), settings.evaluation)
        yield Ablated(name, len(chosen), {figure: figures[figure] for figure in FIGURES})


def parts(signals: tuple[Signal, ...]) -> Iterator[tuple[str, set[str]]]:
    """What each ablated model is called, and the names of the signals that it keeps."""
    every = {one.name for one in signals}
    families = dict.fromkeys(one.family for one in signals)
    for family in families if len(families) > 1 else ():
        yield f"without {family}", every - {one.name for one in signals if one.family == family}
    usage = {name for name, tables in tables_of(signals).items() if tables == ("usage",)}
    if usage and usage != every:
        yield USAGE_ONLY, usage


def _hasty(training: TrainingSettings, *, with_line: bool) -> TrainingSettings:
    step = max(training.learning_rate, min(HASTE * training.learning_rate, LARGEST_STEP))
    return training.model_copy(
        update={"learning_rate": step, "linear_prior_sd": training.linear_prior_sd if with_line else 0}
    )


def _sampled(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many snapshots, the same in every run."""
    return rows if len(rows) <= most else rows.sample(most, random_state=0).sort_index().reset_index(drop=True)
