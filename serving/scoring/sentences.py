"""Sentences about a signal of an account: how it moved or what it is, and what is typical of similar accounts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from math import isnan
from typing import Literal, NamedTuple

from configs.values.currency import unit_currency
from serving.schemas.responses import SignalPoints
from training.model.churn_model import ModelInput, SignalValue

ROUNDING_ERROR = 1e-9  # what the difference of equal numbers can leave
# Numbers of one text differ by less: a tenth of the larger if two digits are shown, 0.01 if percents are.
MAX_ROUNDING = 0.11
MAX_TWO_DIGITS = 99.5  # from here on two digits would be 1e+02
NO_VALUE = "not known"
TEXTS = ("text", "absent", "moves")
YES_OR_NO = {0.0: "no", 1.0: "yes"}
LESS_THAN_A_DAY = "less than a day"
LAST_DAYS = re.compile(r", last (\d+) days$")
MOMENT = re.compile(r"^days_since_|^tenure$|^account_age$|_tenure$")
WINDOW = re.compile(r"_(\d+)d$")
ONE_OF_MANY = re.compile(r"(?<![\d.,])1 (champion|day|event|executive|invoice|month|notice|sponsor|ticket|time)s\b")


def is_moment(name: str, unit: str) -> bool:
    """Whether a signal is how many days ago something happened or began; equal days are the same moment."""
    return unit == "days" and bool(MOMENT.search(name))


def format_value(value: SignalValue, unit: str) -> str:
    """A value for people, with its unit only if the number would mislead without it: 31 %, 0.8x, yes, 1,250 EUR."""
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
    is_whole = abs(value) >= MAX_TWO_DIGITS or float(value).is_integer()
    number = f"{value:,.0f}" if is_whole else f"{value:.2g}"
    currency = unit_currency(unit)
    return f"{number} {currency}" if currency else f"{number}x" if unit == "x" else number


def looks_equal(value: SignalValue, other: SignalValue, unit: str) -> bool:
    """Whether two values of a unit have the same text.

    >>> looks_equal(0.411, 0.409, "share"), looks_equal(0.41, 0.42, "share")
    (True, False)
    """
    if isinstance(value, float) and isinstance(other, float) and _differ_beyond_rounding(value, other):
        return False
    return format_value(value, unit) == format_value(other, unit)


def group_signals(signals: Sequence[SignalPoints]) -> list[list[SignalPoints]]:
    """The signals, those that say the same together: moments on the same day, such as tenure and the last renewal."""
    groups: dict[str | int, list[SignalPoints]] = {}
    for signal in signals:
        name, value = signal["name"], signal["value"]
        key = round(value) if isinstance(value, float) and is_moment(name, signal["unit"]) else name
        groups.setdefault(key, []).append(signal)
    return list(groups.values())


class _Movement(NamedTuple):
    """How the past of a signal follows from two signals: the columns of its level and of the comparison with its past.

    The past is the level divided by the comparison ("ratio"), the level less the comparison ("change"), or what the
    comparison has beyond the level, per window of the level ("longer"), times `scale`.
    """

    text: str
    level: int
    past: int
    rule: Literal["ratio", "change", "longer"]
    unit: str
    scale: float = 1.0

    def values(self, numbers: Sequence[float]) -> tuple[float, float] | None:
        """The value before and the value now; None if one of them is not known."""
        now, comparison = numbers[self.level], numbers[self.past]
        if self.rule == "ratio":
            before = now / comparison if comparison > 0 else float("nan")
        else:
            before = now - comparison if self.rule == "change" else (comparison - now) * self.scale
        return None if isnan(before) or isnan(now) else (before, now)


class SignalSentences:
    """The sentences about the signals of a model, in the order of its inputs."""

    def __init__(self, inputs: Sequence[ModelInput]) -> None:
        # Windows of your own may be of one day, so each text is put in order once, not with every sentence.
        inputs = [replace(signal, **{name: _singular(getattr(signal, name)) for name in TEXTS}) for signal in inputs]
        self._inputs = inputs
        columns = {signal.name: column for column, signal in enumerate(inputs)}
        self._movements = [_movement(signal, inputs, columns) for signal in inputs]
        self._labels = [_singular(LAST_DAYS.sub(r" in the last \1 days", signal.label)) for signal in inputs]

    def describe(
        self, column: int, value: SignalValue, numbers: Sequence[float], typical: Sequence[SignalValue]
    ) -> str:
        """A sentence about a signal with this value, in an account with these `numbers` of all signals.

        `typical` are the typical values of similar accounts; the sentence ends with the one of this signal.
        """
        if moved := self._describe_movement(column, numbers, typical):
            return moved
        signal, shown = self._inputs[column], format_value(value, self._inputs[column].unit)
        if value is None and signal.absent:
            return _sentence(signal.absent, "", "")
        if signal.text and value is not None and not (isinstance(value, float) and value < 0):
            is_part_of_a_day = signal.unit == "days" and isinstance(value, float) and 0 < value < 1
            clause = signal.text.replace("{value} days", LESS_THAN_A_DAY) if is_part_of_a_day else signal.text
            clause = clause.replace("{value}", shown)
            clause = _singular(clause) if shown == "1" else clause
        else:
            clause = f"{self._labels[column]}: {shown}"
        return _sentence(clause, shown, _format_typical(typical[column], signal.unit))

    def _describe_movement(self, column: int, numbers: Sequence[float], typical: Sequence[SignalValue]) -> str:
        """What the signal was and is; empty if that is not known, or looks the same."""
        movement = self._movements[column]
        values = movement and movement.values(numbers)
        if not movement or not values:
            return ""
        before, now = (format_value(value, movement.unit) for value in values)
        if before == now:
            return ""
        moved = "fell" if values[1] < values[0] else "rose"
        clause = movement.text.format(moved=moved, before=before, now=now)
        clause = _singular(clause) if "1" in {before, now} else clause
        return _sentence(clause, now, _format_typical(typical[movement.level], movement.unit))


def _movement(signal: ModelInput, inputs: Sequence[ModelInput], columns: Mapping[str, int]) -> _Movement | None:
    """The movement that a signal declares; None if it declares none, or the model lacks one of its signals."""
    if not signal.past or not columns.keys() >= set(signal.past) or len(set(signal.past)) == 1:
        return None
    level, past = (columns[name] for name in signal.past)
    compared, unit = inputs[past], inputs[level].unit
    if compared.unit == "x":
        return _Movement(signal.moves, level, past, "ratio", unit)
    if "_change" in compared.name:
        return _Movement(signal.moves, level, past, "change", unit)
    short, long = (int(WINDOW.findall(name)[0]) for name in signal.past)
    return _Movement(signal.moves, level, past, "longer", unit, short / (long - short))


@lru_cache(maxsize=8192)  # a model has few typical values: one for each signal and segment
def _format_typical(typical: SignalValue, unit: str) -> str:
    return "" if typical is None else format_value(typical, unit)


def _sentence(clause: str, shown: str, typical: str) -> str:
    ending = f" (similar accounts: {typical})" if typical and typical != shown else ""
    return f"{clause[:1].upper()}{clause[1:]}{ending}"


def _differ_beyond_rounding(value: float, other: float) -> bool:
    return abs(value - other) > MAX_ROUNDING * max(abs(value), abs(other), MAX_ROUNDING)


def _singular(text: str) -> str:
    """A text with "1 day" for "1 days"."""
    return ONE_OF_MANY.sub(r"1 \1", text)
