"""Scoring: a model and signals in, risks with drivers that add up exactly to them out; nothing is read or kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from configs.settings import BandSettings
from features.online import Columns, Values
from serving.bundle import Bundle
from training.model import EVERYONE, SEGMENT
from training.reasons import by_family, leading, members_of

SIGNALS_NAMED = 3  # of a family, where not all are asked for: the rest would be most of a reply
BANDS = ("low", "watch", "high", "critical")


@dataclass(frozen=True)
class Scores:
    """The risks of some snapshots within every horizon, and what they are made of.

    `shares` are TreeSHAP's shares of the margin, shape (rows, inputs). `risks_within`, `bases_within` and
    `points_per_share` have the shape (rows, horizons). What names no horizon is that of the main one.
    """

    model: Bundle
    values: Values
    matrix: np.ndarray
    shares: np.ndarray
    risks_within: np.ndarray
    bases_within: np.ndarray
    points_per_share: np.ndarray

    @property
    def risks(self) -> np.ndarray:
        return self.risks_within[:, self.model.main]

    @property
    def bases(self) -> np.ndarray:
        """The risk of an account of the row's segment about which nothing else is known."""
        return self.bases_within[:, self.model.main]

    @cached_property
    def points(self) -> np.ndarray:
        """Every signal's points, shape (rows, inputs); base + row sum of points = risk."""
        return self.points_within(self.model.horizon_days)

    def points_within(self, horizon_days: int) -> np.ndarray:
        """Every signal's points of the risk within this horizon, shape (rows, inputs)."""
        return self.shares * self.points_per_share[:, [self.model.calibrator.column(horizon_days)]]

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(self.members)

    @cached_property
    def members(self) -> Mapping[str, list[int]]:
        """The columns of each family."""
        return _members(self.model)

    @cached_property
    def family_points(self) -> np.ndarray:
        """Each family's points, shape (rows, families)."""
        return self.family_shares * self.points_per_share[:, [self.model.main]]

    @cached_property
    def family_shares(self) -> np.ndarray:
        """Each family's share of the margin, shape (rows, families)."""
        return by_family(self.shares, self.members)

    @cached_property
    def main_reasons(self) -> list[str | None]:
        """The family that raises each risk most; None where its lead does not outlast making the model again."""
        clear = self.model.clear_lead
        first, leads = leading(self.family_shares)
        told = (first >= 0) & (leads >= (np.inf if clear is None else clear))
        return [self.families[place] if is_told else None for place, is_told in zip(first, told, strict=True)]

    @cached_property
    def missing(self) -> np.ndarray:
        """Whether a row has no value at all in a family, shape (rows, families)."""
        gaps = np.isnan(self.matrix)
        return np.column_stack([gaps[:, columns].all(axis=1) for columns in self.members.values()])


def score(model: Bundle, values: Values, threads: int = 1) -> Scores:
    """The risks of these accounts with what they are made of, from one pass over the trees.

    A point is phi * (g(m) - g(b0)) / (m - b0): TreeSHAP's share of the margin m, carried through the calibrator g of a
    horizon so that sign and order stay and the sum is risk - base. Raises KeyError where `values` lacks a signal of the
    model.
    """
    return score_matrix(model, values, encoded(model, values), threads)


def score_matrix(model: Bundle, values: Values, matrix: np.ndarray, threads: int = 1) -> Scores:
    """The risks of the rows of a matrix that was encoded already; `values` are what is told of them."""
    shares, offsets = model.contributions(matrix, threads), model.offsets(matrix)
    steps, base_margins = shares.sum(axis=1), np.full(len(matrix), model.base_margin)
    return Scores(
        model=model,
        values=values,
        matrix=matrix,
        shares=shares,
        risks_within=model.calibrator.risks(base_margins + steps, offsets),
        bases_within=model.calibrator.risks(base_margins, offsets),
        points_per_share=model.calibrator.points_per_share(model.base_margin, steps, offsets),
    )


def encoded(model: Bundle, values: Values) -> np.ndarray:
    """The model's matrix, shape (rows, inputs), float64: numbers as they are, categories as codes, NaN for missing.

    A category never seen in training counts as missing. Raises KeyError where a signal is not there.
    """
    to, taken, codes = _order(model, values.columns)
    matrix = np.empty((len(values), len(model.inputs)))
    matrix[:, to] = values.numbers[:, taken]
    for column, place, code in codes:
        matrix[:, column] = [code.get(words[place], np.nan) for words in values.words]
    return matrix


