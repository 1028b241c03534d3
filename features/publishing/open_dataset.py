"""The open data set: its rows validated and cast, merged accounts joined, and the signals that it has tables for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from configs.errors import DataError
from configs.files import JsonObject, write_json
from configs.settings import Settings
from configs.state_dir import StateDir
from configs.stored_files import read_rebuildable
from features.compute.availability import MissingInput, available_signals, missing_inputs
from features.compute.backends.base import Backend
from features.compute.fingerprints import rules_version
from features.ingestion.conversion import Conversion
from features.ingestion.copies.copied_dataset import fetch_dataset
from features.ingestion.overlaps import count_equal_rows, distinct_rows, raise_for_overlaps, tables_without_key
from features.ingestion.reader import cast_tables, open_tables
from features.ingestion.validation import RuleViolation, quarantine_rows, raise_for_violations, validate_tables
from features.own_signals.event_kinds import keep_event_kinds
from features.own_signals.own_catalogue import build_catalogue
from features.publishing.data_span import DataSpan, find_span
from features.signals.base import Signal
from features.signals.registry import Catalogue
from features.store.history import HistoryVersion, RowSelection, history_version
from features.tables.account_merges import assign_rows, rows_as_written, tables_as_written
from features.tables.dataset import Dataset, raise_for_duplicate_files
from features.tables.raw_table import RawTable
from features.tables.subscriptions.at_risk import AtRiskCounts, count_at_risk, cut_subscriptions
from features.tables.subscriptions.periods import PeriodCounts, count_periods, join_periods


@dataclass(frozen=True)
class OpenDataset:
    """A validated data set: its tables, the violations found, and the history of the signals it has tables for.

    In `tables` the rows of merged accounts are there once per owner (`account_merges.assign_rows`).
    `written_subscriptions` are those of the source, and `written_periods` what `cut_subscriptions` makes of them,
    before `join_periods`. `written_events` are the tables without a key, before equal rows are counted once.
    """

    dataset: Dataset
    backend: Backend
    tables: Mapping[str, RawTable]
    violations: tuple[RuleViolation, ...]
    history: HistoryVersion
    validation_reused: bool
    required_activity_days: int | None
    written_subscriptions: RawTable | None
    written_periods: ir.Table | None
    written_events: Mapping[str, RawTable]
    conversion: Conversion
    catalogue: Catalogue

    def missing_inputs(self) -> tuple[MissingInput, ...]:
        """The tables and columns that the data set lacks, with the signals that they would make possible."""
        return missing_inputs(self.tables, self.catalogue.signals, self.dataset.mapping.people)

    def count_equal_rows(self) -> dict[str, int]:
        """How many rows of the tables without a key are equal to another one."""
        return count_equal_rows(self.written_events)

    def count_periods(self) -> PeriodCounts | None:
        """What joining the periods of subscriptions changed; None if the data set has no ends."""
        if self.written_periods is None:
            return None
        return count_periods(self.written_periods, rows_as_written(self.tables["subscriptions"].rows))

    def count_at_risk(self) -> AtRiskCounts | None:
        """How many subscriptions have a trial or a pause, or are free; None if the data set has no subscriptions."""
        return count_at_risk(self.written_subscriptions) if self.written_subscriptions else None

    def count_rows(self) -> dict[str, int]:
        """How many rows each table has as its source gives them, without those that are set aside."""
        cut = {"subscriptions": self.written_subscriptions} if self.written_subscriptions else {}
        tables = self.tables_as_written() | cut
        return {name: int(table.rows.count().to_pyarrow().as_py()) for name, table in tables.items()}

    def tables_as_written(self) -> dict[str, RawTable]:
        """The tables in which each row of a merged account is there once, under the account that its source names."""
        return tables_as_written(self.tables)

    def find_span(self, before: datetime) -> DataSpan | None:
        """From when until when the tables are complete, by the rows before an instant or as the mapping declares."""
        return find_span(self.dataset, self.tables_as_written(), before)

    def known_until(self, before: datetime) -> datetime:
        """The last instant, at most `before`, that the data know: no label may depend on what came later."""
        span = self.find_span(before)
        return before if span is None else min(before, span.until)


@dataclass(frozen=True)
class _ValidRows:
    """The rows that keep the contract, the rules that others break, and whether files were valid before."""

    backend: Backend
    tables: Mapping[str, RawTable]
    violations: tuple[RuleViolation, ...]
    conversion: Conversion
    is_reused: bool


def open_dataset(settings: Settings, state: StateDir, fetched: Dataset | None = None) -> OpenDataset:
    """The data set with every row validated; invalid rows are quarantined if the settings say so.

    What databases hold is copied first, unless it was `fetched`. Files that were valid before are not validated again.
    Raises InvalidRows, with every rule that rows break.
    """
    dataset = fetched or fetch_dataset(settings.data, settings.signals)
    raise_for_duplicate_files(dataset)
    _require_risk_set(dataset, settings.label.required_activity_days)
    validated = _read_valid_rows(settings, state, dataset)
    backend, tables = validated.backend, dict(validated.tables)
    events = tables_without_key(tables)
    if dataset.mapping.equal_rows == "once":
        tables |= distinct_rows(backend, events)
    subscriptions = tables.get("subscriptions")
    if subscriptions:
        tables["subscriptions"] = cut_subscriptions(subscriptions, settings.label)
    periods = _written_periods(tables)
    if periods is not None:
        tables["subscriptions"] = _join_periods(backend, tables["subscriptions"], settings.label.joins_within_hours)
    kinds = keep_event_kinds(settings.signals, state, tables.get("usage"))
    tables = assign_rows(tables, partial(_store_owners, backend))
    catalogue = build_catalogue(settings.signals, kinds, dataset.contract, currency=dataset.mapping.currency)
    return OpenDataset(
        dataset=dataset,
        backend=backend,
        tables=tables,
        violations=validated.violations,
        history=_find_history(settings, state, dataset, _available_signals(settings, dataset, tables, catalogue)),
        validation_reused=validated.is_reused,
        required_activity_days=settings.label.required_activity_days,
        written_subscriptions=subscriptions,
        written_periods=periods,
        written_events=events,
        conversion=validated.conversion,
        catalogue=catalogue,
    )


def _read_valid_rows(settings: Settings, state: StateDir, dataset: Dataset) -> _ValidRows:
    """The tables of the contract in its types; files that were valid before are not validated again."""
    opened = open_tables(settings.engine, dataset, state.converted)
    content = {"content": dataset.content_hash(), "rules": _rules(dataset)}
    is_valid = read_rebuildable(state.validation, JsonObject) == content
    if not is_valid:
        raise_for_overlaps(dataset)
    violations = () if is_valid else validate_tables(dataset, opened.tables)
    if settings.data.on_invalid_rows == "error":
        raise_for_violations(violations)
    tables = cast_tables(opened.tables)
    if violations:
        tables |= quarantine_rows(opened.backend, opened.tables, violations, state.quarantine)
    else:
        write_json(state.validation, content)
    return _ValidRows(opened.backend, tables, violations, opened.conversion, is_valid)


def _rules(dataset: Dataset) -> str:
    """What rows are validated by, in a word."""
    return rules_version() + dataset.contract_hash


def _available_signals(
    settings: Settings, dataset: Dataset, tables: Mapping[str, RawTable], catalogue: Catalogue
) -> tuple[Signal, ...]:
    """The signals that the data set has tables for, without those that the label is in."""
    readable = {name: table for name, table in tables.items() if name not in settings.label.label_tables}
    return available_signals(readable, catalogue.signals, dataset.mapping.people)


def _find_history(settings: Settings, state: StateDir, dataset: Dataset, signals: tuple[Signal, ...]) -> HistoryVersion:
    """The history of these signals and of the rows that the settings choose."""
    quarantine_rules = _rules(dataset) if settings.data.on_invalid_rows == "quarantine" else ""
    label = settings.label
    selection = RowSelection(
        label.required_activity_days, quarantine_rules, label.joins_within_hours, label.changed_at_risk
    )
    return history_version(state.history, dataset, signals, selection)


def _written_periods(tables: Mapping[str, RawTable]) -> ir.Table | None:
    subscriptions = tables.get("subscriptions")
    return subscriptions.rows if subscriptions and "ended_at" in subscriptions.source_columns else None


def _store_owners(backend: Backend, rows: pa.Table) -> ir.Table:
    return ibis.memtable(rows) if backend.create_table is None else backend.create_table("account_owners", rows)


def _join_periods(backend: Backend, subscriptions: RawTable, hours: int) -> RawTable:
    rows = join_periods(subscriptions.rows, hours)
    # Every day of a history reads them.
    stored = rows if backend.create_table is None else backend.create_table("joined_subscriptions", rows)
    return replace(subscriptions, rows=stored)


def _require_risk_set(dataset: Dataset, required_activity_days: int | None) -> None:
    table = "subscriptions" if required_activity_days is None else "usage"
    if table not in dataset.selects:
        raise DataError(f"{dataset.mapping_file}: the required table '{table}' is not mapped.", "Add a select.")
