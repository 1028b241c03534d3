"""The churn model: a booster with a linear model beside it, a monotone calibrator, and how to read its inputs.

It is data, never a pickled object: the text of the booster and one JSON document.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from configs.files import JsonObject
from training.calibration.calibrator import Calibrator, calibrator_from_json
from training.data.past_snapshots import PastSnapshots, load_past, save_past
from training.model.linear_model import AdditiveLinearModel, linear_model_from_json

if TYPE_CHECKING:
    import lightgbm
    import pandas as pd

    from training.labels.definition import LabelDescription

BOOSTER_FILE, DOCUMENT_FILE = "booster.txt", "model.json"
END_OF_TREES = "\nend of trees\n"  # LightGBM reads a text that is cut short without an error
LEAF_COUNTS = re.compile(r"^num_leaves=(\d+)$", re.MULTILINE)
ALL_SEGMENTS = "*"
SEGMENT = "segment"
SignalValue = float | str | None


@dataclass(frozen=True)
class ModelInput:
    """One signal as the model reads it; `categories` are the values of a category in the order of their codes.

    `direction` is 1 if a higher value can only raise the margin, -1 if it can only lower it, else 0.
    """

    name: str
    family: str
    label: str
    sentence: str
    unit: str
    kind: str
    actionable: bool
    direction: int = 0
    categories: tuple[str, ...] = ()
    text: str = ""
    absent: str = ""
    moves: str = ""
    past: tuple[str, ...] = ()


class MarginSpread(TypedDict):
    """How far margins move when the model is refitted on other accounts: standard deviations in log-odds, by margin."""

    refits: int
    snapshots: int
    margins: list[float]
    deviations: list[float]


@dataclass(frozen=True)
class ChurnModel:
    """A booster, the linear model beside it if later days asked for one, and their calibrator.

    `typical_values` has, per segment (and `*` for all), the median or most frequent value of each signal. `identity`
    holds the hashes of what it was made from, `label` the definition of churn. `unavailable_horizons` says why other
    horizons could not be fitted. The family that raises a margin most is the main reason if it leads the second by
    `main_reason_min_lead` in log-odds or more; if that is None, there is none. `bands` are its own thresholds of the
    risk; without any, those of the settings apply. `level_sd` is the standard deviation of the forecast of the level of
    churn, in log-odds. `margin_spread`, `past` and `level_sd` are None of a model that was trained before they were
    kept.
    """

    booster_text: str
    inputs: tuple[ModelInput, ...]
    calibrator: Calibrator
    base_margin: float
    typical_values: Mapping[str, Mapping[str, SignalValue]]
    label: "LabelDescription"
    identity: Mapping[str, str]
    unavailable_horizons: Mapping[str, str] = field(default_factory=dict[str, str])
    main_reason_min_lead: float | None = None
    bands: Mapping[str, float] = field(default_factory=dict[str, float])
    linear_model: AdditiveLinearModel | None = None
    margin_spread: MarginSpread | None = None
    level_sd: float | None = None
    past: PastSnapshots | None = field(default=None, compare=False)

    @cached_property
    def booster(self) -> "lightgbm.Booster":
        import lightgbm

        return lightgbm.Booster(model_str=self.booster_text)

    @property
    def leaves_per_tree(self) -> int:
        """The leaves of its largest tree."""
        return max(map(int, LEAF_COUNTS.findall(self.booster_text)), default=1)

    def has_same_margins_as(self, other: "ChurnModel") -> bool:
        """Whether both give every row the same margin, to the byte."""
        return self.booster_text == other.booster_text and self.linear_model == other.linear_model

    @property
    def signal_names(self) -> list[str]:
        return [signal.name for signal in self.inputs]

    @property
    def horizon_days(self) -> int:
        """The main horizon."""
        return self.label["horizon_days"]

    @property
    def main_horizon_index(self) -> int:
        """The column of the main horizon."""
        return self.calibrator.horizon_index(self.horizon_days)

    def predict_contributions(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """Each signal's exact contribution to the margin, shape (rows, signals); margin = base_margin + row sum.

        It is the TreeSHAP value of the booster plus the term of the linear model. LightGBM ignores column names: the
        matrix must come from `encode`, which orders the columns itself.
        """
        if len(matrix) == 0:  # LightGBM divides by the number of rows
            return np.empty(matrix.shape)
        trees = np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=threads))[:, :-1]
        return trees if self.linear_model is None else trees + self.linear_model.predict_contributions(matrix)

    def predict_margins(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """The margin of each row, in log-odds before calibration."""
        margins = np.asarray(self.booster.predict(matrix, raw_score=True, num_threads=threads))
        return margins if self.linear_model is None else margins + self.linear_model.predict_margins(matrix)

    def predict_risks(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """The calibrated probability of churn of each row within the main horizon."""
        return self.predict_risks_by_horizon(matrix, threads)[:, self.main_horizon_index]

    def predict_risks_by_horizon(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """The calibrated probability of churn within every horizon of the calibrator, shape (rows, horizons)."""
        return self.calibrator.predict_risks(self.predict_margins(matrix, threads), self.segment_offsets(matrix))

    def segment_offsets(self, matrix: np.ndarray) -> np.ndarray:
        """What each row's segment adds to its log-odds, 0 if it has no calibration of its own."""
        if not self.calibrator.offsets:
            return np.zeros(len(matrix))
        return self.calibrator.segment_offsets(decode_segments(matrix, self.inputs))