@lru_cache(maxsize=16)
def _order(model: Bundle, columns: Columns) -> tuple[list[int], list[int], list[tuple[int, int, dict]]]:
    """Which column of the matrix takes which number, and which takes which word by which codes."""
    numbers = [(to, columns.numbers[one.name]) for to, one in enumerate(model.inputs) if one.kind == "number"]
    codes = [
        (to, columns.categories[one.name], {word: float(code) for code, word in enumerate(one.categories)})
        for to, one in enumerate(model.inputs)
        if one.kind != "number"
    ]
    return [to for to, _ in numbers], [taken for _, taken in numbers], codes


@lru_cache(maxsize=16)
def _members(model: Bundle) -> dict[str, list[int]]:
    return members_of(model.inputs)


def by_horizon(scores: Scores, row: int) -> dict[str, float]:
    """The risk of a row within every horizon, in days."""
    return {
        str(days): float(risk)
        for days, risk in zip(scores.model.calibrator.horizons, scores.risks_within[row], strict=True)
    }


def bands(risks: np.ndarray, cuts: BandSettings) -> list[str]:
    """The band of each risk."""
    return [BANDS[i] for i in np.searchsorted([cuts.watch, cuts.high, cuts.critical], risks, side="right")]


def cuts_of(model: Bundle, settings: BandSettings) -> BandSettings:
    """The cuts that a model's risks are banded by: its own where it was released with some, else the settings'."""
    return BandSettings(**model.bands) if model.bands else settings


def drivers(scores: Scores, row: int, most: int | None = None) -> dict[str, Any]:
    """What one risk is made of: families that raise it, families that lower it, and the points of those not named.

    base + points of drivers and protective + other_points = risk. `most` is how many of each are named, each with its
    heaviest SIGNALS_NAMED signals and the points of its others; None names all families and all signals.
    """
    points, shares = scores.family_points[row].tolist(), scores.points[row].tolist()
    order = sorted(range(len(points)), key=lambda i: -abs(points[i]))
    raising = [i for i in order if points[i] > 0][:most]
    lowering = [i for i in order if points[i] < 0][:most]
    base, signals = float(scores.bases[row]), None if most is None else SIGNALS_NAMED
    told = _Row(scores, row, shares, _typical(scores, row), signals)
    return {
        "base": base,
        "drivers": [_driver(told, i, points[i]) for i in raising],
        "protective": [_driver(told, i, points[i]) for i in lowering],
        "other_points": float(scores.risks[row]) - base - sum(points[i] for i in raising + lowering),
        "main_reason": scores.main_reasons[row],
    }


@dataclass(frozen=True)
class _Row:
    """One row while it is told: every signal's points, its usual values, and how many signals of a family are named."""

    scores: Scores
    row: int
    shares: list[float]
    typical: Mapping[str, Any]
    most: int | None


def _driver(told: _Row, family: int, points: float) -> dict[str, Any]:
    name, shares = told.scores.families[family], told.shares
    order = sorted(told.scores.members[name], key=lambda i: -abs(shares[i]))
    # What carries most of it in its direction is named, though others may weigh more against it.
    main = max(order, key=lambda i: shares[i] * points)
    named = order[: told.most] if main in order[: told.most] else [*order[: (told.most or 1) - 1], main]
    signals = [_signal(told, i) for i in named]
    return {
        "family": name,
        "points": points,
        "text": _text(name, signals[named.index(main)]),
        "signals": signals,
        "other_points": points - sum(shares[i] for i in named),
    }


def _signal(told: _Row, column: int) -> dict[str, Any]:
    one = told.scores.model.inputs[column]
    return {
        "name": one.name,
        "label": one.label,
        "value": told.scores.values.value(one.name, told.row),
        "unit": one.unit,
        "typical": told.typical[one.name],
        "points": told.shares[column],
    }


def _typical(scores: Scores, row: int) -> Mapping[str, Any]:
    """The usual values of the row's segment, of everyone where it is not known."""
    typical, columns = scores.model.typical, scores.values.columns
    segment = scores.values.value(SEGMENT, row) if SEGMENT in columns.categories else None
    return typical.get(str(segment), typical[EVERYONE])


def _text(family: str, main: Mapping[str, Any]) -> str:
    """A family's driver in words, by the signal that carries most of it in its direction."""
    value, typical = (shown(main[key], main["unit"]) for key in ("value", "typical"))
    return f"{family}: {main['label']} {value}" + (f" (typical {typical})" if main["typical"] is not None else "")


def shown(value: float | str | None, unit: str) -> str:
    """A value as people write it, its unit only where the number alone would mislead: 31 %, 0.8x, 1,250."""
    if value is None:
        return "not known"
    if isinstance(value, str):
        return value
    if unit == "share":
        return f"{value * 100:.0f} %"
    number = f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.2g}"
    return f"{number}x" if unit == "x" else number
