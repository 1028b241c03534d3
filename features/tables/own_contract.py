"""The contract of a company: the built-in tables, with the account columns and the tables of its own."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from configs.errors import ConfigError
from configs.sections.signals import AttributeSettings, EventSignalSettings
from features.tables.contract import (
    ACCOUNT_COLUMN,
    ACCOUNT_ID,
    ACCOUNT_MERGES,
    CONTRACT,
    ColumnContract,
    ColumnType,
    TableContract,
    complete_table,
)

TRUE, FALSE = ("true", "1"), ("false", "0")
FLAG_WORDS = (*TRUE, *FALSE)
ATTRIBUTES = "attributes"
COLUMN_TYPES: Mapping[str, ColumnType] = {"number": "number", "category": "text", "flag": "flag"}


def extend_contract(
    attributes: tuple[AttributeSettings, ...],
    own: Mapping[str, TableContract] | None = None,
    *,
    events: tuple[EventSignalSettings, ...] = (),
    mapped: Collection[str] = (),
) -> Mapping[str, TableContract]:
    """The built-in contract with these account columns and tables, and the columns of usage that `events` add up.

    It has the table `attributes` if one of the columns changes, or if it is among the `mapped` tables of the data set;
    `account_merges` if it is among them.

    Raises ConfigError for a column that `accounts` or `usage` has already.
    """
    contract = {**CONTRACT, **{name: complete_table(table) for name, table in (own or {}).items()}}
    columns = {attribute.name: _column(attribute) for attribute in attributes if not attribute.by_time}
    amounts = {declared.of: _amount(declared) for declared in events if declared.of}
    contract["accounts"] = _with_columns("accounts", columns, "signals.attributes")
    contract["usage"] = _with_columns("usage", amounts, "signals.events.of")
    if ACCOUNT_MERGES.name in mapped:
        contract[ACCOUNT_MERGES.name] = ACCOUNT_MERGES
    if ATTRIBUTES in mapped or any(attribute.by_time for attribute in attributes):
        contract[ATTRIBUTES] = _attributes_table(attributes)
    return contract


def _with_columns(name: str, columns: Mapping[str, ColumnContract], setting: str) -> TableContract:
    table = CONTRACT[name]
    if taken := sorted(columns.keys() & table.columns.keys()):
        message = f"{setting}: '{taken[0]}' is a column of the contract, which has signals already."
        raise ConfigError(message, f"Remove it, or give your column another name in the select of {name}.")
    return replace(table, columns={**table.columns, **columns}) if columns else table


def _amount(declared: EventSignalSettings) -> ColumnContract:
    return ColumnContract("number", f"{declared.unit or declared.of} of the row, of your own")


def _column(attribute: AttributeSettings) -> ColumnContract:
    return ColumnContract(COLUMN_TYPES[attribute.kind], attribute.sentence or f"the {attribute.kind} of your own")


def _attributes_table(attributes: tuple[AttributeSettings, ...]) -> TableContract:
    """One row per account, attribute and instant. A value counts from when it was recorded until the next one.

    Nothing tells which of two values of one instant is the later one, so both are invalid.
    """
    names = {kind: tuple(a.name for a in attributes if a.by_time and a.kind == kind) for kind in COLUMN_TYPES}
    value = ColumnContract(
        "text",
        "the value from then on; empty if there is none any more",
        range_by="name",
        number_for=names["number"],
        flag_for=names["flag"],
    )
    return TableContract(
        ATTRIBUTES,
        at="recorded_at",
        key=(ACCOUNT_ID, "name", "recorded_at"),
        decided="value",
        columns={
            ACCOUNT_ID: ACCOUNT_COLUMN,
            "name": ColumnContract("text", "the attribute", required=True),
            "value": value,
            "recorded_at": ColumnContract("instant", "when it became known", required=True),
        },
    )
