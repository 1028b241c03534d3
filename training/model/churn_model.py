"""The model: a booster with the line beside it, one monotone calibrator on their margin, and how to read its inputs.

It is data, never a pickled object: the booster's text and one JSON document.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.model.calibrator import Calibrator
from training.model.linear_model import Line, line_of

if TYPE_CHECKING:
    import lightgbm
    import pandas as pd

BOOSTER_FILE, DOCUMENT_FILE = "booster.txt", "model.json"
EVERYONE = "*"
SEGMENT = "segment"


@dataclass(frozen=True)
class Input:
    """One signal as the model reads it; `categories` are the values of a category in the order of their codes.

    `direction` is 1 or -1 where a higher value can only raise or only lower the margin, else 0.
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


@dataclass(frozen=True)
class ChurnModel:
    """A booster, the line beside it where later days asked for one, and their calibrator.

    `typical` gives, per segment (and `*` for everyone), the median or most frequent value of each signal. `identity`
    holds the hashes that say what it was made from, `label` what it answers within its main horizon. `left_out` says
    of other horizons that were asked for why they could not be learned. `clear_lead` is the lead in log-odds of the
    family that raises a margin most over the second from which on it is the main reason; None where it never is.
    `bands` are its own cuts of the risk where it was released with some; without any the settings' hold.
    """

    booster_text: str
    inputs: tuple[Input, ...]
    calibrator: Calibrator
    base_margin: float
    typical: Mapping[str, Mapping[str, Any]]
    label: Mapping[str, Any]
    identity: Mapping[str, str]
    left_out: Mapping[str, str] = field(default_factory=dict)
    clear_lead: float | None = None
    bands: Mapping[str, float] = field(default_factory=dict)
    line: Line | None = None

    @cached_property
    def booster(self) -> "lightgbm.Booster":
        import lightgbm

        return lightgbm.Booster(model_str=self.booster_text)

    def is_alike(self, other: "ChurnModel") -> bool:
        """Whether both give every row the same margin, to the byte."""
        return self.booster_text == other.booster_text and self.line == other.line

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.inputs]

    @property
    def horizon_days(self) -> int:
        """The main horizon."""
        return self.label["horizon_days"]

    @property
    def main(self) -> int:
        """The column of the main horizon among all."""
        return self.calibrator.column(self.horizon_days)

    @property
    def base(self) -> float:
        """The risk of an account about which nothing is known: the calibrated mean margin of the training snapshots.

        Its segment is not known either; the base of an account holds its segment's offset.
        """
        return float(self.calibrator.risks(np.array([self.base_margin]))[0, self.main])

    def contributions(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """Each signal's exact share of the margin, shape (rows, signals); margin = base_margin + row sum.

        It is TreeSHAP's share of the booster's margin, and the signal's term of the line.
        LightGBM ignores column names: `matrix` comes from `encode`, which orders the columns itself.
        """
        if len(matrix) == 0:  # LightGBM divides by the number of rows
            return np.empty(matrix.shape)
        shares = np.asarray(self.booster.predict(matrix, pred_contrib=True, num_threads=threads))[:, :-1]
        return shares if self.line is None else shares + self.line.shares(matrix)

    def margins(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """What booster and line make of each row, in log-odds before calibration."""
        margins = np.asarray(self.booster.predict(matrix, raw_score=True, num_threads=threads))
        return margins if self.line is None else margins + self.line.margins(matrix)

    def risks(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """The calibrated probability of churn within the main horizon of each row."""
        return self.risks_within(matrix, threads)[:, self.main]

    def risks_within(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """The calibrated probability of churn within every horizon of the calibrator, shape (rows, horizons)."""
        return self.calibrator.risks(self.margins(matrix, threads), self.offsets(matrix))

    def offsets(self, matrix: np.ndarray) -> np.ndarray:
        """What each row's segment adds to its log-odds, 0 where it has no calibration of its own."""
        if not self.calibrator.offsets:
            return np.zeros(len(matrix))
        return self.calibrator.offsets_of(segments(matrix, self.inputs))


def segments(matrix: np.ndarray, inputs: tuple[Input, ...]) -> np.ndarray:
    """The segment of each row of an encoded matrix, None where it is not known or was never seen."""
    for column, one in enumerate(inputs):
        if one.name == SEGMENT:
            codes = np.nan_to_num(matrix[:, column], nan=len(one.categories)).astype(int)
            return np.array([*one.categories, None], dtype=object)[codes]
    return np.full(len(matrix), None, dtype=object)


def encode(rows: "pd.DataFrame", inputs: tuple[Input, ...]) -> np.ndarray:
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
    calibrator, line = _calibrator(document.pop("calibrator")), line_of(document.pop("line", None))
    text = (folder / BOOSTER_FILE).read_text("utf-8")
    return ChurnModel(booster_text=text, inputs=inputs, calibrator=calibrator, line=line, **document)


def _calibrator(document: dict[str, Any]) -> Calibrator:
    rows = {name: tuple(document[name]) for name in ("horizons", "slopes", "intercepts")}
    return Calibrator(**rows, offsets=document["offsets"])


def _encoded(values: "pd.Series", one: Input) -> np.ndarray:
    import pandas as pd

    if one.kind == "number":
        return pd.to_numeric(values).to_numpy(dtype="float64", na_value=np.nan)
    codes = pd.Categorical(values, categories=list(one.categories)).codes.astype("float64")
    return np.where(codes < 0, np.nan, codes)
