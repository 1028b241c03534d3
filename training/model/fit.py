"""Fits a churn model: the calibrator on margins of later days, then the trees again on all days with known labels.

No class weights and no resampling: both distort the probability.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from configs.errors import NothingToLearn
from configs.sections.training import TrainingSettings
from features.signals.base import Signal
from training.calibration.calibrator import Calibrator
from training.calibration.calibrator_fit import SegmentPrior, fit_calibrator
from training.calibration.horizon_intervals import HorizonRequest, MarginSample, split_into_intervals
from training.calibration.level import LevelSample, forecast_level, measure_levels
from training.data.cluster_bootstrap import sample_accounts
from training.labels.definition import CHURNED, LabelDescription
from training.model.churn_model import (
    ALL_SEGMENTS,
    SEGMENT,
    ChurnModel,
    ModelInput,
    SignalValue,
    decode_segments,
    encode,
)
from training.model.ensemble import FittedEnsemble, fit_with_early_stopping, refit

# More snapshots hardly move the mean risk of a day.
LEVEL_MAX_SNAPSHOTS = 30_000
TOO_SHORT = "the history is too short for labels that take so long to mature"


@dataclass(frozen=True)
class FitConfig:
    """All that a model is made of besides the rows; the main horizon is `horizon_days` of the label.

    The other `horizons` are fitted if the history is long enough and enough accounts left between them.
    """

    signals: tuple[Signal, ...]
    training: TrainingSettings
    label: LabelDescription
    identity: Mapping[str, str]
    horizons: tuple[int, ...] = ()

    @property
    def main_horizon(self) -> int:
        return self.label["horizon_days"]


@dataclass(frozen=True)
class LongHorizonRows:
    """The snapshots for a horizon beyond the main one, on the days that `training/data/time_splits.py` chose."""

    horizon_days: int
    fit: pd.DataFrame
    calibration: pd.DataFrame


@dataclass(frozen=True)
class FitRows:
    """Snapshots with labels: trees fitted on `fit` give the margins of `calibration`; the refit is on `train`."""

    fit: pd.DataFrame
    calibration: pd.DataFrame
    train: pd.DataFrame
    long_horizons: Sequence[LongHorizonRows] = ()

    @property
    def days_until_risks(self) -> float:
        """How long after the newest known labels a model is used at the earliest: the labels take so long to mature."""
        return (self.calibration.as_of.min() - self.fit.as_of.max()) / pd.Timedelta(days=1)


def fit_churn_model(rows: FitRows, config: FitConfig) -> ChurnModel:
    """A calibrated model; the same rows and config give the same model to the byte.

    Raises NothingToLearn if too few accounts churned, or stayed, within the main horizon. Any other horizon with too
    few is left out, and the model says why.
    """
    for part in (rows.fit, rows.calibration):
        require_enough_churned(part, config.training)
    inputs = build_inputs(config.signals, rows.train)
    early = fit_with_early_stopping(rows.fit, inputs, config.training, rows.calibration)
    final = refit(rows.train, inputs, config.training, like=early)
    matched = replace(early, num_trees=final.num_trees, linear_model=early.linear_model if final.linear_model else None)
    request = HorizonRequest(config.main_horizon, config.horizons, config.training.min_churned)
    main = _margin_sample(matched, final, rows.calibration, inputs)
    samples, too_short = _sample_long_horizons(rows.long_horizons, inputs, config, final)
    intervals, too_few = split_into_intervals(dict.fromkeys(_up_to_main(request), main) | samples, request)
    prior = SegmentPrior(config.training.min_churned_per_segment, config.training.segment_prior_sd)
    calibrator = fit_calibrator(intervals, prior)
    sample = _level_sample(calibrator, final, rows.train, inputs)
    levels = measure_levels(calibrator, sample, config.main_horizon)
    forecast = forecast_level(levels, levels.days[-1] + rows.days_until_risks, config.training.drift_prior_sd)
    return ChurnModel(
        booster_text=final.booster.model_to_string(num_iteration=-1),
        linear_model=final.linear_model,
        inputs=inputs,
        calibrator=calibrator.shifted(forecast.shift),
        base_margin=final.predict_contributions(encode(rows.train.head(1), inputs))[1],
        typical_values=find_typical_values(rows.calibration, inputs),
        label=config.label,
        identity=config.identity,
        unavailable_horizons={str(days): reason for days, reason in sorted({**too_short, **too_few}.items())},
        level_sd=forecast.sd,
    )


def build_inputs(signals: Sequence[Signal], rows: pd.DataFrame) -> tuple[ModelInput, ...]:
    """The signals as a model reads them; the categories are those of the snapshots."""
    return tuple(_build_input(signal, rows) for signal in signals)


def find_typical_values(rows: pd.DataFrame, inputs: tuple[ModelInput, ...]) -> dict[str, dict[str, SignalValue]]:
    """The median or most frequent value of each signal, by segment, and of all snapshots under `*`."""
    groups = {ALL_SEGMENTS: rows}
    if SEGMENT in rows:
        groups |= {str(segment): part for segment, part in rows.groupby(SEGMENT, observed=True)}
    return {
        segment: {signal.name: _median_or_mode(part[signal.name], signal) for signal in inputs}
        for segment, part in groups.items()
    }


def require_enough_churned(rows: pd.DataFrame, training: TrainingSettings) -> None:
    """Raise NothingToLearn if too few snapshots churned, or too few stayed, to fit a model on."""
    churned = int(rows[CHURNED].sum())
    minority = min(churned, len(rows) - churned)
    if minority < training.min_churned:
        outcome = "churned" if minority == churned else "stayed"
        days = f"{rows.as_of.min():%Y-%m-%d} to {rows.as_of.max():%Y-%m-%d}" if len(rows) else "none"
        raise NothingToLearn(
            f"Of {len(rows)} snapshots ({days}) only {minority} {outcome}; at least {training.min_churned} are needed.",
            "Bring a longer history, set a longer label.horizon_days, or adopt another company's model (`oarlock models"
            " adopt`). Days whose labels are not all known yet do not count.",
        )


def _margin_sample(
    early: FittedEnsemble, final: FittedEnsemble, later: pd.DataFrame, inputs: tuple[ModelInput, ...]
) -> MarginSample:
    """Later snapshots with their margins by the ensemble fitted before them, and by the refitted one."""
    matrix = encode(later, inputs)
    return MarginSample(
        later, early.predict_margins(matrix), final.predict_margins(matrix), decode_segments(matrix, inputs)
    )


def _level_sample(
    calibrator: Calibrator, final: FittedEnsemble, train: pd.DataFrame, inputs: tuple[ModelInput, ...]
) -> LevelSample:
    rows = sample_accounts(train, LEVEL_MAX_SNAPSHOTS)
    matrix = encode(rows, inputs)
    offsets = calibrator.segment_offsets(decode_segments(matrix, inputs))
    days = ((rows.as_of - pd.Timestamp(0)) / pd.Timedelta(days=1)).to_numpy(dtype="float64")
    return LevelSample(final.predict_margins(matrix), offsets, rows[CHURNED].to_numpy(dtype="float64"), days)


def _sample_long_horizons(
    long_horizons: Sequence[LongHorizonRows],
    inputs: tuple[ModelInput, ...],
    config: FitConfig,
    final: FittedEnsemble,
) -> tuple[dict[int, MarginSample], dict[int, str]]:
    """The samples of horizons beyond the main one, and why the history is too short for any of them."""
    requested = {days for days in config.horizons if days > config.main_horizon}
    available = {rows.horizon_days: rows for rows in long_horizons}
    samples: dict[int, MarginSample] = {}
    too_short = {days: TOO_SHORT for days in config.horizons if days in requested - available.keys()}
    for days in sorted(requested & available.keys()):
        rows = available[days]
        try:
            require_enough_churned(rows.fit, config.training)
        except NothingToLearn as error:
            too_short[days] = error.message
        else:
            early = refit(rows.fit, inputs, config.training, like=final)
            samples[days] = _margin_sample(early, final, rows.calibration, inputs)
    return samples, too_short


def _up_to_main(request: HorizonRequest) -> list[int]:
    return [days for days in (*request.others, request.main) if days <= request.main]


def _build_input(signal: Signal, rows: pd.DataFrame) -> ModelInput:
    categories = sorted(rows[signal.name].dropna().unique()) if signal.kind == "category" else ()
    return ModelInput(
        name=signal.name,
        family=signal.family,
        label=signal.label,
        sentence=signal.sentence,
        unit=signal.unit,
        kind=signal.kind,
        actionable=signal.actionable,
        direction=signal.direction,
        categories=tuple(map(str, categories)),
        text=signal.text,
        absent=signal.absent,
        moves=signal.moves,
        past=signal.past,
    )


def _median_or_mode(values: pd.Series, signal: ModelInput) -> SignalValue:
    present = values.dropna()
    if present.empty:
        return None
    return float(present.astype("float64").median()) if signal.kind == "number" else str(present.mode().iloc[0])
