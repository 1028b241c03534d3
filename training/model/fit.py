"""Fitting: the calibrator on margins of days later than their trees, then the trees on every day known by now.

No class weights and no resampling: both ruin the probability.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from configs.errors import NothingToLearn
from configs.settings import TrainingSettings
from features.signals.base import Signal
from training.data.training_set import CHURNED
from training.model.calibrator_fit import SegmentRule, fit_calibrator
from training.model.churn_model import EVERYONE, ChurnModel, Input, encode, segments
from training.model.ensemble import Learned, learn_alike, learn_until_truest
from training.model.horizon_intervals import Asked, Seen, spans_between

COPIED = ("name", "family", "label", "sentence", "unit", "kind", "actionable", "direction", "text")
TOO_SHORT = "the history is too short for answers that take so long"


@dataclass(frozen=True)
class Recipe:
    """What the model is made of besides the rows; the main horizon is `horizon_days` of the label.

    The other `horizons` are learned where the history is long enough and enough accounts left between them.
    """

    signals: tuple[Signal, ...]
    training: TrainingSettings
    label: dict[str, Any]
    identity: dict[str, str]
    horizons: tuple[int, ...] = ()


@dataclass(frozen=True)
class LongerRows:
    """The snapshots that a horizon beyond the main one is learned from, on the days that
    `training/data/time_splits.py` chose."""

    horizon_days: int
    early: pd.DataFrame
    calibration: pd.DataFrame


def fit(
    early: pd.DataFrame,
    calibration: pd.DataFrame,
    known: pd.DataFrame,
    recipe: Recipe,
    *,
    longer: Sequence[LongerRows] = (),
) -> ChurnModel:
    """A calibrated model from snapshots with their answers; the same rows and recipe give the same model to the byte.

    Trees grown on `early` give the later `calibration` rows the margins that the calibrator learns from; the trees of
    the model are then grown on `known`, which holds both. Raises NothingToLearn where too few churned or stayed within
    the main horizon; another horizon is left out then, and the model says why.
    """
    for rows in (early, calibration):
        refuse_one_sided(rows, recipe.training)
    inputs = inputs_of(recipe.signals, known)
    asked = Asked(recipe.label["horizon_days"], recipe.horizons, recipe.training.min_churned)
    earlier = learn_until_truest(early, inputs, recipe.training, calibration)
    served = learn_alike(known, inputs, recipe.training, trees=earlier.trees, with_line=earlier.line is not None)
    alike = replace(earlier, trees=served.trees, line=earlier.line if served.line else None)
    main = _see(alike, served, calibration, inputs)
    further, too_early = _see_further(longer, inputs, recipe, served)
    spans, left_out = spans_between(dict.fromkeys(_up_to(asked), main) | further, asked)
    return ChurnModel(
        booster_text=served.booster.model_to_string(num_iteration=-1),
        line=served.line,
        inputs=inputs,
        calibrator=fit_calibrator(spans, _segment_rule(recipe.training), recipe.training.drift_prior_sd),
        base_margin=served.shares(encode(known.head(1), inputs))[1],
        typical=_typical(calibration, inputs),
        label=recipe.label,
        identity=recipe.identity,
        left_out={str(days): why for days, why in sorted({**too_early, **left_out}.items())},
    )


def inputs_of(signals: Sequence[Signal], rows: pd.DataFrame) -> tuple[Input, ...]:
    """The signals as a model reads them; the values of a category are those of the snapshots."""
    return tuple(_input(one, rows) for one in signals)


def _see(earlier: Learned, served: Learned, later: pd.DataFrame, inputs: tuple[Input, ...]) -> Seen:
    """Later snapshots with the margins of what is served, and of the same that was learned before them."""
    matrix = encode(later, inputs)
    return Seen(later, earlier.margins(matrix), served.margins(matrix), segments(matrix, inputs))


def _see_further(
    longer: Sequence[LongerRows], inputs: tuple[Input, ...], recipe: Recipe, served: Learned
) -> tuple[dict[int, Seen], dict[int, str]]:
    """What horizons beyond the main one are learned from, and why they cannot be where the history does not suffice."""
    beyond = [days for days in recipe.horizons if days > recipe.label["horizon_days"]]
    there = {one.horizon_days: one for one in longer}
    found, left_out = {}, {days: TOO_SHORT for days in beyond if days not in there}
    for days in sorted(set(beyond) & there.keys()):
        try:
            refuse_one_sided(there[days].early, recipe.training)
        except NothingToLearn as problem:
            left_out[days] = problem.message
        else:
            early, has_line = there[days].early, served.line is not None
            earlier = learn_alike(early, inputs, recipe.training, trees=served.trees, with_line=has_line)
            found[days] = _see(earlier, served, there[days].calibration, inputs)
    return found, left_out


def _up_to(asked: Asked) -> list[int]:
    return [days for days in (*asked.others, asked.main) if days <= asked.main]


def _segment_rule(training: TrainingSettings) -> SegmentRule:
    return SegmentRule(training.min_churned_per_segment, training.segment_prior_sd)


def refuse_one_sided(rows: pd.DataFrame, training: TrainingSettings) -> None:
    """Raise NothingToLearn where too few churned, or stayed, to learn from."""
    churned = int(rows[CHURNED].sum())
    fewest = min(churned, len(rows) - churned)
    if fewest < training.min_churned:
        what = "churned" if fewest == churned else "stayed"
        days = f"{rows.as_of.min():%Y-%m-%d} to {rows.as_of.max():%Y-%m-%d}" if len(rows) else "none"
        raise NothingToLearn(
            f"Of {len(rows)} snapshots ({days}) only {fewest} {what}; at least {training.min_churned} are needed.",
            "There is nothing to learn from this yet (days whose answers are not all known do not count): bring a "
            "longer history or a longer label.horizon_days.",
        )


def _input(one: Signal, rows: pd.DataFrame) -> Input:
    values = sorted(rows[one.name].dropna().unique()) if one.kind == "category" else ()
    copied = {name: getattr(one, name) for name in COPIED}
    return Input(**copied, categories=tuple(map(str, values)))


def _typical(rows: pd.DataFrame, inputs: tuple[Input, ...]) -> dict[str, dict[str, Any]]:
    groups = {EVERYONE: rows}
    if "segment" in rows:
        groups |= {str(segment): part for segment, part in rows.groupby("segment", observed=True)}
    return {segment: {one.name: _middle(part[one.name], one) for one in inputs} for segment, part in groups.items()}


def _middle(values: pd.Series, one: Input) -> Any:
    there = values.dropna()
    if there.empty:
        return None
    return float(there.astype("float64").median()) if one.kind == "number" else str(there.mode().iloc[0])
