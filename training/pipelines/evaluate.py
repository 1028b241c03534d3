"""Proof: everything a model is judged by, gathered into the evaluation document that is kept with it."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from configs.settings import Settings
from training.data.time_splits import Split
from training.data.training_set import Panel
from training.evaluation.backtest import Origin, cases, earlier_origins, judge, on, risks_of, rivals, unseen_accounts
from training.evaluation.contraction_metrics import judged_contraction
from training.evaluation.horizon_metrics import judged_horizons
from training.evaluation.leakage import by_lead, judge_leakage, shuffled_answers, signals_alone, strongest_alone
from training.evaluation.monotonicity import swept
from training.evaluation.paired_difference import by_segment, compared
from training.evaluation.scorecard import Evaluation, evaluate
from training.labels.departures import supported_horizons
from training.model.churn_model import ChurnModel, encode
from training.model.fit import Recipe

SEGMENT = "segment"
SPREAD = ("auc", "average_precision", "lift_at_10", "log_loss", "brier")
Document = dict[str, Any]


@dataclass(frozen=True)
class Proof:
    """The evaluation on the newest test days, the whole document with it, and the origins that it rests on."""

    judged: Evaluation
    document: Document
    origins: tuple[Origin, ...]


def prove(model: ChurnModel, panel: Panel, splits: list[Split], settings: Settings) -> Proof:
    """Judge a model on its test days, its like on earlier ones, against its baselines and for leaks.

    `splits` are the origins, newest first; the model is that of the first.
    """
    horizons, _ = supported_horizons(settings.label)
    recipe = Recipe(panel.place.signals, settings.training, dict(model.label), dict(model.identity), horizons)
    known = on(panel.rows, splits[0].known)
    newest = judge(model, panel.rows, splits[0], settings)
    earlier, skipped = earlier_origins(panel.rows, splits, recipe, settings)
    origins = [newest, *earlier]
    judged = evaluate(cases([newest]), newest.risks, settings.evaluation)
    aucs = signals_alone(known, newest.test, model.inputs)
    unseen = unseen_accounts(panel.rows, splits[0], recipe, settings)
    document = {
        **_newest(newest, judged, settings),
        "horizons": {
            "judged": judged_horizons(origins, settings.evaluation),
            "left_out": _left_out(model, settings),
            "own_calibration": dict(model.calibrator.offsets),
        },
        "second_label": judged_contraction(origins, settings.evaluation),
        "directions": [asdict(one) for one in swept(model, encode(newest.test, model.inputs))],
        "comparisons": _comparisons(origins, settings),
        "rolling": _rolling(origins, settings) | {"skipped": skipped},
        "unseen_accounts": unseen.figures() if unseen else None,
        "segments": _segments(origins, settings),
        "leakage": asdict(
            judge_leakage(
                aucs,
                shuffled_answers(panel.rows, splits[0], recipe),
                by_lead(
                    newest.test,
                    newest.risks,
                    _days_left(panel, newest, settings),
                    settings.leakage.lead_days,
                    alone=strongest_alone(known, newest.test, model.inputs, aucs),
                ),
                settings.leakage,
            )
        ),
        "capacity": settings.evaluation.capacity,
        "beaten_at": settings.evaluation.confidence,
    }
    return Proof(judged, document, tuple(origins))


def _newest(newest: Origin, judged: Evaluation, settings: Settings) -> Document:
    of = cases([newest])
    return {
        "figures": judged.figures(),
        "calibration": judged.calibration.to_dict("records"),
        "is_calibrated": judged.is_calibrated,
        "baselines": {one.name: evaluate(of, one.risks, settings.evaluation).figures() for one in newest.baselines},
        "split": {group: [f"{day:%Y-%m-%d}" for day in days] for group, days in newest.split.groups.items()},
    }


def _left_out(model: ChurnModel, settings: Settings) -> dict[str, str]:
    """Why a horizon that was asked for is not given."""
    _, unanswered = supported_horizons(settings.label)
    return {**{str(days): why for days, why in unanswered.items()}, **model.left_out}


def _comparisons(origins: list[Origin], settings: Settings) -> Document:
    return compared(cases(origins), risks_of(origins), rivals(origins), settings.evaluation)


def _rolling(origins: list[Origin], settings: Settings) -> Document:
    pooled = evaluate(cases(origins), risks_of(origins), settings.evaluation)
    each = [evaluate(cases([one]), one.risks, settings.evaluation).figures() for one in origins]
    days = [[f"{day:%Y-%m-%d}" for day in one.split.test] for one in origins]
    return {
        "pooled": pooled.figures(),
        "origins": [{"test": test, **figures} for test, figures in zip(days, each, strict=True)],
        "spread": {name: [min(one[name] for one in each), max(one[name] for one in each)] for name in SPREAD},
    }


def _segments(origins: list[Origin], settings: Settings) -> Document:
    test = pd.concat([one.test for one in origins], ignore_index=True)
    if SEGMENT not in test:
        return {}
    segments = test[SEGMENT].to_numpy(dtype=object)
    found = by_segment(cases(origins), risks_of(origins), segments, settings.evaluation)
    return {segment: one.figures() for segment, one in found.items()}


def _days_left(panel: Panel, newest: Origin, settings: Settings) -> np.ndarray:
    """Days from the beginning of the horizon until each test account leaves, NaN where it never does."""
    left_at = panel.facts.subset(panel.rows.as_of.isin(newest.split.test)).left_at
    begins = newest.test.as_of + pd.Timedelta(days=settings.label.lead_days)
    return ((left_at - begins) / pd.Timedelta(days=1)).to_numpy(dtype="float64", na_value=np.nan)
