"""Naming: which families and signals risks are made of, in points and in words, for all rows of a reply at once."""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from features.store.online_reader import Columns
from serving.scoring.model_bundle import Bundle
from serving.scoring.scores import Scores
from training.model.churn_model import EVERYONE, SEGMENT

SIGNALS_NAMED = 3  # of a family, where not all are asked for: the rest would be most of a reply


ROUNDING = 1e-9  # less than that is what a difference of equal numbers leaves


def drivers(scores: Scores, most: int | None = None) -> list[dict[str, Any]]:
    """What each risk is made of: families that raise it, families that lower it, and the points of those not named.

    base + points of drivers and protective + other_points = risk. `most` is how many of each are named, each with its
    heaviest SIGNALS_NAMED signals and the points of its others; None names all families and all signals.
    """
    if not len(scores.matrix):
        return []
    words = _words(scores.model, scores.values.columns)
    families, named = scores.family_points, words.named[most is None]
    orders = np.argsort(-np.abs(families), axis=1, kind="stable").tolist()
    figures = families.tolist(), scores.risks.tolist(), scores.bases.tolist(), scores.main_reasons
    rows = zip(*_heavy(scores, words, named), scores.values.words, orders, *figures, strict=True)
    return [_made_of(words, _Row(scores, place, named, *parts), most) for place, parts in enumerate(rows)]


def shown(value: float | str | None, unit: str) -> str:
    """A value as people write it, its unit only where the number alone would mislead: 31 %, 0.8x, 1,250."""
    if value is None:
        return "not known"
    if isinstance(value, str):
        return value
    if unit == "share":
        return f"{value * 100:.0f} %"
    if abs(value) < ROUNDING:
        value = 0.0
    number = f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.2g}"
    return f"{number}x" if unit == "x" else number


class _Words:
    """What is said of every signal of a model, worked out once: a list per thing, in the order of its inputs."""

    def __init__(self, model: Bundle, columns: Columns, families: Mapping[str, list[int]]) -> None:
        self.model, self.families = model, tuple(families)
        self.names = [one.name for one in model.inputs]
        self.labels = [one.label for one in model.inputs]
        self.units = [one.unit for one in model.inputs]
        self.begins = [f"{one.family}: {one.label} " for one in model.inputs]
        self.categories = {i: columns.categories[n] for i, n in enumerate(self.names) if n in columns.categories}
        self.segment = columns.categories.get(SEGMENT)
        self.members = list(families.values())
        sizes = [len(one) for one in self.members]
        self.named = [_named([min(size, SIGNALS_NAMED) for size in sizes], sizes), _named(sizes, sizes)]
        self.family_of = np.empty(len(self.names), dtype="int64")
        for place, members in enumerate(families.values()):
            self.family_of[members] = place

    @cached_property
    def usual(self) -> dict[str, tuple[list[Any], list[str]]]:
        """By segment, the usual value of every signal, and how a sentence about it ends."""
        return {name: self._usual(one) for name, one in self.model.typical.items()}

    def usual_of(self, words: Sequence[str | None]) -> tuple[list[Any], list[str]]:
        """The usual values of the segment that is among a row's words, of everyone where it is not known."""
        segment = words[self.segment] if self.segment is not None else None
        return self.usual.get(str(segment)) or self.usual[EVERYONE]

    def _usual(self, typical: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
        values = [typical[name] for name in self.names]
        ends = ["" if v is None else f" (typical {shown(v, u)})" for v, u in zip(values, self.units, strict=True)]
        return values, ends


class _Row(NamedTuple):
    """One account: the columns of its heaviest signals, family after family, their points and values; and its words.

    `order` is that of its families by weight, `families` their points.
    """

    scores: Scores
    place: int
    named: "_Named"
    columns: list[int]
    points: list[float]
    values: list[float]
    words: Sequence[str | None]
    order: list[int]
    families: list[float]
    risk: float
    base: float
    reason: str | None


class _Named(NamedTuple):
    """Which signals are named where each family's are in the order of their weight, and where a family's then stand."""

    places: np.ndarray
    families: list[slice]


@lru_cache(maxsize=2)
def _words(model: Bundle, columns: Columns) -> _Words:
    return _Words(model, columns, model.members)


def _named(kept: Sequence[int], sizes: Sequence[int]) -> _Named:
    begins = list(accumulate(sizes, initial=0))
    places = [begin + one for begin, most in zip(begins, kept, strict=False) for one in range(most)]
    return _Named(np.array(places, dtype="int64"), [slice(*ends) for ends in pairwise(accumulate(kept, initial=0))])


def _heavy(scores: Scores, words: _Words, named: _Named) -> tuple[list, list, list]:
    """Of every row the columns that are named, their points and their values."""
    families = np.broadcast_to(words.family_of, scores.points.shape)
    columns = np.lexsort((-np.abs(scores.points), families), axis=1)[:, named.places]
    points, values = (np.take_along_axis(one, columns, axis=1) for one in (scores.points, scores.matrix))
    return columns.tolist(), points.tolist(), values.tolist()


def _made_of(words: _Words, row: _Row, most: int | None) -> dict[str, Any]:
    families = row.families
    raising = [i for i in row.order if families[i] > 0][:most]
    lowering = [i for i in row.order if families[i] < 0][:most]
    usual = words.usual_of(row.words)
    return {
        "base": row.base,
        "drivers": [_driver(words, row, (i, families[i]), usual) for i in raising],
        "protective": [_driver(words, row, (i, families[i]), usual) for i in lowering],
        "other_points": row.risk - row.base - sum([families[i] for i in raising + lowering]),
        "main_reason": row.reason,
    }


def _driver(words: _Words, row: _Row, family: tuple[int, float], usual: tuple[list[Any], list[str]]) -> dict[str, Any]:
    """One family with its heaviest signals; its text is of the one that carries most of its points."""
    (place, whole), (typical, ends) = family, usual
    here = row.named.families[place]
    columns, points, values = row.columns[here], row.points[here], row.values[here]
    main = next((at for at, one in enumerate(points) if one * whole > 0), -1)
    if main < 0:  # all that are named pull the other way: the last gives way to the one that carries the family
        column = max(words.members[place], key=lambda one: row.scores.points[row.place, one] * whole)
        columns[-1], points[-1] = column, float(row.scores.points[row.place, column])
        values[-1] = float(row.scores.matrix[row.place, column])
    signals = [
        {
            "name": words.names[column],
            "label": words.labels[column],
            "value": _value(words, row, column, value),
            "unit": words.units[column],
            "typical": typical[column],
            "points": share,
        }
        for column, share, value in zip(columns, points, values, strict=True)
    ]
    column = columns[main]
    return {
        "family": words.families[place],
        "points": whole,
        "text": f"{words.begins[column]}{shown(signals[main]['value'], words.units[column])}{ends[column]}",
        "signals": signals,
        "other_points": whole - sum(points),
    }


def _value(words: _Words, row: _Row, column: int, number: float) -> float | str | None:
    """A value as it was found, None where it is missing."""
    if column in words.categories:
        return row.words[words.categories[column]]
    return None if isnan(number) else number
