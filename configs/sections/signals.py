"""Your own signals: of kinds of events, of account columns, and from your own modules."""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from configs.sections.section import Section

SIGNAL_NAME = r"^[a-z][a-z0-9_]{0,59}$"
SignalName = Annotated[str, Field(pattern=SIGNAL_NAME)]
Windows = Annotated[tuple[Annotated[int, Field(ge=1, le=1_000)], ...], Field(min_length=1)]
EventMeasure = Literal["count", "users", "days_since", "trend", "share", "sum", "mean"]
Family = Literal[
    "adoption", "value", "support", "relationship", "sentiment", "billing", "contract", "onboarding", "engagement",
    "customer_profile",
]  # fmt: skip


class FamilySettings(Section):
    """A family of your own signals."""

    sentence: Annotated[str, Field(min_length=1)]
    """What its signals are about."""


def _to_kinds(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class EventSignalSettings(Section):
    """Signals of some kinds of usage events: one per measure and window, such as `exports_28d`."""

    name: SignalName
    """How the signals begin."""
    event: Annotated[tuple[str, ...], BeforeValidator(_to_kinds), Field(min_length=1)]
    """The kind of event, or several that count together, as `usage.event` has them."""
    windows: Windows = (7, 28, 91)
    """Windows in days."""
    measures: Annotated[tuple[EventMeasure, ...], Field(min_length=1)] = ("count", "users", "days_since", "trend")
    """`count`, distinct `users`, `days_since` the last, `trend` against the window before, `share` of all events.

    `sum` adds up the column `of` over the events, `mean` is that by event.
    """
    of: SignalName | None = None
    """A column of numbers of `usage` that the contract does not name, such as minutes or rows exported."""
    unit: str = ""
    """The unit of `of`; its name by default."""
    label: str = ""
    """What the events are called in a sentence; the name by default."""
    family: SignalName = "adoption"
    """The family of the signals."""
    actionable: bool = True
    """Whether the team can change it."""
    direction: Literal[-1, 0, 1] = 0
    """1: more of it can only raise the risk; -1: more can only lower it; 0: learned."""

    @model_validator(mode="after")
    def _check_of(self) -> Self:
        of_column = {"sum", "mean"} & set(self.measures)
        if of_column and self.of is None:
            raise ValueError(f"measures: {min(of_column)} needs `of`, a column of numbers of usage")
        if self.of is not None and not of_column:
            raise ValueError("of is for the measures sum and mean")
        return self


class AttributeSettings(Section):
    """A column of accounts that the contract does not name, or one name in the table `attributes`, as a signal."""

    name: SignalName
    """The column of `accounts`, or the `name` in `attributes`; it is the name of the signal, too."""
    kind: Literal["number", "category", "flag"]
    """What its values are."""
    by_time: bool = False
    """Whether it changes, and is in the table `attributes`: account_id, name, value, recorded_at."""
    unit: str = ""
    """The unit of a number."""
    label: str = ""
    """What it is called in a sentence; the name by default."""
    sentence: str = ""
    """What it means."""
    family: SignalName = "customer_profile"
    """The family of the signal."""
    actionable: bool = False
    """Whether the team can change it."""
    direction: Literal[-1, 0, 1] = 0
    """1: a higher value can only raise the risk; -1: it can only lower it; 0: learned. Categories have none."""

    @model_validator(mode="after")
    def _refuse_direction_of_category(self) -> Self:
        if self.kind == "category" and self.direction:
            raise ValueError(f"'{self.name}' is a category, so it has no direction")
        return self


class SignalSettings(Section):
    """Your own signals, beside the built-in ones."""

    events: tuple[EventSignalSettings, ...] = ()
    """Signals of kinds of usage events."""
    attributes: tuple[AttributeSettings, ...] = ()
    """Signals of your own account columns."""
    families: dict[str, FamilySettings] = {}
    """Families of your own."""
    modules: tuple[Path, ...] = ()
    """Python files that declare signals with the decorator of ours; they run with the rights of Oarlock."""
    per_event_kind: Annotated[int, Field(ge=0, le=200)] = 0
    """So many kinds of events, the most used ones, get signals by themselves."""
    kinds_until: date | None = None
    """The most used before this day; undeclared: in all the data when they are first chosen. The choice is kept."""
    exclude: tuple[str, ...] = ()
    """Signals to leave out, by name, with or without the window; those computed from them are left out, too."""

    @model_validator(mode="after")
    def _check_families(self) -> Self:
        for family in self.families:
            if not re.fullmatch(SIGNAL_NAME, family):
                raise ValueError(f"families: '{family}' is not a name of small letters, digits and underscores")
        return self
