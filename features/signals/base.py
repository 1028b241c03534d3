"""Declares a function over a raw table, or over other signals, as a signal.

    @signal(unit="events", days=(7, 28), empty=0)
    def events(usage, days):
        '''Events recorded in the last {days} days.'''
        return usage.quantity.sum(where=usage.age <= days)

The function's name is the column (`events_7d`, `events_28d`), its docstring the sentence that an analyst reads, its
module the family. A parameter names a raw table as it was known (`features/tables/point_in_time.py`), a table derived
from one (`features/tables/derived.py`) or another signal; `days` is the window.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from features.tables.input_table import InputTable  # a worker imports this module, and not Ibis

Kind = Literal["number", "category"]
Formula = Callable[..., Any]
ACRONYMS = frozenset({"mrr", "nps", "csat", "ces", "qbr"})


def family_label(family: str) -> str:
    """The family's name in plain English."""
    return family.replace("_", " ")


@dataclass(frozen=True)
class Signal:
    """One number or category known about a snapshot.

    `label` is its name in plain English. `text` is a clause that holds `{value}`; if it is empty, the text of a driver
    is the label and the value. `absent` is a clause that says what a missing value means, empty if that is only that it
    is not known. `moves` is a clause that holds `{moved}`, `{before}` and `{now}`, for the two signals of
    `past`: a level, and its comparison with the past, which is a ratio (unit "x"), a change, or the same sum over a
    longer window. `inputs` are tables or other signals. `days` is how far back it looks, None: without
    limit. `empty` is its value for an account that has no row in a table of the data set. `direction` is +1 if a higher
    value can only raise the risk, -1 if it can only lower it, 0 if that is learned. `table` is the table among the
    inputs, and `input_kinds` the kinds of inputs that are signals; a catalogue fills in both.
    """

    name: str
    family: str
    label: str
    text: str
    absent: str
    moves: str
    past: tuple[str, ...]
    sentence: str
    unit: str
    kind: Kind
    inputs: tuple[str, ...]
    days: int | None
    empty: float | None
    actionable: bool
    direction: int
    formula: Formula
    table: "InputTable | None" = None
    input_kinds: tuple[Kind, ...] = ()


def signal(  # noqa: PLR0913 - everything about a signal is declared here
    *,
    family: str = "",
    unit: str = "",
    days: tuple[int, ...] = (),
    windows_back: int = 1,
    days_back: int | None = None,
    kind: Kind = "number",
    empty: float | None = None,
    actionable: bool = False,
    direction: int = 0,
    label: str = "",
    text: str = "",
    absent: str = "",
    moves: str = "",
    past: tuple[str, str] | None = None,
) -> Callable[[Formula], tuple[Signal, ...]]:
    """Declare the decorated function as one signal, or as one per window in `days`.

    `family` is the name of the module if it is not given. `windows_back` is how many windows it looks back: 2 if it
    compares a window with the one before. `days_back` is how many days it looks back if that does not grow with the
    window. `label` is for a name that does not read well as `name, last {days} days`; `text` for a label that does not
    read well before a value. For these, `absent`, `moves` and `past` see `Signal`; all of them may hold `{days}`.
    """

    def declare(formula: Formula) -> tuple[Signal, ...]:
        def declare_window(window: int | None) -> Signal:
            suffix = "" if window is None else f"_{window}d"
            return Signal(
                name=formula.__name__ + suffix,
                family=family or formula.__module__.rpartition(".")[2],
                label=(label or _default_label(formula.__name__, window)).format(days=window),
                text=text.format(days=window, value="{value}"),
                absent=absent.format(days=window),
                moves=moves.format(days=window, moved="{moved}", before="{before}", now="{now}"),
                past=tuple(name.format(days=window) for name in past or ()),
                sentence=inspect.cleandoc(formula.__doc__ or "").format(days=window),
                unit=unit,
                kind=kind,
                inputs=tuple(name for name in inspect.signature(formula).parameters if name != "days"),
                days=None if window is None else days_back or window * windows_back,
                empty=empty,
                actionable=actionable,
                direction=direction,
                formula=formula if window is None else partial(formula, days=window),
            )

        return tuple(declare_window(window) for window in days or (None,))

    return declare


def _default_label(name: str, window: int | None) -> str:
    """The name in plain English: `surveys_sent` over 28 days is "surveys sent, last 28 days"."""
    text = " ".join(part.upper() if part in ACRONYMS else part for part in name.split("_"))
    return text if window is None else f"{text}, last {window} days"
