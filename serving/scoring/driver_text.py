"""Drivers: the families and signals that each risk is made of, in points and in words, for all rows at once."""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from features.signals.base import family_label
from features.store.online_reader import Columns
from serving.scoring.model_bundle import ModelBundle
from serving.scoring.scores import Scores
from training.model.churn_model import EVERYONE, SEGMENT, Input

MAX_SIGNALS_PER_FAMILY = 3  # per family, unless all are requested: the others would fill most of a reply
ROUNDING_ERROR = 1e-9  # a smaller number is the rounding error of a difference of equal numbers
NO_VALUE = "not known"
YES_OR_NO = {0.0: "no", 1.0: "yes"}


def describe_drivers(scores: Scores, most: int | None = None) -> list[dict[str, Any]]:
    """The families that raise each risk, the families that lower it, and the points of the families not listed.

    base + points of drivers and protective + other_points = risk. `most` limits how many families of each kind are
    listed, each with its MAX_SIGNALS_PER_FAMILY largest signals and the points of the others; None lists all of them.
    """
    if not len(scores.matrix):
        return []
    texts = _signal_texts(scores.model, scores.values.columns)
    families, listed = scores.family_points, texts.listed[most is None]
    orders = np.argsort(-np.abs(families), axis=1, kind="stable").tolist()
    figures = families.tolist(), scores.risks.tolist(), scores.bases.tolist(), scores.main_reasons
    rows = zip(*_heaviest_signals(scores, texts, listed), scores.values.words, orders, *figures, strict=True)
    return [_describe_row(texts, _AccountRow(scores, index, listed, *parts), most) for index, parts in enumerate(rows)]


def format_value(value: float | str | None, unit: str) -> str:
    """A value as people write it, with its unit only if the number alone would mislead: 31 %, 0.8x, yes, 1,250."""
    if value is None:
        return NO_VALUE
    if isinstance(value, str):
        return value
    if unit == "0 or 1" and value in YES_OR_NO:
        return YES_OR_NO[value]
    if unit == "share":
        return f"{value * 100:.0f} %"
    if abs(value) < ROUNDING_ERROR:
        value = 0.0
    number = f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.2g}"
    return f"{number}x" if unit == "x" else number


class _SignalTexts:
    """What the texts say about each signal of a model, computed once: lists in the order of the model's inputs."""

    def __init__(self, model: ModelBundle, columns: Columns, families: Mapping[str, list[int]]) -> None:
        self.model, self.families = model, tuple(families)
        self.names = [signal.name for signal in model.inputs]
        self.labels = [signal.label for signal in model.inputs]
        self.units = [signal.unit for signal in model.inputs]
        self.clauses = [_clause(signal) for signal in model.inputs]
        self.missing = [f"{family_label(signal.family)}: {signal.label}: {NO_VALUE}" for signal in model.inputs]
        self.categories = {i: columns.categories[n] for i, n in enumerate(self.names) if n in columns.categories}
        self.segment = columns.categories.get(SEGMENT)
        self.members = list(families.values())
        sizes = [len(members) for members in self.members]
        self.listed = [
            _select_listed([min(size, MAX_SIGNALS_PER_FAMILY) for size in sizes], sizes),
            _select_listed(sizes, sizes),
        ]
        self.family_of = np.empty(len(self.names), dtype="int64")
        for index, members in enumerate(self.members):
            self.family_of[members] = index

    @cached_property
    def typical(self) -> dict[str, tuple[list[Any], list[str]]]:
        """By segment, the typical value of each signal, and the end of a text about it."""
        return {segment: self._typical(values) for segment, values in self.model.typical.items()}

    def typical_of(self, categories: Sequence[str | None]) -> tuple[list[Any], list[str]]:
        """The typical values of a row's segment, or of all accounts if the segment is not known."""
        segment = categories[self.segment] if self.segment is not None else None
        return self.typical.get(str(segment)) or self.typical[EVERYONE]

    def text(self, column: int, value: float | str | None) -> str:
        """A clause about one signal, such as "adoption: usage is 34 % of its best month"."""
        before, after = self.clauses[column]
        return self.missing[column] if value is None else f"{before}{format_value(value, self.units[column])}{after}"

    def _typical(self, typical: Mapping[str, Any]) -> tuple[list[Any], list[str]]:
        values = [typical[name] for name in self.names]
        ends = [
            "" if v is None else f" (typical {format_value(v, u)})" for v, u in zip(values, self.units, strict=True)
        ]
        return values, ends


