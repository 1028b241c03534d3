"""The drivers of each risk, as families and signals in points and in words, for all rows of a response at once."""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from math import isnan
from typing import NamedTuple

import numpy as np

from features.signals.base import family_label
from features.store.online_reader import ColumnIndex
from serving.schemas.responses import Driver, RowDrivers, SignalPoints
from serving.scoring.model_bundle import ModelBundle
from serving.scoring.scores import Scores
from training.model.churn_model import ALL_SEGMENTS, SEGMENT, ModelInput, SignalValue

MAX_SIGNALS_PER_FAMILY = 3  # unless all are requested: the others would be most of a response
ROUNDING_ERROR = 1e-9  # what the difference of equal numbers can leave
NO_VALUE = "not known"
YES_OR_NO = {0.0: "no", 1.0: "yes"}


def describe_drivers(scores: Scores, max_drivers: int | None = None) -> list[RowDrivers]:
    """The drivers of each risk: families that raise it, families that lower it, and the points of all others.

    base + points of drivers and protective drivers + remaining_points = risk. At most `max_drivers` are listed in each
    direction, each with its MAX_SIGNALS_PER_FAMILY signals of most points; None lists all families and all signals.
    """
    if not len(scores.matrix):
        return []
    texts = _signal_texts(scores.model, scores.values.columns)
    layout = texts.layout_of_all if max_drivers is None else texts.layout_of_top
    family_points = scores.family_points
    orders = np.argsort(-np.abs(family_points), axis=1, kind="stable").tolist()
    figures = family_points.tolist(), scores.risks.tolist(), scores.bases.tolist(), scores.main_reasons
    rows = zip(*_top_signals(scores, texts, layout), scores.values.categories, orders, *figures, strict=True)
    return [
        _describe_row(texts, _AccountRow(scores, index, layout, *parts), max_drivers)
        for index, parts in enumerate(rows)
    ]


def format_value(value: SignalValue, unit: str) -> str:
    """A value for people, with its unit only if the number would mislead without it: 31 %, 0.8x, yes, 1,250."""
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


class _SignalLayout(NamedTuple):
    """Which signals are listed once those of each family are sorted, and which of these belong to each family."""

    indices: np.ndarray
    families: list[slice]


class _SignalTexts:
    """The texts of every signal of a model, made once: lists in the order of its inputs."""

    def __init__(self, model: ModelBundle, columns: ColumnIndex) -> None:
        self.model, self.families = model, tuple(model.columns_by_family)
        self.names = [signal.name for signal in model.inputs]
        self.labels = [signal.label for signal in model.inputs]
        self.units = [signal.unit for signal in model.inputs]
        self.clauses = [_clause(signal) for signal in model.inputs]
        self.missing = [f"{family_label(signal.family)}: {signal.label}: {NO_VALUE}" for signal in model.inputs]
        self.categories = {
            column: columns.categories[name] for column, name in enumerate(self.names) if name in columns.categories
        }
        self.segment = columns.categories.get(SEGMENT)
        self.columns_by_family = list(model.columns_by_family.values())
        sizes = [len(columns) for columns in self.columns_by_family]
        self.layout_of_top = _layout([min(size, MAX_SIGNALS_PER_FAMILY) for size in sizes], sizes)
        self.layout_of_all = _layout(sizes, sizes)
        self.family_of = np.empty(len(self.names), dtype="int64")
        for family, family_columns in enumerate(self.columns_by_family):
            self.family_of[family_columns] = family

    @cached_property
    def typical_by_segment(self) -> dict[str, tuple[list[SignalValue], list[str]]]:
        """By segment, the typical value of every signal, and how a sentence about it ends."""
        return {segment: self._typical(values) for segment, values in self.model.typical_values.items()}

    def typical_of(self, categories: Sequence[str | None]) -> tuple[list[SignalValue], list[str]]:
        """The typical values of the segment of a row; those of all segments if it is not known."""
        segment = categories[self.segment] if self.segment is not None else None
        return self.typical_by_segment.get(str(segment)) or self.typical_by_segment[ALL_SEGMENTS]

    def text(self, column: int, value: SignalValue) -> str:
        """A clause about one signal, such as "adoption: usage is 34 % of its best month"."""
        before, after = self.clauses[column]
        return self.missing[column] if value is None else f"{before}{format_value(value, self.units[column])}{after}"

    def _typical(self, typical: Mapping[str, SignalValue]) -> tuple[list[SignalValue], list[str]]:
        values = [typical[name] for name in self.names]
        pairs = zip(values, self.units, strict=True)
        return values, ["" if value is None else f" (typical {format_value(value, unit)})" for value, unit in pairs]