def decode_segments(matrix: np.ndarray, inputs: tuple[ModelInput, ...]) -> np.ndarray:
    """The segment of each row of an encoded matrix, None if it is unknown."""
    for column, signal in enumerate(inputs):
        if signal.name == SEGMENT:
            codes = np.nan_to_num(matrix[:, column], nan=len(signal.categories)).astype(int)
            return np.array([*signal.categories, None], dtype=object)[codes]
    return np.full(len(matrix), None, dtype=object)


def encode(rows: "pd.DataFrame", inputs: tuple[ModelInput, ...]) -> np.ndarray:
    """The model's matrix, shape (rows, inputs), float64: numbers as they are, categories as codes, NaN for missing.

    A category that was not in the training data counts as missing. Raises KeyError if a signal has no column.
    """
    columns = [_encode_column(rows[signal.name], signal) for signal in inputs]
    return np.column_stack(columns) if columns else np.empty((len(rows), 0))


def save_model(model: ChurnModel, folder: Path) -> None:
    """Write the model as text and JSON."""
    document = {key: value for key, value in asdict(model).items() if key not in ("booster_text", "past")}
    (folder / BOOSTER_FILE).write_text(model.booster_text, "utf-8")
    (folder / DOCUMENT_FILE).write_text(json.dumps(document, indent=1, sort_keys=True), "utf-8")
    if model.past is not None:
        save_past(model.past, folder)


def load_model(folder: Path) -> ChurnModel:
    """The model that `save_model` wrote; raises ValueError, KeyError, TypeError or OSError for anything else."""
    document: JsonObject = json.loads((folder / DOCUMENT_FILE).read_text("utf-8"))
    booster_text = (folder / BOOSTER_FILE).read_text("utf-8")
    if not (booster_text.startswith("tree\n") and END_OF_TREES in booster_text):
        raise ValueError("the booster is not complete")
    return ChurnModel(
        booster_text=booster_text,
        inputs=tuple(map(input_from_json, document.pop("inputs"))),
        calibrator=calibrator_from_json(document.pop("calibrator")),
        linear_model=linear_model_from_json(document.pop("linear_model")),
        past=load_past(folder),
        **document,
    )


def input_from_json(document: JsonObject) -> ModelInput:
    """The input in a JSON document."""
    fields: JsonObject = {
        **document,
        "categories": tuple(document["categories"]),
        "past": tuple(document.get("past", ())),
    }
    return ModelInput(**fields)


def _encode_column(values: "pd.Series", signal: ModelInput) -> np.ndarray:
    import pandas as pd

    if signal.kind == "number":
        return pd.to_numeric(values).to_numpy(dtype="float64", na_value=np.nan)
    codes = pd.Categorical(values, categories=list(signal.categories)).codes.astype("float64")
    return np.where(codes < 0, np.nan, codes)
