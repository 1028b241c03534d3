"""Naming: which families and signals risks are made of, in points and in words, for all rows of a reply at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isnan
from typing import Any

import numpy as np

from features.online import Columns
from serving.bundle import Bundle
from serving.scoring import Scores
from training.model import EVERYONE, SEGMENT

SIGNALS_NAMED = 3  # of a family, where not all are asked for: the rest would be most of a reply
ROWS_TOGETHER = 256  # so many rows' shares stay in the processor's cache while they are compared


def drivers(scores: Scores, most: int | None = None) -> list[dict[str, Any]]:
    """What each risk is made of: families that raise it, families that lower it, and the points of those not named.

    base + points of drivers and protective + other_points = risk. `most` is how many of each are named, each with its
    heaviest SIGNALS_NAMED signals and the points of its others; None names all families and all signals.
    """
    found: list[dict[str, Any]] = []
    for start in range(0, len(scores.matrix), ROWS_TOGETHER):
        rows = slice(start, start + ROWS_TOGETHER)
        points = scores.family_points[rows]
        orders = np.argsort(-np.abs(points), axis=1, kind="stable").tolist()
        heavy = _heaviest(scores, rows, None if most is None else SIGNALS_NAMED) if most != 0 else None
        risks, bases, reasons = scores.risks[rows].tolist(), scores.bases[rows].tolist(), scores.main_reasons[rows]
        for row, each in enumerate(points.tolist()):
            raising = [i for i in orders[row] if each[i] > 0][:most]
            lowering = [i for i in orders[row] if each[i] < 0][:most]
            found.append(
                {
                    "base": bases[row],
                    "drivers": [_driver(heavy, row, i, each[i]) for i in raising if heavy],
                    "protective": [_driver(heavy, row, i, each[i]) for i in lowering if heavy],
                    "other_points": risks[row] - bases[row] - sum(each[i] for i in raising + lowering),
                    "main_reason": reasons[row],
                }
            )
    return found


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
        self.numbers = np.array([columns.numbers.get(name, -1) for name in self.names])
        self.categories = {i: columns.categories[n] for i, n in enumerate(self.names) if n in columns.categories}
        self.segment = columns.categories.get(SEGMENT)
        self.sizes = [len(members) for members in families.values()]
        self.members = np.zeros((len(families), max(self.sizes, default=0)), dtype="int64")
        self.padding = np.arange(self.members.shape[1]) >= np.array(self.sizes)[:, None]
        for place, members in enumerate(families.values()):
            self.members[place, : len(members)] = members

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


@dataclass(frozen=True)
class _Heaviest:
    """Of some rows and every family the signals that are named, the heaviest first, as lists [row][family].

    `columns` are their places in the model, `points` and `values` theirs, `main` the one that carries most of the
    family's points in their direction. Where a family has fewer signals than others a list is filled up at its end.
    """

    words: _Words
    columns: list[list[list[int]]]
    points: list[list[list[float]]]
    values: list[list[list[float]]]
    main: list[list[int]]
    categories: Sequence[Sequence[str | None]]


@lru_cache(maxsize=2)
def _words(model: Bundle, columns: Columns) -> _Words:
    return _Words(model, columns, model.members)


def _heaviest(scores: Scores, rows: slice, most: int | None) -> _Heaviest:
    """Name `most` signals of each family, all where None; the main one always, though others may weigh more."""
    words = _words(scores.model, scores.values.columns)
    points = scores.points[rows][:, words.members]
    signs = np.sign(scores.family_points[rows])[:, :, None]
    main = np.where(words.padding, -np.inf, points * signs).argmax(axis=2)
    weights = np.where(words.padding, -1.0, np.abs(points))
    if most is None or most >= weights.shape[2]:
        named = np.argsort(-weights, axis=2, kind="stable")
    else:
        named = np.empty((*main.shape, most), dtype="int64")
        for place in range(most):
            named[:, :, place] = first = weights.argmax(axis=2)
            np.put_along_axis(weights, first[:, :, None], -2.0, axis=2)
        named[:, :, -1] = np.where((named == main[:, :, None]).any(axis=2), named[:, :, -1], main)
    columns = words.members[np.arange(len(words.sizes))[None, :, None], named]
    numbers = scores.values.numbers[rows]
    return _Heaviest(
        words=words,
        columns=columns.tolist(),
        points=np.take_along_axis(points, named, axis=2).tolist(),
        values=numbers[np.arange(len(numbers))[:, None, None], words.numbers[columns]].tolist(),
        main=(named == main[:, :, None]).argmax(axis=2).tolist(),
        categories=scores.values.words[rows],
    )


def _driver(heavy: _Heaviest, row: int, family: int, points: float) -> dict[str, Any]:
    words, own = heavy.words, heavy.categories[row]
    usual, ends = words.usual_of(own)
    size, main = words.sizes[family], heavy.main[row][family]
    shares = heavy.points[row][family][:size]
    columns, values = heavy.columns[row][family], heavy.values[row][family]
    signals = [
        {
            "name": words.names[column],
            "label": words.labels[column],
            "value": _value(words, own, column, value),
            "unit": words.units[column],
            "typical": usual[column],
            "points": share,
        }
        for column, value, share in zip(columns, values, shares, strict=False)
    ]
    column = columns[main]
    return {
        "family": words.families[family],
        "points": points,
        "text": f"{words.begins[column]}{shown(signals[main]['value'], words.units[column])}{ends[column]}",
        "signals": signals,
        "other_points": points - sum(shares),
    }


def _value(words: _Words, own: Sequence[str | None], column: int, number: float) -> float | str | None:
    """A value as it was found, None where it is missing."""
    if column in words.categories:
        return own[words.categories[column]]
    return None if isnan(number) else number
