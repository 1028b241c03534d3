"""A model version as a worker loads it: flat arrays and one JSON document, scored by the TreeSHAP kernel.

It is built at promotion and compared with the booster there. Serving it needs neither LightGBM, MLflow nor pandas.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from configs.errors import PromotionRefused
from configs.files import JsonObject
from configs.values.currency import AMOUNT_SIGNALS, unit_currency
from serving.treeshap.kernel import Kernel
from serving.treeshap.lightgbm_parser import IN_SET, LEAF, Trees, UnsupportedBooster, read_trees
from training.calibration.calibrator import Calibrator, calibrator_from_json
from training.data.past_snapshots import PastSnapshots, past_from_arrays
from training.model.attribution import columns_by_family
from training.model.churn_model import (
    BOOSTER_FILE,
    ChurnModel,
    MarginSpread,
    ModelInput,
    SignalValue,
    decode_segments,
    input_from_json,
)
from training.model.linear_model import AdditiveLinearModel, linear_model_from_json

if TYPE_CHECKING:
    import lightgbm

    from training.labels.definition import LabelDescription

ARRAYS_FILE, DOCUMENT_FILE = "arrays.npz", "bundle.json"
FORMAT = 7  # raise it if the document or the arrays change: the bundles of all versions are then built again
TOLERANCE = 1e-9
NORMAL_975 = NormalDist().inv_cdf(0.975)
SAMPLE_ROWS, SMOKE_ROWS = 400, 8
COPIED_FIELDS = (
    "typical_values", "label", "identity", "unavailable_horizons", "main_reason_min_lead", "bands", "margin_spread",
    "level_sd",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """A model that can be scored: the fields of `ChurnModel`, its trees, and rows with the risks they must have.

    `trees` is None if the kernel does not support the booster (see `UnsupportedBooster`): LightGBM computes the
    contributions then.
    """

    trees: Trees | None
    booster_text: str
    inputs: tuple[ModelInput, ...]
    calibrator: Calibrator
    base_margin: float
    typical_values: Mapping[str, Mapping[str, SignalValue]]
    label: "LabelDescription"
    identity: Mapping[str, str]
    unavailable_horizons: Mapping[str, str]
    main_reason_min_lead: float | None
    bands: Mapping[str, float]
    linear_model: AdditiveLinearModel | None
    smoke_matrix: np.ndarray
    smoke_risks: np.ndarray
    kernel: Kernel
    margin_spread: MarginSpread | None = None
    level_sd: float | None = None
    past: PastSnapshots | None = None

    @cached_property
    def signal_names(self) -> list[str]:
        return [signal.name for signal in self.inputs]

    @cached_property
    def signal_name_set(self) -> frozenset[str]:
        return frozenset(self.signal_names)

    @cached_property
    def columns_by_family(self) -> Mapping[str, list[int]]:
        return columns_by_family(self.inputs)

    @cached_property
    def family_order(self) -> tuple[np.ndarray, np.ndarray]:
        """The columns sorted by family, and where each family starts among them."""
        families = self.columns_by_family.values()
        order = [column for columns in families for column in columns]
        return np.array(order), np.cumsum([0, *(len(columns) for columns in families)])[:-1]

    @cached_property
    def category_names(self) -> frozenset[str]:
        """The signals whose values are categories."""
        return frozenset(signal.name for signal in self.inputs if signal.kind == "category")

    @cached_property
    def currency(self) -> str | None:
        """The currency of the amounts that it was trained with; None if it is not known."""
        units = (signal.unit for signal in self.inputs if signal.name in AMOUNT_SIGNALS)
        return next(filter(None, map(unit_currency, units)), None)

    @property
    def horizon_days(self) -> int:
        """The main horizon."""
        return self.label["horizon_days"]

    @cached_property
    def main_horizon_index(self) -> int:
        """The column of the main horizon."""
        return self.calibrator.horizon_index(self.horizon_days)

    def predict_contributions(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """Each signal's exact contribution to the margin, shape (rows, signals); margin = base_margin + row sum."""
        trees = self._tree_contributions(matrix, threads)
        return trees if self.linear_model is None else trees + self.linear_model.predict_contributions(matrix)

    def predict_risks_by_horizon(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """The calibrated probability of churn within every horizon of the calibrator, shape (rows, horizons)."""
        margins = self.base_margin + self.predict_contributions(matrix, threads).sum(axis=1)
        return self.calibrator.predict_risks(margins, self.segment_offsets(matrix))

    def predict_risks(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """The calibrated probability of churn of each row within the main horizon."""
        return self.predict_risks_by_horizon(matrix, threads)[:, self.main_horizon_index]

    def risk_interval(self, margin: float, offset: float) -> tuple[np.ndarray, np.ndarray] | None:
        """What 95 % of refits on other accounts would make of a margin: the bounds of the risk within every horizon.

        None if the model was trained before refits were kept.
        """
        if self.margin_spread is None:
            return None
        deviation = np.interp(margin, self.margin_spread["margins"], self.margin_spread["deviations"])
        bounds = margin + NORMAL_975 * deviation * np.array([-1, 1])
        low, high = self.calibrator.predict_risks(bounds, np.full(2, offset))
        return low, high

    def segment_offsets(self, matrix: np.ndarray) -> np.ndarray:
        """What each row's segment adds to its log-odds, 0 if it has no calibration of its own."""
        if not self.calibrator.offsets:
            return np.zeros(len(matrix))
        return self.calibrator.segment_offsets(decode_segments(matrix, self.inputs))

    def base_risks(self, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The risk at the base margin and its derivative, for each row's offset; both of shape (rows, horizons)."""
        risks, derivatives, index_of = self._base_risks_by_offset
        rows = np.array([index_of[offset] for offset in offsets.tolist()], dtype="int64")
        return risks[rows], derivatives[rows]

    @cached_property
    def _base_risks_by_offset(self) -> tuple[np.ndarray, np.ndarray, dict[float, int]]:
        distinct = sorted({0.0, *self.calibrator.offsets.values()})
        margins, offsets = np.full(len(distinct), self.base_margin), np.array(distinct)
        risks = self.calibrator.predict_risks(margins, offsets)
        derivatives = self.calibrator.risk_derivatives(margins, offsets)
        return risks, derivatives, {offset: index for index, offset in enumerate(distinct)}

    def _tree_contributions(self, matrix: np.ndarray, threads: int) -> np.ndarray:
        if self.trees is not None:
            return self.kernel.shares(self.trees, matrix, threads)
        if len(matrix) == 0:  # LightGBM divides by the number of rows
            return np.empty(matrix.shape)
        return np.asarray(self._booster.predict(matrix, pred_contrib=True, num_threads=threads))[:, :-1]

    @cached_property
    def _booster(self) -> "lightgbm.Booster":
        import lightgbm

        return lightgbm.Booster(model_str=self.booster_text)


def make_bundle(model: ChurnModel, kernel: Kernel) -> ModelBundle:
    """The bundle of a model, compared with its booster row by row.

    Raises PromotionRefused if a margin or a contribution differs.
    """
    try:
        trees, booster_text = read_trees(model.booster_text), ""
    except UnsupportedBooster:
        trees, booster_text = None, model.booster_text
    matrix = _sample_matrix(model, trees)
    bundle = ModelBundle(
        trees=trees,
        booster_text=booster_text,
        inputs=model.inputs,
        calibrator=model.calibrator,
        base_margin=model.base_margin,
        linear_model=model.linear_model,
        smoke_matrix=matrix[:SMOKE_ROWS],
        smoke_risks=model.predict_risks_by_horizon(matrix[:SMOKE_ROWS]),
        kernel=kernel,
        past=model.past,
        **{name: getattr(model, name) for name in COPIED_FIELDS},
    )
    _compare_with_booster(bundle, model, matrix)
    return bundle


def save_bundle(bundle: ModelBundle, folder: Path) -> None:
    """Write the arrays, and the document with their hash."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {"smoke_matrix": bundle.smoke_matrix, "smoke_risks": bundle.smoke_risks}
    arrays |= {} if bundle.trees is None else {f"trees_{name}": array for name, array in bundle.trees._asdict().items()}
    arrays |= {f"past_{name}": array for name, array in bundle.past.arrays().items()} if bundle.past else {}
    np.savez(folder / ARRAYS_FILE, allow_pickle=False, **arrays)
    document = {
        "format": FORMAT,
        "arrays": _file_hash(folder / ARRAYS_FILE),
        "inputs": [asdict(signal) for signal in bundle.inputs],
        "calibrator": asdict(bundle.calibrator),
        "base_margin": bundle.base_margin,
        "linear_model": asdict(bundle.linear_model) if bundle.linear_model else None,
        **{name: getattr(bundle, name) for name in COPIED_FIELDS},
    }
    if bundle.booster_text:
        (folder / BOOSTER_FILE).write_text(bundle.booster_text, "utf-8")
    (folder / DOCUMENT_FILE).write_text(json.dumps(document, indent=1, sort_keys=True), "utf-8")


def load_bundle(folder: Path, kernel: Kernel) -> ModelBundle:
    """The bundle in a folder, after it has reproduced the risks of its sample rows.

    Raises PromotionRefused if it does not, or if its files are damaged.
    """
    try:
        bundle = _read_bundle(folder, kernel)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile) as error:
        raise PromotionRefused(
            f"The bundle in {folder} cannot be read: {error}.", "Promote the version again: that builds it anew."
        ) from None
    risks, expected = bundle.predict_risks_by_horizon(bundle.smoke_matrix), bundle.smoke_risks
    # Written so that NaN fails too.
    if not (risks.shape == expected.shape and np.abs(risks - expected).max(initial=0.0) <= TOLERANCE):
        message = f"The bundle in {folder} does not reproduce the risks it was built with."
        raise PromotionRefused(message, "Promote the version again, or another one.")
    return bundle


def _read_bundle(folder: Path, kernel: Kernel) -> ModelBundle:
    document: JsonObject = json.loads((folder / DOCUMENT_FILE).read_text("utf-8"))
    if document.pop("format") != FORMAT:
        raise ValueError("another version of Oarlock built it")
    if document.pop("arrays") != _file_hash(folder / ARRAYS_FILE):
        raise ValueError("its arrays do not have the hash in its document")
    with np.load(folder / ARRAYS_FILE, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    trees, past = _with_prefix(arrays, "trees_"), _with_prefix(arrays, "past_")
    return ModelBundle(
        trees=Trees(**trees) if trees else None,
        booster_text="" if trees else (folder / BOOSTER_FILE).read_text("utf-8"),
        inputs=tuple(map(input_from_json, document.pop("inputs"))),
        calibrator=calibrator_from_json(document.pop("calibrator")),
        linear_model=linear_model_from_json(document.pop("linear_model")),
        smoke_matrix=arrays["smoke_matrix"],
        smoke_risks=arrays["smoke_risks"],
        kernel=kernel,
        past=past_from_arrays(past),
        **document,
    )


def _with_prefix(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _file_hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _sample_matrix(model: ChurnModel, trees: Trees | None) -> np.ndarray:
    """Rows on every side of the splits: values at and around the thresholds, category codes, and missing values."""
    generator = np.random.default_rng(0)
    matrix = np.empty((SAMPLE_ROWS, len(model.inputs)))
    for column, signal in enumerate(model.inputs):
        if signal.kind == "category":
            matrix[:, column] = generator.integers(0, len(signal.categories) + 1, SAMPLE_ROWS)
        else:
            thresholds = generator.choice(_thresholds(trees, column), SAMPLE_ROWS)
            matrix[:, column] = thresholds + generator.choice([-1e-6, 0, 1e-6])
    matrix[generator.random(matrix.shape) < 0.15] = np.nan
    matrix[0] = np.nan
    return matrix


def _thresholds(trees: Trees | None, column: int) -> np.ndarray:
    if trees is None:
        return np.array([0.0, 1.0])
    is_numeric_split = (trees.split_signal == column) & (trees.split_signal != LEAF) & (trees.split_rule != IN_SET)
    return np.append(trees.threshold[is_numeric_split], 0.0)


def _compare_with_booster(bundle: ModelBundle, model: ChurnModel, matrix: np.ndarray) -> None:
    expected, contributions = model.predict_contributions(matrix), bundle.predict_contributions(matrix)
    margins = model.predict_margins(matrix)
    # On deep paths LightGBM's own contributions miss their sum by more than rounding; allow for that error.
    booster_error = np.abs(model.base_margin + expected.sum(axis=1) - margins).max()
    margin_error = np.abs(model.base_margin + contributions.sum(axis=1) - margins).max()
    error = max(margin_error, np.abs(expected - contributions).max() - 10 * booster_error)
    if not error <= TOLERANCE:
        raise PromotionRefused(
            f"The bundle's contributions differ from the booster's by {error:.1e}.",
            "Report it with the booster's text.",
        )
