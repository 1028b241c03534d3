"""The model: one booster, one monotone calibrator on its margin, and all that is needed to read its inputs.

It is data, never a pickled object: the booster's text and one JSON document.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import lightgbm

BOOSTER_FILE, DOCUMENT_FILE = "booster.txt", "model.json"
EVERYONE = "*"


@dataclass(frozen=True)
class Input:
    """One signal as the model reads it; `categories` are the values of a category in the order of their codes."""

    name: str
    family: str
    label: str
    sentence: str
    unit: str
    kind: str
    actionable: bool
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calibrator:
    """From margin to risk: 1 / (1 + exp(-(slope * margin + intercept))), rising because slope > 0 (Platt, 1999)."""

    slope: float
    intercept: float

    def __call__(self, margin: Any) -> Any:
        return 1.0 / (1.0 + np.exp(-(self.slope * margin + self.intercept)))


@dataclass(frozen=True)
class ChurnModel:
    """A booster with its calibrator.

    `typical` gives, per segment (and `*` for everyone), the median or most frequent value of each signal. `identity`
    holds the hashes that say what it was made from, `label` what it answers.
    """

    booster_text: str
    inputs: tuple[Input, ...]
    calibrator: Calibrator
    base_margin: float
    typical: Mapping[str, Mapping[str, Any]]
    label: Mapping[str, Any]
    identity: Mapping[str, str]

    @cached_property
    def booster(self) -> "lightgbm.Booster":
        import lightgbm

        return lightgbm.Booster(model_str=self.booster_text)

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.inputs]

    @property
    def base(self) -> float:
        """The risk of an account about which nothing is known: the calibrated mean margin of the training snapshots."""
        return float(self.calibrator(self.base_margin))

    def contributions(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """Each signal's exact share of the margin (TreeSHAP), shape (rows, signals); margin = base_margin + row sum.

        LightGBM ignores column names: `matrix` comes from `encode`, which orders the columns itself.
        """
        if len(matrix) == 0:  # LightGBM divides by the number of rows
            return np.empty(matrix.shape)
        return np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=threads))[:, :-1]

    def margins(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """The booster's raw score of each row, in log-odds before calibration."""
        return np.asarray(self.booster.predict(matrix, raw_score=True, num_threads=threads))

    def risks(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """The calibrated probability of churn within the horizon of each row."""
        return self.calibrator(self.margins(matrix, threads))


def encode(rows: pd.DataFrame, inputs: tuple[Input, ...]) -> np.ndarray:
    """The model's matrix, shape (rows, inputs), float64: numbers as they are, categories as codes, NaN for missing.

    A category never seen in training counts as missing. Raises KeyError where a signal is not among the columns.
    """
    columns = [_encoded(rows[one.name], one) for one in inputs]
    return np.column_stack(columns) if columns else np.empty((len(rows), 0))


def save_model(model: ChurnModel, folder: Path) -> None:
    """Write the model as text and JSON."""
    document = {key: value for key, value in asdict(model).items() if key != "booster_text"}
    (folder / BOOSTER_FILE).write_text(model.booster_text, "utf-8")
    (folder / DOCUMENT_FILE).write_text(json.dumps(document, indent=1, sort_keys=True), "utf-8")


def load_model(folder: Path) -> ChurnModel:
    """The model that `save_model` wrote."""
    document = json.loads((folder / DOCUMENT_FILE).read_text("utf-8"))
    inputs = tuple(Input(**{**one, "categories": tuple(one["categories"])}) for one in document.pop("inputs"))
    calibrator = Calibrator(**document.pop("calibrator"))
    text = (folder / BOOSTER_FILE).read_text("utf-8")
    return ChurnModel(booster_text=text, inputs=inputs, calibrator=calibrator, **document)


def _encoded(values: pd.Series, one: Input) -> np.ndarray:
    if one.kind == "number":
        return pd.to_numeric(values).to_numpy(dtype="float64", na_value=np.nan)
    codes = pd.Categorical(values, categories=list(one.categories)).codes.astype("float64")
    return np.where(codes < 0, np.nan, codes)
