"""How the text of each table writes dates and numbers: as its sources declare it, or as all of their rows show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from configs.errors import ConfigError, DataError
from features.ingestion.files.csv_source import LoadedSources
from features.ingestion.select_faults import select_error
from features.ingestion.text_values import ORDERED_DATE, ORDERS, TextFormat, from_text, is_ordered_date
from features.tables.contract import TableContract
from features.tables.dataset import Dataset


@dataclass(frozen=True)
class SelectedTable:
    """A table as its select returns it, with the sources of text that it reads."""

    contract: TableContract
    rows: ir.Table
    sources: frozenset[str]

    def text_columns(self, column_type: str) -> list[str]:
        """The columns that hold text where the contract has another type."""
        columns = self.contract.columns
        return [
            name
            for name in self.rows.columns
            if name in columns and columns[name].type == column_type and self._is_text(name)
        ]

    def _is_text(self, name: str) -> bool:
        kind = self.rows[name].type()
        # No engine casts an integer to an instant: it is an epoch, as its source declares, or invalid.
        return kind.is_string() or (kind.is_integer() and self.contract.columns[name].type == "instant")


@dataclass(frozen=True)
class OrderEvidence:
    """The dates of some columns that need an order of day and month: how many, how many fit each, and examples."""

    dates: int = 0
    fitting: Mapping[str, int] | None = None
    example: str = ""

    def orders(self) -> list[str]:
        """The orders that fit every date."""
        return [order for order in ORDERS if (self.fitting or {}).get(order) == self.dates]


def choose_formats(
    dataset: Dataset, tables: Mapping[str, SelectedTable], loaded: LoadedSources
) -> tuple[dict[str, TextFormat], dict[str, str | None]]:
    """The format of each table, and the dates of each source: an order, a format, or None for ISO 8601 only.

    Raises DataError if the dates of a source have no order that
    is the only one to fit, ConfigError if a select reads sources that are written differently.
    """
    dates = {name: source.dates for name, source in dataset.mapping.sources.items()}
    for group in _undeclared_groups(dates, tables):
        readers = [table for table in tables.values() if table.sources and table.sources <= group]
        evidence = [_evidence(dataset, table, loaded) for table in readers if table.text_columns("instant")]
        order = _only_order(dataset, [part for part in evidence if part.dates], loaded, group)
        dates |= dict.fromkeys(group, order)
    written = {name: _dates_read(table, dates, loaded) for name, table in tables.items()}
    return {name: _table_format(dataset, table, written[name]) for name, table in tables.items()}, dates


def _undeclared_groups(dates: Mapping[str, str | None], tables: Mapping[str, SelectedTable]) -> list[frozenset[str]]:
    """The sources without declared dates, together with those that some select reads at the same time."""
    groups: list[frozenset[str]] = []
    for table in tables.values():
        undeclared = frozenset(source for source in table.sources if dates[source] is None)
        connected = [group for group in groups if group & undeclared]
        groups = [group for group in groups if not group & undeclared] + [undeclared.union(*connected)]
    return [group for group in groups if group]


def _only_order(
    dataset: Dataset, evidence: Sequence[OrderEvidence], loaded: LoadedSources, group: frozenset[str]
) -> str | None:
    """The order of day and month that fits all dates of some sources; None if no date needs an order."""
    orders = [order for order in ORDERS if all(order in part.orders() for part in evidence)]
    if not evidence or len(orders) == 1:
        return orders[0] if evidence else None
    example = evidence[0].example
    reason = "day first and month first fit every date of the source" if orders else "neither order fits every date"
    raise DataError(
        f"{loaded.locate(group, example)}: the date '{example}' has no clear order: {reason}.",
        f'Set dates = "day_first" or "month_first" under [sources.{min(group)}] in {dataset.mapping_file.name}.',
    )


def _evidence(dataset: Dataset, table: SelectedTable, loaded: LoadedSources) -> OrderEvidence:
    try:
        return _count_dates(table)
    except loaded.backend.error_types as error:
        raise select_error(dataset, table.contract.name, error) from None


def _count_dates(table: SelectedTable) -> OrderEvidence:
    """What the dates of one table show, over all of its columns."""
    columns = [table.rows[name].cast("string") for name in table.text_columns("instant")]
    dates = [is_ordered_date(column) for column in columns]
    examples = [column.min(where=is_date) for column, is_date in zip(columns, dates, strict=True)]
    example = table.rows.aggregate(example=ibis.coalesce(*examples)).to_pyarrow()["example"][0].as_py()
    if example is None:  # as in most tables, whose dates are ISO 8601: what follows would read each of them twice
        return OrderEvidence()
    counts = {"dates": sum(_count(is_date) for is_date in dates)}
    for order in ORDERS:
        fits = [from_text(column, "instant", TextFormat(dates=order)).notnull() for column in columns]
        counts[order] = sum(_count(is_date & fit) for is_date, fit in zip(dates, fits, strict=True))
    row = table.rows.aggregate(**counts).to_pyarrow().to_pylist()[0]
    return OrderEvidence(row["dates"], {order: row[order] for order in ORDERS}, example)


def _count(condition: ir.Value) -> ir.Column:
    return condition.fill_null(False).cast("int64").sum().fill_null(0)


def _dates_read(table: SelectedTable, dates: Mapping[str, str | None], loaded: LoadedSources) -> frozenset[str | None]:
    """How the dates of the table's sources are written, without those sources that have none that need an order."""
    written = frozenset(dates[source] for source in table.sources)
    if len(written) > 1 and table.text_columns("instant"):
        return frozenset(
            dates[source] for source in table.sources if dates[source] or loaded.have_text_like(source, ORDERED_DATE)
        )
    return written


def _table_format(dataset: Dataset, table: SelectedTable, written: frozenset[str | None]) -> TextFormat:
    marks = {dataset.mapping.sources[source].decimal for source in table.sources}
    zones = {dataset.mapping.sources[source].time_zone for source in table.sources}
    if len(zones) > 1 and table.text_columns("instant"):
        raise _differing_error(dataset, table, "time zones", "timezone('Europe/Berlin', start::timestamp)")
    if len(marks) > 1 and table.text_columns("number"):
        raise _differing_error(dataset, table, "decimal marks", "cast(replace(price, ',', '.') as double)")
    if len(written) > 1 and table.text_columns("instant"):
        raise _differing_error(dataset, table, "dates", "strptime(start_date, '%d/%m/%Y')")
    return TextFormat(min(marks, default="."), next(iter(written), None), next(iter(zones), None))


def _differing_error(dataset: Dataset, table: SelectedTable, what: str, example: str) -> ConfigError:
    return ConfigError(
        f"{dataset.mapping_file}: the select of '{table.contract.name}' reads sources that write {what} differently.",
        f"Convert them in the select, such as {example}, or declare the same for each.",
    )
