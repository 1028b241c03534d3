"""Leakage: signs that a model knows the answer rather than foresees it.

Three questions: does one signal alone rank too well, does a model fitted on shuffled answers still rank, and does the
ranking collapse when those who leave at once are set apart (Kaufman, Rosset & Perlich, 2012, on leakage).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import pandas as pd

from configs.settings import LeakageSettings
from training.data.cluster_bootstrap import bounds, resamples
from training.data.time_splits import Split
from training.data.training_set import CHURNED
from training.evaluation.backtest import KEY, fit_on, on
from training.evaluation.baselines import risks_of_one
from training.evaluation.metrics import auc, tally
from training.model.churn_model import Input, encode
from training.model.fit import Recipe

SHOWN_SIGNALS = 5
# Chance leaves these bounds once in 1,500 trainings.
CHANCE_SPREADS = 3.4
RESAMPLES = 200


@dataclass(frozen=True)
class Shuffled:
    """The AUC of a model fitted on shuffled answers, and the bounds that chance keeps to."""

    auc: float
    low: float
    high: float


@dataclass(frozen=True)
class Lead:
    """How well the risks tell those who leave `lead_days` or more after the horizon began from those who stay.

    `fall` is what the AUC lost since the lead before, `fall_low` the lower end of its paired interval. `signal` is the
    one that lost most alone, and `signal_fall` how much.
    """

    lead_days: int
    churned: int
    auc: float
    fall: float
    fall_low: float
    signal: str = ""
    signal_fall: float = 0.0


@dataclass(frozen=True)
class Leakage:
    """What the battery found; `signals` are the AUCs of the strongest signals alone."""

    signals: dict[str, float]
    shuffled: Shuffled
    leads: tuple[Lead, ...]
    alarms: tuple[str, ...]


def judge_leakage(
    signals: dict[str, float], shuffled: Shuffled, leads: tuple[Lead, ...], settings: LeakageSettings
) -> Leakage:
    """The alarms that these findings raise, in sentences, the signals by name."""
    loud = [(name, value) for name, value in signals.items() if value > settings.max_signal_auc]
    told = [f"the signal '{name}' alone has an AUC of {v:.3f}, above {settings.max_signal_auc}" for name, v in loud]
    if not shuffled.low <= shuffled.auc <= shuffled.high:
        bounds_ = f"[{shuffled.low:.3f}, {shuffled.high:.3f}]"
        told.append(f"a model fitted on shuffled answers has an AUC of {shuffled.auc:.3f}, outside chance {bounds_}")
    for before, lead in pairwise(leads):
        if lead.fall > settings.max_auc_drop and lead.fall_low > 0:
            told.append(
                f"the AUC falls off a cliff, from {before.auc:.3f} at a lead of {before.lead_days} days to"
                f" {lead.auc:.3f} at {lead.lead_days}{_fallen_signal(lead)}"
            )
    strongest = sorted(signals.items(), key=lambda item: -item[1])[:SHOWN_SIGNALS]
    return Leakage(dict(strongest), shuffled, leads, tuple(told))


def signals_alone(known: pd.DataFrame, test: pd.DataFrame, inputs: tuple[Input, ...]) -> dict[str, float]:
    """The AUC on the test that each signal has alone, its groups' churn rates taken from what was known."""
    churned = test[CHURNED].to_numpy()
    return {one.name: float(auc(tally(churned, risks_of_one(known, test, one)))[0]) for one in inputs}


def shuffled_answers(rows: pd.DataFrame, split: Split, recipe: Recipe) -> Shuffled:
    """The AUC of the same fit where every day's answers are shuffled among its accounts, those of the test too.

    Nothing is left to learn, so only a fit that saw the test's answers ranks them. Bounds by the variance of the
    Mann-Whitney statistic under chance.
    """
    generator = np.random.default_rng(recipe.training.seed)
    mixed = rows.groupby("as_of")[CHURNED].transform(lambda answers: generator.permutation(answers.to_numpy()))
    shuffled = rows.assign(churned=mixed)
    # The answers within other horizons are not shuffled with them.
    model = fit_on(shuffled, split, replace(recipe, horizons=()))
    test = on(shuffled, split.test)
    churned = test[CHURNED].to_numpy()
    found = auc(tally(churned, model.risks(encode(test, model.inputs))))[0]
    left, stayed = churned.sum(), (1 - churned).sum()
    reach = CHANCE_SPREADS * np.sqrt((left + stayed + 1) / (12 * left * stayed))
    return Shuffled(float(found), float(0.5 - reach), float(0.5 + reach))


def strongest_alone(
    known: pd.DataFrame, test: pd.DataFrame, inputs: tuple[Input, ...], aucs: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """The risks that the signals which rank best alone, by `aucs`, give the test."""
    ranked = sorted(inputs, key=lambda one: -aucs[one.name])
    return {one.name: risks_of_one(known, test, one) for one in ranked[:SHOWN_SIGNALS]}


def by_lead(
    test: pd.DataFrame,
    risks: np.ndarray,
    days_left: np.ndarray,
    leads: tuple[int, ...],
    *,
    alone: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> tuple[Lead, ...]:
    """The AUC without those who leave sooner than each lead; `days_left` counts from the horizon's beginning.

    Foresight fades with the lead. What knows of leaving only just before it happens falls off a cliff; `alone` are the
    risks of signals alone, by name, of which the one that falls most is named.
    """
    found: list[Lead] = []
    drawn: list[np.ndarray] = []
    # The same draws at every lead, so that the fall between two leads is paired.
    weights = np.concatenate(list(resamples(test[KEY].to_numpy(dtype="str"), RESAMPLES)))
    churned = test[CHURNED].to_numpy()
    for lead in leads:
        kept = (churned == 0) | (days_left >= lead)
        left = int(churned[kept].sum())
        if left == 0:
            break
        value = float(auc(tally(churned[kept], risks[kept]))[0])
        drawn.append(auc(tally(churned[kept], risks[kept], weights[:, kept])))
        falls = (found[-1].auc - value, bounds(drawn[-2] - drawn[-1])[0]) if found else (0.0, 0.0)
        before = (churned == 0) | (days_left >= found[-1].lead_days) if found else kept
        found.append(Lead(lead, left, value, *falls, *_fell_most(churned, alone, before, kept)))
    return tuple(found)


def _fell_most(
    churned: np.ndarray, alone: Mapping[str, np.ndarray], before: np.ndarray, kept: np.ndarray
) -> tuple[str, float]:
    """The signal whose AUC alone lost most from one group of snapshots to the next, and how much; "" where none did."""

    def ranks(risks: np.ndarray, of: np.ndarray) -> float:
        return float(auc(tally(churned[of], risks[of]))[0])

    falls = {name: ranks(risks, before) - ranks(risks, kept) for name, risks in alone.items()}
    worst = max(falls, key=lambda name: falls[name], default="")
    return (worst, falls[worst]) if worst and falls[worst] > 0 else ("", 0.0)


def _fallen_signal(lead: Lead) -> str:
    return f"; of the strongest signals '{lead.signal}' alone loses most, {lead.signal_fall:.3f}" if lead.signal else ""
