"""The bundle: a version of the model as a worker holds it, flat arrays and one JSON document, scored by the kernel.

It is made at promotion and held against the booster there; neither LightGBM, MLflow nor pandas is needed to serve it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from configs.errors import PromotionRefused
from serving.treeshap.kernel import Kernel
from serving.treeshap.lightgbm_parser import IN_SET, LEAF, NotExact, Trees, read_trees
from training.model.attribution import members_of
from training.model.calibrator import Calibrator
from training.model.churn_model import BOOSTER_FILE, ChurnModel, Input, segments
from training.model.linear_model import Line, line_of

ARRAYS_FILE, DOCUMENT_FILE = "arrays.npz", "bundle.json"
FORMAT = 5  # raised whenever the document or the arrays change: a version's bundle is then made anew
TOLERANCE = 1e-9
SAMPLE_ROWS, SMOKE_ROWS = 400, 8


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """A model that can be scored: what `ChurnModel` says of itself, its trees, and rows with the risks they must get.

    `trees` is None for a booster that the kernel is not for; such a one is asked itself (see `trees.NotExact`).
    """

    trees: Trees | None
    booster_text: str
    inputs: tuple[Input, ...]
    calibrator: Calibrator
    base_margin: float
    typical: Mapping[str, Mapping[str, Any]]
    label: Mapping[str, Any]
    identity: Mapping[str, str]
    left_out: Mapping[str, str]
    clear_lead: float | None
    bands: Mapping[str, float]
    line: Line | None
    smoke_matrix: np.ndarray
    smoke_risks: np.ndarray
    kernel: Kernel

    @cached_property
    def names(self) -> list[str]:
        return [one.name for one in self.inputs]

    @cached_property
    def signal_names(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def members(self) -> Mapping[str, list[int]]:
        """The columns of each family."""
        return members_of(self.inputs)

    @cached_property
    def family_order(self) -> tuple[np.ndarray, np.ndarray]:
        """The columns in the order of families, and where each family begins among them."""
        order = [place for one in self.members.values() for place in one]
        return np.array(order), np.cumsum([0, *(len(one) for one in self.members.values())])[:-1]

    @cached_property
    def categories(self) -> frozenset[str]:
        """The signals that are words."""
        return frozenset(one.name for one in self.inputs if one.kind == "category")

    @property
    def horizon_days(self) -> int:
        """The main horizon."""
        return self.label["horizon_days"]

    @cached_property
    def main_column(self) -> int:
        """The column of the main horizon among all."""
        return self.calibrator.horizon_index(self.horizon_days)

    def contributions(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """Each signal's exact share of the margin, shape (rows, signals); margin = base_margin + row sum."""
        shares = self._tree_contributions(matrix, threads)
        return shares if self.line is None else shares + self.line.predict_contributions(matrix)

    def _tree_contributions(self, matrix: np.ndarray, threads: int) -> np.ndarray:
        if self.trees is not None:
            return self.kernel.shares(self.trees, matrix, threads)
        if len(matrix) == 0:  # LightGBM divides by the number of rows
            return np.empty(matrix.shape)
        return np.asarray(self._booster.predict(matrix, pred_contrib=True, num_threads=threads))[:, :-1]

    def risks_within(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """The calibrated probability of churn within every horizon of the calibrator, shape (rows, horizons)."""
        margins = self.base_margin + self.contributions(matrix, threads).sum(axis=1)
        return self.calibrator.predict_risks(margins, self.offsets(matrix))

    def risks(self, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """The calibrated probability of churn within the main horizon of each row."""
        return self.risks_within(matrix, threads)[:, self.main_column]

    def offsets(self, matrix: np.ndarray) -> np.ndarray:
        """What each row's segment adds to its log-odds, 0 where it has no calibration of its own."""
        if not self.calibrator.offsets:
            return np.zeros(len(matrix))
        return self.calibrator.segment_offsets(segments(matrix, self.inputs))

    def base_risks(self, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The risk at the base margin within every horizon, and how steep it is there, for each row's offset."""
        known, places = self._base_risks_by_offset
        rows = np.array([places[one] for one in offsets.tolist()], dtype="int64")
        return known[0][rows], known[1][rows]

    @cached_property
    def _base_risks_by_offset(self) -> tuple[tuple[np.ndarray, np.ndarray], dict[float, int]]:
        found = sorted({0.0, *self.calibrator.offsets.values()})
        margins, offsets = np.full(len(found), self.base_margin), np.array(found)
        figures = self.calibrator.predict_risks(margins, offsets), self.calibrator.risk_derivatives(margins, offsets)
        return figures, {one: place for place, one in enumerate(found)}

    @cached_property
    def _booster(self) -> Any:
        import lightgbm

        return lightgbm.Booster(model_str=self.booster_text)


def make_bundle(model: ChurnModel, kernel: Kernel) -> ModelBundle:
    """The bundle of a model, held against its booster row by row.

    Raises PromotionRefused where a margin or a share of it differs.
    """
    try:
        trees, text = read_trees(model.booster_text), ""
    except NotExact:
        trees, text = None, model.booster_text
    matrix = _sample_matrix(model, trees)
    bundle = ModelBundle(
        trees=trees,
        booster_text=text,
        inputs=model.inputs,
        calibrator=model.calibrator,
        base_margin=model.base_margin,
        typical=model.typical,
        label=model.label,
        identity=model.identity,
        left_out=model.left_out,
        clear_lead=model.clear_lead,
        bands=model.bands,
        line=model.line,
        smoke_matrix=matrix[:SMOKE_ROWS],
        smoke_risks=model.risks_within(matrix[:SMOKE_ROWS]),
        kernel=kernel,
    )
    _verify_against_booster(bundle, model, matrix)
    return bundle


def save_bundle(bundle: ModelBundle, folder: Path) -> None:
    """Write the arrays and the document; the document says the hash of the arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {"smoke_matrix": bundle.smoke_matrix, "smoke_risks": bundle.smoke_risks}
    arrays |= {} if bundle.trees is None else {f"trees_{name}": one for name, one in bundle.trees._asdict().items()}
    np.savez(folder / ARRAYS_FILE, allow_pickle=False, **arrays)
    names = ("base_margin", "typical", "label", "identity", "left_out", "clear_lead", "bands")
    document = {
        "format": FORMAT,
        "arrays": _file_hash(folder / ARRAYS_FILE),
        "inputs": [asdict(one) for one in bundle.inputs],
        "calibrator": asdict(bundle.calibrator),
        "line": asdict(bundle.line) if bundle.line else None,
        **{name: getattr(bundle, name) for name in names},
    }
    if bundle.booster_text:
        (folder / BOOSTER_FILE).write_text(bundle.booster_text, "utf-8")
    (folder / DOCUMENT_FILE).write_text(json.dumps(document, indent=1, sort_keys=True), "utf-8")


def load_bundle(folder: Path, kernel: Kernel) -> ModelBundle:
    """The bundle that `save_bundle` wrote, once it gives its own rows the risks they must get.

    Raises PromotionRefused where it does not, or where its files are not those that were written.
    """
    try:
        bundle = _read_bundle(folder, kernel)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise PromotionRefused(
            f"The bundle in {folder} cannot be read: {problem}.", "Promote the version again."
        ) from None
    given = bundle.risks_within(bundle.smoke_matrix)
    # A comparison that is false of NaN as well.
    if not (
        given.shape == bundle.smoke_risks.shape and np.abs(given - bundle.smoke_risks).max(initial=0.0) <= TOLERANCE
    ):
        message = f"The bundle in {folder} does not give its sample the risks it was made with."
        raise PromotionRefused(message, "Promote the version again, or another one.")
    return bundle


def _read_bundle(folder: Path, kernel: Kernel) -> ModelBundle:
    document = json.loads((folder / DOCUMENT_FILE).read_text("utf-8"))
    if document.pop("format") != FORMAT:
        raise ValueError("another version of Oarlock made it")
    if document.pop("arrays") != _file_hash(folder / ARRAYS_FILE):
        raise ValueError("its arrays are not those that its document is of")
    with np.load(folder / ARRAYS_FILE, allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    trees = {name.removeprefix("trees_"): one for name, one in found.items() if name.startswith("trees_")}
    calibrator = document.pop("calibrator")
    rows = {name: tuple(calibrator[name]) for name in ("horizons", "slopes", "intercepts")}
    return ModelBundle(
        trees=Trees(**trees) if trees else None,
        booster_text="" if trees else (folder / BOOSTER_FILE).read_text("utf-8"),
        inputs=tuple(Input(**{**one, "categories": tuple(one["categories"])}) for one in document.pop("inputs")),
        calibrator=Calibrator(**rows, offsets=calibrator["offsets"]),
        line=line_of(document.pop("line")),
        smoke_matrix=found["smoke_matrix"],
        smoke_risks=found["smoke_risks"],
        kernel=kernel,
        **document,
    )


def _file_hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _sample_matrix(model: ChurnModel, trees: Trees | None) -> np.ndarray:
    """Rows that fall on every side of the splits: values at and around the thresholds, codes, and gaps."""
    draw = np.random.default_rng(0)
    matrix = np.empty((SAMPLE_ROWS, len(model.inputs)))
    for column, one in enumerate(model.inputs):
        if one.kind == "category":
            matrix[:, column] = draw.integers(0, len(one.categories) + 1, SAMPLE_ROWS)
        else:
            matrix[:, column] = draw.choice(_thresholds(trees, column), SAMPLE_ROWS) + draw.choice([-1e-6, 0, 1e-6])
    matrix[draw.random(matrix.shape) < 0.15] = np.nan
    matrix[0] = np.nan
    return matrix


def _thresholds(trees: Trees | None, column: int) -> np.ndarray:
    if trees is None:
        return np.array([0.0, 1.0])
    asked = (trees.signal == column) & (trees.signal != LEAF) & (trees.rule != IN_SET)
    return np.append(trees.threshold[asked], 0.0)


def _verify_against_booster(bundle: ModelBundle, model: ChurnModel, matrix: np.ndarray) -> None:
    own, ours, margins = model.contributions(matrix), bundle.contributions(matrix), model.margins(matrix)
    # On deep paths LightGBM's own shares miss their sum by more than rounding: they are no better a measure than that.
    missed = np.abs(model.base_margin + own.sum(axis=1) - margins).max()
    furthest = max(np.abs(model.base_margin + ours.sum(axis=1) - margins).max(), np.abs(own - ours).max() - 10 * missed)
    if not furthest <= TOLERANCE:
        raise PromotionRefused(
            f"The bundle's shares of the margin differ from the booster's by {furthest:.1e}.",
            "Report it with the booster's text.",
        )