class _AccountRow(NamedTuple):
    """One account: the columns, points and values of its listed signals, family after family.

    `order` sorts its families by the size of their points, `family_points`.
    """

    scores: Scores
    row_index: int
    layout: _SignalLayout
    columns: list[int]
    points: list[float]
    values: list[float]
    categories: Sequence[str | None]
    order: list[int]
    family_points: list[float]
    risk: float
    base: float
    main_reason: str | None


@lru_cache(maxsize=2)
def _signal_texts(model: ModelBundle, columns: ColumnIndex) -> _SignalTexts:
    return _SignalTexts(model, columns)


def _clause(signal: ModelInput) -> tuple[str, str]:
    """The text about a signal before its value and after it."""
    before, _, after = (signal.text or f"{signal.label}: {{value}}").partition("{value}")
    return f"{family_label(signal.family)}: {before}", after


def _layout(listed: Sequence[int], sizes: Sequence[int]) -> _SignalLayout:
    """`listed` of the signals of each family, of `sizes` signals each."""
    starts = accumulate(sizes, initial=0)
    indices = [start + offset for start, count in zip(starts, listed, strict=False) for offset in range(count)]
    families = [slice(*ends) for ends in pairwise(accumulate(listed, initial=0))]
    return _SignalLayout(np.array(indices, dtype="int64"), families)


def _top_signals(scores: Scores, texts: _SignalTexts, layout: _SignalLayout) -> tuple[list, list, list]:
    """The columns, points and values of the listed signals of every row."""
    families = np.broadcast_to(texts.family_of, scores.points.shape)
    columns = np.lexsort((-np.abs(scores.points), families), axis=1)[:, layout.indices]
    points, values = (np.take_along_axis(matrix, columns, axis=1) for matrix in (scores.points, scores.matrix))
    return columns.tolist(), points.tolist(), values.tolist()


def _describe_row(texts: _SignalTexts, row: _AccountRow, max_drivers: int | None) -> RowDrivers:
    points = row.family_points
    raising = [family for family in row.order if points[family] > 0][:max_drivers]
    lowering = [family for family in row.order if points[family] < 0][:max_drivers]
    typical = texts.typical_of(row.categories)
    return {
        "base": row.base,
        "drivers": [_describe_driver(texts, row, family, typical) for family in raising],
        "protective_drivers": [_describe_driver(texts, row, family, typical) for family in lowering],
        "remaining_points": row.risk - row.base - sum([points[family] for family in raising + lowering]),
        "main_reason": row.main_reason,
    }


def _describe_driver(
    texts: _SignalTexts, row: _AccountRow, family: int, typical: tuple[list[SignalValue], list[str]]
) -> Driver:
    """One family with its signals; its text is about the first one that has the sign of the family's points."""
    family_points, (typical_values, endings) = row.family_points[family], typical
    listed = row.layout.families[family]
    columns, points, values = row.columns[listed], row.points[listed], row.values[listed]
    main = next((index for index, share in enumerate(points) if share * family_points > 0), -1)
    if main < 0:  # all listed signals have the opposite sign: replace the last by the signal that decides the family
        columns[-1], points[-1], values[-1] = _deciding_signal(texts, row, family)
    signals: list[SignalPoints] = [
        {
            "name": texts.names[column],
            "label": texts.labels[column],
            "value": _signal_value(texts, row, column, value),
            "unit": texts.units[column],
            "typical": typical_values[column],
            "points": share,
        }
        for column, share, value in zip(columns, points, values, strict=True)
    ]
    column = columns[main]
    return {
        "family": texts.families[family],
        "points": family_points,
        "text": f"{texts.text(column, signals[main]['value'])}{endings[column]}",
        "signals": signals,
        "remaining_points": family_points - sum(points),
    }


def _deciding_signal(texts: _SignalTexts, row: _AccountRow, family: int) -> tuple[int, float, float]:
    """The column, points and value of the family's signal with the most points in the direction of the family."""
    points, family_points = row.scores.points[row.row_index], row.family_points[family]
    column = max(texts.columns_by_family[family], key=lambda column: points[column] * family_points)
    return column, float(points[column]), float(row.scores.matrix[row.row_index, column])


def _signal_value(texts: _SignalTexts, row: _AccountRow, column: int, number: float) -> SignalValue:
    """A value as it is stored, None if it is missing."""
    if column in texts.categories:
        return row.categories[texts.categories[column]]
    return None if isnan(number) else number
