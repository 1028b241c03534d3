"""Naming: which families and signals risks are made of, in points and in words, for all rows of a reply at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from math import isnan
from typing import Any

import numpy as np

from features.online import Columns
from serving.bundle import Bundle
from serving.scoring import Scores
from training.model import EVERYONE, SEGMENT

SIGNALS_NAMED = 3  # of a family, where not all are asked for: the rest would be most of a reply


def drivers(scores: Scores, most: int | None = None) -> list[dict[str, Any]]:
    """What each risk is made of: families that raise it, families that lower it, and the points of those not named.

    base + points of drivers and protective + other_points = risk. `most` is how many of each are named, each with its
    heaviest SIGNALS_NAMED signals and the points of its others; None names all families and all signals.
    """
    if not len(scores.matrix):
        return []
    words = _words(scores.model, scores.values.columns)
    families, points, own = scores.family_points, scores.points, scores.values.words
    orders = np.argsort(-np.abs(families), axis=1, kind="stable").tolist()
    heavy = np.lexsort((-np.abs(points), np.broadcast_to(words.family_of, points.shape)), axis=1)
    rows = map(_Row, points.tolist(), scores.matrix.tolist(), heavy.tolist(), own, map(words.usual_of, own))
    figures = families.tolist(), scores.risks.tolist(), scores.bases.tolist(), scores.main_reasons
    return [_made_of(words, row, most, *one) for row, *one in zip(rows, orders, *figures, strict=True)]


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
        ends = accumulate(map(len, families.values()), initial=0)
        self.places = [slice(*ends_of) for ends_of in pairwise(ends)]
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


@dataclass(frozen=True, slots=True)
class _Row:
    """One account: per column of the model points and value, columns by weight within families, words, usual values."""

    points: list[float]
    values: list[float]
    order: list[int]
    words: Sequence[str | None]
    usual: tuple[list[Any], list[str]]


@lru_cache(maxsize=2)
def _words(model: Bundle, columns: Columns) -> _Words:
    return _Words(model, columns, model.members)


def _made_of(  # noqa: PLR0913, PLR0917 - figures of one risk, as they come
    words: _Words, row: _Row, most: int | None, order: list[int], families: list[float], risk: float, base: float,
    reason: str | None,
) -> dict[str, Any]:  # fmt: skip
    raising = [i for i in order if families[i] > 0][:most]
    lowering = [i for i in order if families[i] < 0][:most]
    asked = None if most is None else SIGNALS_NAMED
    return {
        "base": base,
        "drivers": [_driver(words, row, (i, families[i], asked)) for i in raising],
        "protective": [_driver(words, row, (i, families[i], asked)) for i in lowering],
        "other_points": risk - base - sum([families[i] for i in raising + lowering]),
        "main_reason": reason,
    }


def _driver(words: _Words, row: _Row, family: tuple[int, float, int | None]) -> dict[str, Any]:
    """One family with so many of its signals, the heaviest first; its text is of the one that carries most of it."""
    place, points, most = family
    columns, main = _heaviest(row, words.places[place], points, most)
    typical, ends = row.usual
    signals = [
        {
            "name": words.names[column],
            "label": words.labels[column],
            "value": _value(words, row, column),
            "unit": words.units[column],
            "typical": typical[column],
            "points": row.points[column],
        }
        for column in columns
    ]
    told = shown(signals[columns.index(main)]["value"], words.units[main])
    return {
        "family": words.families[place],
        "points": points,
        "text": f"{words.begins[main]}{told}{ends[main]}",
        "signals": signals,
        "other_points": points - sum([row.points[column] for column in columns]),
    }


def _heaviest(row: _Row, place: slice, family: float, most: int | None) -> tuple[list[int], int]:
    """The columns of a family's heaviest signals, and of the one that carries most of its points in their direction.

    That one is always among them, though others may weigh more.
    """
    order = row.order[place]
    main = next(column for column in order if row.points[column] * family > 0)
    columns = order[:most]
    if main not in columns:
        columns[-1] = main
    return columns, main


def _value(words: _Words, row: _Row, column: int) -> float | str | None:
    """A value as it was found, None where it is missing."""
    if column in words.categories:
        return row.words[words.categories[column]]
    number = row.values[column]
    return None if isnan(number) else number
