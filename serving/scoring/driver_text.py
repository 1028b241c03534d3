"""The drivers of each risk, as families and signals in points and in words, for all rows of a response at once."""

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from math import isnan
from typing import NamedTuple

import numpy as np

from features.signals.base import family_label
from features.store.online_reader import ColumnIndex
from serving.schemas.responses import Driver, RowDrivers, SignalPoints
from serving.scoring.model_bundle import ModelBundle
from serving.scoring.scores import MIN_NAMED_POINTS, Scores
from serving.scoring.sentences import SignalSentences, is_moment, looks_equal
from training.model.churn_model import ALL_SEGMENTS, SEGMENT, SignalValue

MAX_SIGNALS_PER_FAMILY = 3  # unless all are requested: the others would be most of a response
# A signal of this share of the leading signal's points, or more, may be what stands out in a family.
MIN_SHARE_OF_LEADING = 0.25
NOTHING_STANDS_OUT = "Nothing about {family} stands out"


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
    typical_values = [texts.typical_of(categories) for categories in scores.values.categories]
    parts_of_rows = scores.values.categories, typical_values, orders
    rows = zip(*_top_signals(scores, texts, layout), *parts_of_rows, *figures, strict=True)
    return [
        _describe_row(texts, _AccountRow(scores, index, layout, *parts), max_drivers)
        for index, parts in enumerate(rows)
    ]


def find_main_driver(drivers: Sequence[Driver]) -> Driver | None:
    """The driver that raises a risk most, the first; None if it would be shown as 0.0 points."""
    return drivers[0] if drivers and drivers[0]["points"] >= MIN_NAMED_POINTS else None


def find_standout(driver: Driver) -> SignalPoints | None:
    """The first signal that says why a family raises or lowers a risk; None if all that matter are as typical."""
    signals = driver["signals"]
    return next((signals[index] for index in _iter_standouts(driver["points"], signals)), None)


class _SignalLayout(NamedTuple):
    """Which signals are listed once those of each family are sorted, and which of these belong to each family."""

    indices: np.ndarray
    families: list[slice]


class _SignalTexts:
    """The texts of every signal of a model, made once: lists in the order of its inputs."""

    def __init__(self, model: ModelBundle, columns: ColumnIndex) -> None:
        self.model, self.families = model, tuple(model.columns_by_family)
        self.nothing_stands_out = [NOTHING_STANDS_OUT.format(family=family_label(name)) for name in self.families]
        self.names = [signal.name for signal in model.inputs]
        self.labels = [signal.label for signal in model.inputs]
        self.units = [signal.unit for signal in model.inputs]
        self.absent = [signal.absent for signal in model.inputs]
        self.sentences = SignalSentences(model.inputs)
        self.is_moment = [is_moment(signal.name, signal.unit) for signal in model.inputs]
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
    def typical_by_segment(self) -> dict[str, list[SignalValue]]:
        """By segment, the typical value of every signal."""
        by_segment = self.model.typical_values.items()
        return {segment: [values[name] for name in self.names] for segment, values in by_segment}

    def typical_of(self, categories: Sequence[str | None]) -> list[SignalValue]:
        """The typical values of the segment of a row; those of all segments if it is not known."""
        segment = categories[self.segment] if self.segment is not None else None
        return self.typical_by_segment.get(str(segment)) or self.typical_by_segment[ALL_SEGMENTS]


class _AccountRow(NamedTuple):
    """One account: the columns, points and values of its listed signals, family after family.

    `typical_values` are those of every input in its segment. `order` sorts its families by the size of their points,
    `family_points`.
    """

    scores: Scores
    row_index: int
    layout: _SignalLayout
    columns: list[int]
    points: list[float]
    values: list[float]
    categories: Sequence[str | None]
    typical_values: list[SignalValue]
    order: list[int]
    family_points: list[float]
    risk: float
    base: float
    main_reason: str | None


@lru_cache(maxsize=2)
def _signal_texts(model: ModelBundle, columns: ColumnIndex) -> _SignalTexts:
    return _SignalTexts(model, columns)


def _layout(listed: Sequence[int], sizes: Sequence[int]) -> _SignalLayout:
    """`listed` of the signals of each family, of `sizes` signals each."""
    starts = accumulate(sizes, initial=0)
    indices = [start + offset for start, count in zip(starts, listed, strict=False) for offset in range(count)]
    families = [slice(*ends) for ends in pairwise(accumulate(listed, initial=0))]
    return _SignalLayout(np.array(indices, dtype="int64"), families)


