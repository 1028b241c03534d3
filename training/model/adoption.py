"""Adoption: another company's model, fitted again to the signals of this one.

A company with few departures cannot learn which accounts leave, but a model of another company may rank them. It reads
signals that this company may lack, so new trees are fitted to its margins on the accounts of this company (model
compression: Bucila, Caruana & Niculescu-Mizil, 2006). A margin is known for any values, so snapshots are added that mix
the signals of two accounts. No label is used, and so little is lost: on simulated companies of 500 accounts the new
margins share 99 % of their variance with the old ones.

Its calibrator is kept, and moved along one line that is fitted to the departures of this company. A normal prior
shrinks the line towards slope 1 and shift 0: towards the other company's calibration.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from training.model.booster import fit_booster_to_margins
from training.model.churn_model import ChurnModel, ModelInput, encode
from training.model.fit import FitConfig, build_inputs, find_typical_values
from training.model.recalibration import LinePrior, fit_recalibration, recalibration_sample

DISTILLED_ROWS = 20_000
UNSEEN_SEED = 1_000_003  # another one than the model is fitted with
MIXED_SHARE = 0.3  # of the signals of an added snapshot that another account gives


def distil_model(source: ChurnModel, rows: pd.DataFrame, config: FitConfig) -> ChurnModel:
    """The source as a model of the signals in `config`, still with its own calibrator; the same every time.

    Horizons, the lead of a main reason and the spread of margins are the source's. Its segments are not: they are of
    another company. The rows need no labels.
    """
    inputs = build_inputs(config.signals, rows)
    matrix = mix_accounts(encode(rows, inputs), config.training.seed)
    margins = source.predict_margins(translate(matrix, inputs, source.inputs))
    booster = fit_booster_to_margins(matrix, margins, inputs, config.training)
    contributions = np.asarray(booster.predict(matrix[:1], pred_contrib=True))
    return replace(
        source,
        booster_text=booster.model_to_string(num_iteration=-1),
        linear_model=None,
        inputs=inputs,
        calibrator=replace(source.calibrator, offsets={}),
        base_margin=float(contributions[0, -1]),
        typical_values=find_typical_values(rows, inputs),
        label=config.label,
        identity=config.identity,
        unavailable_horizons=_unavailable_horizons(source, config.horizons),
        bands={},
        past=None,
    )


def shared_variance(source: ChurnModel, model: ChurnModel, rows: pd.DataFrame) -> float:
    """The squared correlation of both models' margins, on snapshots that are mixed anew from these."""
    matrix = mix_accounts(encode(rows, model.inputs), seed=UNSEEN_SEED)
    margins = source.predict_margins(translate(matrix, model.inputs, source.inputs)), model.predict_margins(matrix)
    return float(np.corrcoef(*margins)[0, 1] ** 2)


def calibrate_with_prior(model: ChurnModel, rows: pd.DataFrame) -> ChurnModel:
    """The model with its calibrator moved to the departures of these snapshots, as far as they are evidence."""
    prior = LinePrior.of(rows)
    calibrated = replace(model, calibrator=fit_recalibration(model, recalibration_sample(model, rows), prior))
    return replace(calibrated, level_sd=prior.level_sd(calibrated.predict_risks(encode(rows, model.inputs))))


def mix_accounts(matrix: np.ndarray, seed: int) -> np.ndarray:
    """The rows of an encoded matrix, and copies that take some of their signals from another row: 20,000 in all."""
    generator = np.random.default_rng(seed)
    if len(matrix) >= DISTILLED_ROWS:
        return matrix[generator.choice(len(matrix), DISTILLED_ROWS, replace=False)]
    copies = matrix[generator.integers(len(matrix), size=DISTILLED_ROWS - len(matrix))]
    others = matrix[generator.integers(len(matrix), size=len(copies))]
    mixed = np.where(generator.random(copies.shape) < MIXED_SHARE, others, copies)
    return np.concatenate([matrix, mixed])


def translate(matrix: np.ndarray, inputs: tuple[ModelInput, ...], target: tuple[ModelInput, ...]) -> np.ndarray:
    """A matrix encoded for `inputs`, encoded for `target`; what `inputs` lack is missing.

    >>> seats = ModelInput("seats", "value", "seats", "", "", "number", False)
    >>> plan = ModelInput("plan", "value", "plan", "", "", "category", False, categories=("basic", "team"))
    >>> translate(np.array([[0.0], [1.0]]), (replace(plan, categories=("team", "vip")),), (plan, seats))
    array([[ 1., nan],
           [nan, nan]])
    """
    columns = {signal.name: (index, signal) for index, signal in enumerate(inputs)}
    translated = np.full((len(matrix), len(target)), np.nan)
    for index, signal in enumerate(target):
        if signal.name in columns:
            column, original = columns[signal.name]
            codes = _codes(original, signal) if signal.kind == "category" else None
            translated[:, index] = matrix[:, column] if codes is None else _recode(matrix[:, column], codes)
    return translated


def _codes(original: ModelInput, target: ModelInput) -> np.ndarray:
    """The target's code of each category of the original, and missing for one that it lacks."""
    by_name: Mapping[str, int] = {category: code for code, category in enumerate(target.categories)}
    return np.array([*(by_name.get(category, np.nan) for category in original.categories), np.nan])


def _recode(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    return codes[np.nan_to_num(values, nan=len(codes) - 1).astype(int)]


def _unavailable_horizons(source: ChurnModel, horizons: tuple[int, ...]) -> dict[str, str]:
    reason = "the adopted model has no such horizon"
    return {str(days): reason for days in horizons if days not in source.calibrator.horizons}
