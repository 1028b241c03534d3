"""Signals of account columns that the contract does not name, declared in the settings."""

from collections.abc import Mapping
from functools import partial

import ibis
import ibis.expr.types as ir

from configs.sections.signals import AttributeSettings
from features.own_signals.event_signals import plain_label
from features.signals.base import Signal
from features.tables.contract import ACCOUNT_ID
from features.tables.derived import DerivedTable
from features.tables.own_contract import FALSE, TRUE

ATTRIBUTE_VALUES = "attribute_values"
SOURCES: Mapping[bool, str] = {True: "the last one recorded in attributes", False: "a column of accounts"}


def attribute_tables() -> dict[str, DerivedTable]:
    """The derived table that signals of attributes by time read."""
    needed = frozenset({"name", "value", "recorded_at"})
    return {ATTRIBUTE_VALUES: DerivedTable("attributes", attribute_values, needed)}


def attribute_values(attributes: ir.Table) -> ir.Table:
    """One row per account and attribute: the value recorded last; none if that instant has several values."""
    dated = attributes.group_by(ACCOUNT_ID, "name").mutate(last_age=attributes.age.min())
    last = dated.filter(dated.age == dated.last_age)
    value = last["value"]
    is_single = (value.min() == value.max()) & (value.count() == last.count())
    return last.group_by(ACCOUNT_ID, "name").aggregate(value=is_single.ifelse(value.max(), ibis.null("string")))


def declare_attribute_signal(attribute: AttributeSettings) -> Signal:
    """The signal of one attribute."""
    is_category = attribute.kind == "category"
    unit = "0 or 1" if attribute.kind == "flag" else attribute.unit or "number"
    label = plain_label(attribute.label, attribute.name)
    return Signal(
        name=attribute.name,
        family=attribute.family,
        label=label,
        text="",
        absent="",
        moves="",
        past=(),
        sentence=attribute.sentence or f"{label[:1].upper()}{label[1:]}: {SOURCES[attribute.by_time]}.",
        unit="" if is_category else unit,
        kind="category" if is_category else "number",
        inputs=(ATTRIBUTE_VALUES if attribute.by_time else "accounts",),
        days=None,
        empty=None,
        actionable=attribute.actionable,
        direction=attribute.direction,
        formula=partial(_recorded_value if attribute.by_time else _column, attribute=attribute),
    )


def _column(accounts: ir.Table, attribute: AttributeSettings) -> ir.Value:
    column = accounts[attribute.name]
    return column.cast("float64").max() if attribute.kind == "flag" else column.max()


def _recorded_value(attribute_values: ir.Table, attribute: AttributeSettings) -> ir.Value:
    text = attribute_values["value"].max(where=attribute_values["name"] == attribute.name)
    if attribute.kind == "flag":
        word = text.lower()
        return ibis.cases((word.isin(TRUE), 1.0), (word.isin(FALSE), 0.0), else_=ibis.null("float64"))
    return text.try_cast("float64") if attribute.kind == "number" else text