def _top_signals(scores: Scores, texts: _SignalTexts, layout: _SignalLayout) -> tuple[list, list, list]:
    """The columns, points and values of the listed signals of every row."""
    sizes = np.abs(scores.points)
    keys = texts.family_of - sizes / (1.0 + sizes)  # one key for family and size sorts twice as fast as two
    columns = np.argsort(keys, axis=1, kind="stable")[:, layout.indices]
    rows = np.arange(len(columns))[:, None]
    return columns.tolist(), scores.points[rows, columns].tolist(), scores.matrix[rows, columns].tolist()


def _describe_row(texts: _SignalTexts, row: _AccountRow, max_drivers: int | None) -> RowDrivers:
    points = row.family_points
    raising = [family for family in row.order if points[family] > 0]
    lowering = [family for family in row.order if points[family] < 0][:max_drivers]
    described: set[int] = set()
    is_cut_to_none = max_drivers == 0  # the leading family is described even then: it may be no reason
    drivers = [
        _describe_driver(texts, row, family, described) for family in raising[: 1 if is_cut_to_none else max_drivers]
    ]
    return {
        "base": row.base,
        "drivers": drivers[:max_drivers],
        "protective_drivers": [_describe_driver(texts, row, family, described) for family in lowering],
        "remaining_points": row.risk - row.base - sum([points[family] for family in raising[:max_drivers] + lowering]),
        "main_reason": row.main_reason if drivers and find_standout(drivers[0]) else None,
    }


def _describe_driver(texts: _SignalTexts, row: _AccountRow, family: int, described: set[int]) -> Driver:
    """One family with its signals; its text is about one that has the sign of the family's points and stands out.

    `described` are the moments, in days ago, that texts of other families are about; the one of this text is added.
    """
    family_points, listed = row.family_points[family], row.layout.families[family]
    columns, points, values = row.columns[listed], row.points[listed], row.values[listed]
    if max(points) * family_points <= 0 and min(points) * family_points <= 0:
        # All listed signals have the opposite sign: the last is replaced by the signal that decides the family.
        columns[-1], points[-1], values[-1] = _deciding_signal(texts, row, family)
    signals = [
        _describe_signal(texts, row, column, figures) for column, *figures in zip(columns, points, values, strict=True)
    ]
    driver: Driver = {
        "family": texts.families[family],
        "points": family_points,
        "text": texts.nothing_stands_out[family],
        "signals": signals,
        "remaining_points": family_points - sum(points),
    }
    main = _choose_main(texts, columns, driver, described)
    if main is not None:
        column, value = columns[main], signals[main]["value"]
        if texts.is_moment[column] and isinstance(value, float):
            described.add(round(value))
        driver["text"] = texts.sentences.describe(column, value, row.scores.matrix[row.row_index], row.typical_values)
    return driver


def _describe_signal(texts: _SignalTexts, row: _AccountRow, column: int, figures: Sequence[float]) -> SignalPoints:
    """One signal; `figures` are its points and its number, NaN if it is missing."""
    points, number = figures
    if column in texts.categories:
        value = row.categories[texts.categories[column]]
    else:
        value = None if isnan(number) else number
    signal: SignalPoints = {
        "name": texts.names[column],
        "label": texts.labels[column],
        "value": value,
        "unit": texts.units[column],
        "typical": row.typical_values[column],
        "points": points,
    }
    if value is None and texts.absent[column]:
        signal["absent"] = texts.absent[column]
    return signal


def _choose_main(texts: _SignalTexts, columns: Sequence[int], driver: Driver, described: set[int]) -> int | None:
    """Which signal the text is about: the first that stands out, if possible no moment that is already described."""
    signals, first = driver["signals"], None
    for index in _iter_standouts(driver["points"], signals):
        value = signals[index]["value"]
        if not (texts.is_moment[columns[index]] and isinstance(value, float) and round(value) in described):
            return index
        first = index if first is None else first
    return first


def _iter_standouts(family_points: float, signals: Sequence[SignalPoints]) -> Iterator[int]:
    """Which signals of most points agree with their family, matter in it, and differ from what is typical."""
    smallest = None
    for index, signal in enumerate(signals):
        points = signal["points"]
        if points * family_points <= 0:
            continue
        if smallest is None:
            smallest = MIN_SHARE_OF_LEADING * abs(points)
        elif index >= MAX_SIGNALS_PER_FAMILY:
            return
        if abs(points) >= smallest and not looks_equal(signal["value"], signal["typical"], signal["unit"]):
            yield index


def _deciding_signal(texts: _SignalTexts, row: _AccountRow, family: int) -> tuple[int, float, float]:
    """The column, points and value of the family's signal with the most points in the direction of the family."""
    points, family_points = row.scores.points[row.row_index], row.family_points[family]
    column = max(texts.columns_by_family[family], key=lambda column: points[column] * family_points)
    return column, float(points[column]), float(row.scores.matrix[row.row_index, column])