class _AccountRow(NamedTuple):
    """One account: the columns of its largest signals, family by family, with their points and values.

    `order` sorts its families by the size of their points, `families` holds these points.
    """

    scores: Scores
    position: int
    listed: "_ListedSignals"
    columns: list[int]
    points: list[float]
    values: list[float]
    categories: Sequence[str | None]
    order: list[int]
    families: list[float]
    risk: float
    base: float
    reason: str | None


class _ListedSignals(NamedTuple):
    """Positions of the listed signals if each family's are sorted by size, and then the slice of each family."""

    positions: np.ndarray
    families: list[slice]


@lru_cache(maxsize=2)
def _signal_texts(model: ModelBundle, columns: Columns) -> _SignalTexts:
    return _SignalTexts(model, columns, model.members)


def _clause(signal: Input) -> tuple[str, str]:
    """The text about a signal before its value and after it."""
    before, _, after = (signal.text or f"{signal.label}: {{value}}").partition("{value}")
    return f"{family_label(signal.family)}: {before}", after


def _select_listed(counts: Sequence[int], sizes: Sequence[int]) -> _ListedSignals:
    starts = list(accumulate(sizes, initial=0))
    positions = [start + i for start, count in zip(starts, counts, strict=False) for i in range(count)]
    return _ListedSignals(
        np.array(positions, dtype="int64"), [slice(*ends) for ends in pairwise(accumulate(counts, initial=0))]
    )


def _heaviest_signals(scores: Scores, texts: _SignalTexts, listed: _ListedSignals) -> tuple[list, list, list]:
    """For each row, the columns of the listed signals, their points and their values."""
    families = np.broadcast_to(texts.family_of, scores.points.shape)
    columns = np.lexsort((-np.abs(scores.points), families), axis=1)[:, listed.positions]
    points, values = (np.take_along_axis(table, columns, axis=1) for table in (scores.points, scores.matrix))
    return columns.tolist(), points.tolist(), values.tolist()


def _describe_row(texts: _SignalTexts, row: _AccountRow, most: int | None) -> dict[str, Any]:
    families = row.families
    raising = [i for i in row.order if families[i] > 0][:most]
    lowering = [i for i in row.order if families[i] < 0][:most]
    typical = texts.typical_of(row.categories)
    return {
        "base": row.base,
        "drivers": [_describe_driver(texts, row, (i, families[i]), typical) for i in raising],
        "protective": [_describe_driver(texts, row, (i, families[i]), typical) for i in lowering],
        "other_points": row.risk - row.base - sum([families[i] for i in raising + lowering]),
        "main_reason": row.reason,
    }


def _describe_driver(
    texts: _SignalTexts, row: _AccountRow, family: tuple[int, float], typical_and_ends: tuple[list[Any], list[str]]
) -> dict[str, Any]:
    """One family with its largest signals; its text is about the signal that carries most of its points."""
    (index, total), (typical, ends) = family, typical_and_ends
    members = row.listed.families[index]
    columns, points, values = row.columns[members], row.points[members], row.values[members]
    main = next((i for i, share in enumerate(points) if share * total > 0), -1)
    if main < 0:  # all listed signals pull the other way: the last is replaced by the one that carries the family
        column = max(texts.members[index], key=lambda column: row.scores.points[row.position, column] * total)
        columns[-1], points[-1] = column, float(row.scores.points[row.position, column])
        values[-1] = float(row.scores.matrix[row.position, column])
    signals = [
        {
            "name": texts.names[column],
            "label": texts.labels[column],
            "value": _signal_value(texts, row, column, value),
            "unit": texts.units[column],
            "typical": typical[column],
            "points": share,
        }
        for column, share, value in zip(columns, points, values, strict=True)
    ]
    column = columns[main]
    return {
        "family": texts.families[index],
        "points": total,
        "text": f"{texts.text(column, signals[main]['value'])}{ends[column]}",
        "signals": signals,
        "other_points": total - sum(points),
    }


def _signal_value(texts: _SignalTexts, row: _AccountRow, column: int, number: float) -> float | str | None:
    """A value as it was read, None if it is missing."""
    if column in texts.categories:
        return row.categories[texts.categories[column]]
    return None if isnan(number) else number
