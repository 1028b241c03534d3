"""The publishing pipeline: from the data set's files to a complete history and the online store; safe to run again."""

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from configs.clock import now
from configs.errors import DataError, NotReady
from configs.files import JsonObject, exclusive_lock, write_json
from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from configs.stored_files import read_rebuildable
from features.compute.availability import MissingInput, available_signals, missing_inputs
from features.compute.backends.base import Backend
from features.compute.compute import ComputeRequest, compile_signals
from features.compute.fingerprints import rules_version, signal_set
from features.ingestion.conversion import Conversion
from features.ingestion.copies.copied_dataset import fetch_dataset
from features.ingestion.overlaps import count_equal_rows, distinct_rows, raise_for_overlaps, tables_without_key
from features.ingestion.reader import cast_tables, open_tables
from features.ingestion.validation import (
    RuleViolation,
    quarantine_rows,
    raise_for_violations,
    validate_tables,
)
from features.online.online_store import begin_publication, open_online_reader, pull_publication
from features.own_signals.event_kinds import keep_event_kinds
from features.own_signals.own_catalogue import build_catalogue
from features.publishing.account_table_builder import build_account_details
from features.publishing.data_span import DataSpan, find_span, raise_for_late_day
from features.publishing.quality_gate import (
    check_day,
    check_lost_signals,
    check_schema,
    check_sources,
    raise_for_day_faults,
)
from features.publishing.revenue_table_builder import build_revenue_history
from features.publishing.source_profile import profile_sources
from features.publishing.source_weeks import write_profile
from features.signals.base import Signal
from features.signals.registry import Catalogue
from features.store.account_table import COLUMNS, AccountTable, write_account_table
from features.store.history import (
    DaySummary,
    HistoryVersion,
    RowSelection,
    accounts_on,
    complete_days,
    content_version,
    history_version,
    is_complete,
    is_intact,
    read_day,
    summarize_day,
    to_midnight,
    training_days,
    write_day,
)
from features.store.online_reader import ONLINE_FILE, remove_online_store
from features.store.publication import Publication, ViewColumns, find_publication, published_as_of
from features.store.revenue_table import read_revenue_table, write_revenue_table
from features.tables.account_merges import assign_rows, rows_as_written, tables_as_written
from features.tables.mapping import Dataset, raise_for_duplicate_files
from features.tables.periods import PeriodCounts, count_periods, join_periods
from features.tables.raw_table import RawTable


@dataclass(frozen=True)
class OpenDataset:
    """A validated data set: its tables, the violations found, and the history of the signals it has tables for.

    In `tables` the rows of merged accounts are there once per owner (`account_merges.assign_rows`).
    `written_periods` are the subscriptions as their source wrote them, before `join_periods`. `written_events` are the
    tables without a key, before equal rows are counted once.
    """

    dataset: Dataset
    backend: Backend
    tables: Mapping[str, RawTable]
    violations: tuple[RuleViolation, ...]
    history: HistoryVersion
    validation_reused: bool
    required_activity_days: int | None
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
class PublishRequest:
    """Which days to publish: `as_of`, and every day of the history in the backfill range, even if complete.

    `forced_because` is a reason to publish them in spite of faults. `online` puts it online even if a later day is.
    """

    as_of: datetime
    backfill_from: datetime | None = None
    backfill_to: datetime | None = None
    forced_because: str = ""
    online: bool = False

    def is_backfilled(self, day: datetime) -> bool:
        """Whether a day is computed again even if it is complete."""
        return self.backfill_from is not None and self.backfill_from <= day <= (self.backfill_to or self.as_of)

    def is_checked(self, day: datetime) -> bool:
        """Whether a day has to pass the quality gate; past days that are added for training do not."""
        return day == self.as_of or self.is_backfilled(day)


@dataclass(frozen=True)
class PublishResult:
    """What a publish did: `online` is the day that is online now, and on the `skipped` days no account was at risk."""

    as_of: datetime
    computed: int
    reused: int
    day: DaySummary
    violations: tuple[RuleViolation, ...]
    validation_reused: bool
    online: datetime
    skipped: tuple[str, ...]
    span: DataSpan | None


@dataclass(frozen=True)
class _ComputedDay:
    """The snapshots of one day with their signals, and the faults of the sources behind them."""

    as_of: datetime
    rows: pa.Table
    source_faults: tuple[str, ...]


def open_dataset(settings: Settings, state: StateDir, fetched: Dataset | None = None) -> OpenDataset:
    """The data set with every row validated; invalid rows are quarantined if the settings say so.

    What databases hold is copied first, unless it was `fetched`. Files that were valid before are not validated again.
    Raises InvalidRows, with every rule that rows break.
    """
    dataset = fetched or fetch_dataset(settings.data, settings.signals)
    activity_days = settings.label.required_activity_days
    raise_for_duplicate_files(dataset)
    _require_risk_set(dataset, activity_days)
    opened = open_tables(settings.engine, dataset, state.converted)
    backend, raw = opened.backend, opened.tables
    content = {"content": dataset.content_hash(), "rules": rules_version() + dataset.contract_hash}
    is_valid = read_rebuildable(state.validation, JsonObject) == content
    if not is_valid:
        raise_for_overlaps(dataset)
    violations = () if is_valid else validate_tables(dataset, raw)
    if settings.data.on_invalid_rows == "error":
        raise_for_violations(violations)
    tables = cast_tables(raw)
    if violations:
        tables |= quarantine_rows(backend, raw, violations, state.quarantine)
    else:
        write_json(state.validation, content)
    events = tables_without_key(tables)
    if dataset.mapping.equal_rows == "once":
        tables |= distinct_rows(backend, events)
    written = _written_periods(tables)
    if written is not None:
        tables["subscriptions"] = _join_periods(backend, tables["subscriptions"], settings.label.joins_within_hours)
    kinds = keep_event_kinds(settings.signals, state, tables.get("usage"))
    tables = assign_rows(tables, partial(_store_owners, backend))
    signal_tables = {name: table for name, table in tables.items() if name not in settings.label.label_tables}
    declared = build_catalogue(settings.signals, kinds, dataset.contract)
    signals = available_signals(signal_tables, declared.signals, dataset.mapping.people)
    quarantine_rules = content["rules"] if settings.data.on_invalid_rows == "quarantine" else ""
    selection = RowSelection(activity_days, quarantine_rules, settings.label.joins_within_hours)
    history = history_version(state.history, dataset, signals, selection)
    read = (written, events, opened.conversion)
    return OpenDataset(dataset, backend, tables, violations, history, is_valid, activity_days, *read, declared)


def publish(settings: Settings, state: StateDir, request: PublishRequest, progress: Progress) -> PublishResult:
    """Compute the day's signals and every missing training day, and write the day to the online store.

    Complete days are not computed again unless requested or damaged, so a stopped publish can be continued. Raises
    DataError if a requested day has faults, Busy if another process is publishing into the same state, StoreDown if the
    online store is a Redis that cannot be used.
    """
    with exclusive_lock(state.publish_lock, "publishing into"):
        pull_publication(state)  # an older day must not replace what another machine put online
        return _publish(settings, state, request, progress)


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


def _publish(settings: Settings, state: StateDir, request: PublishRequest, progress: Progress) -> PublishResult:
    data = open_dataset(settings, state)
    span = data.find_span(max(now(), request.as_of))
    if span and not (request.forced_because and not span.is_declared):
        raise_for_late_day(span, request.as_of)
    required = sorted({*_required_training_days(settings, data, request.as_of), request.as_of})
    days = _days_to_compute(data.history, request, required)
    # A damaged day does not say which accounts it had, so that none can stay online by mistake.
    is_damaged = is_complete(data.history, request.as_of) and not is_intact(data.history, request.as_of)
    source_faults = {day: check_sources(data.tables, day, settings.quality) for day in days if request.is_checked(day)}
    source_faults[request.as_of] = (*_lost_signals(data, state), *source_faults.get(request.as_of, ()))
    if not request.forced_because:
        for day, faults in source_faults.items():
            raise_for_day_faults(f"{day:%Y-%m-%d}", faults)
    rows_on = compile_signals(
        data.backend, data.tables, ComputeRequest(data.history.signals, days, data.required_activity_days)
    )
    skipped = []
    for number, as_of in enumerate(days):
        progress(f"signals of {as_of:%Y-%m-%d}", number, len(days) + 1)
        computed = _ComputedDay(as_of, rows_on(as_of), source_faults.get(as_of, ()))
        if computed.rows.num_rows or as_of == request.as_of:
            _write(settings, data, request, computed)
        else:
            skipped.append(f"{as_of:%Y-%m-%d}")
    write_profile(state, request.as_of, profile_sources(data.tables, request.as_of))
    progress("online store", len(days), len(days) + 1)
    if request.online or _replaces_online_day(state, request.as_of, span):
        if is_damaged:
            remove_online_store(state.feast / ONLINE_FILE)
        _write_online(settings, state, data, request)
    progress("published", len(days) + 1, len(days) + 1)
    day, reused = read_day(data.history, request.as_of), len({*required, *days}) - len(days)
    return PublishResult(
        request.as_of,
        len(days) - len(skipped),
        reused,
        day,
        data.violations,
        data.validation_reused,
        online=published_as_of(state),
        skipped=tuple(skipped),
        span=span,
    )


def _lost_signals(data: OpenDataset, state: StateDir) -> tuple[str, ...]:
    publication = find_publication(state)
    return check_lost_signals(data.missing_inputs(), publication["signals"]) if publication else ()


def _days_to_compute(history: HistoryVersion, request: PublishRequest, required: list[datetime]) -> list[datetime]:
    backfilled = {day for day in {*required, *complete_days(history)} if request.is_backfilled(day)}
    if request.backfill_from and not backfilled:
        raise DataError(
            f"There is no day to backfill from {request.backfill_from:%Y-%m-%d} on.", "Name a published day."
        )
    return sorted({*backfilled, *(day for day in required if not is_intact(history, day))})


def _required_training_days(settings: Settings, data: OpenDataset, as_of: datetime) -> list[datetime]:
    name, column = ("subscriptions", "started_at") if data.required_activity_days is None else ("usage", "occurred_at")
    first = data.tables[name].rows[column].min().to_pyarrow().as_py()
    if first is None:
        raise DataError(f"{name} has no rows.", "At least one row is required to find the accounts at risk.")
    first = max(first, data.dataset.observed_from or first)
    start = to_midnight(first) + timedelta(days=settings.snapshots.warmup_days)
    return training_days(start, as_of, settings.snapshots.frequency)


def _write(settings: Settings, data: OpenDataset, request: PublishRequest, computed: _ComputedDay) -> None:
    """Write one day if it passes the quality gate or is forced."""
    as_of, rows = computed.as_of, computed.rows
    if rows.num_rows == 0:
        raise_for_empty_day(data.history, as_of)
    day = summarize_day(data.history, as_of, rows)
    if request.is_checked(as_of):
        faults = (*computed.source_faults, *_day_faults(settings, data, day, rows))
        if not request.forced_because:
            raise_for_day_faults(day.as_of, faults)
        day = replace(day, faults=faults, forced_because=request.forced_because if faults else "")
    write_day(data.history, day, rows)


def _day_faults(settings: Settings, data: OpenDataset, day: DaySummary, rows: pa.Table) -> tuple[str, ...]:
    as_of = datetime.fromisoformat(day.as_of)
    past = [earlier for earlier in complete_days(data.history) if earlier < as_of][-settings.quality.compared_days :]
    return (
        *check_schema(rows, data.history.signals),
        *check_day(day, [read_day(data.history, earlier) for earlier in past], settings.quality),
    )


def raise_for_empty_day(history: HistoryVersion, as_of: datetime) -> None:
    """Raise DataError for a day that was asked for and has no account at risk, with the last earlier day that has."""
    earlier = [day for day in complete_days(history) if day < as_of]
    hint = f"Publish {earlier[-1]:%Y-%m-%d} with --as-of." if earlier else "Name another day with --as-of."
    raise DataError(f"No account is at risk on {as_of:%Y-%m-%d}.", hint)


def _replaces_online_day(state: StateDir, as_of: datetime, span: DataSpan | None) -> bool:
    """Whether a day goes online by itself: unless a later day is online that is not beyond the data."""
    publication = find_publication(state)
    if publication is None:
        return True
    online = datetime.fromisoformat(publication["as_of"])
    return as_of >= online or (span is not None and not span.contains(online))


def _view_columns(history: HistoryVersion) -> list[ViewColumns]:
    """The columns of each view's packed rows, for readers that do not use Feast."""

    def names(signals: tuple[Signal, ...], kind: str) -> list[str]:
        return [signal.name for signal in signals if signal.kind == kind]

    return [
        {"view": family, "numbers": names(signals, "number"), "categories": names(signals, "category")}
        for family, signals in history.families.items()
    ]


def _write_online(settings: Settings, state: StateDir, data: OpenDataset, request: PublishRequest) -> None:
    history, as_of = data.history, request.as_of
    publication: Publication = {
        "as_of": as_of.isoformat(),
        "history": history.folder.name,
        "content_version": content_version(history, as_of),
        "signal_set": signal_set(history.signals),
        "signals": [signal.name for signal in history.signals],
        "views": _view_columns(history),
        "stages": settings.stages.model_dump(),
        "windows": [signal.days or 0 for signal in history.signals],
    }
    is_unchanged = find_publication(state) == publication and not request.is_backfilled(as_of)
    if is_unchanged and _is_online(state, history, as_of, has_revenue="subscriptions" in data.tables):
        return
    details = build_account_details(data.tables, as_of, settings.stages, data.required_activity_days)
    write_account_table(state.account_table, as_of, details)
    _write_revenue(state, data, as_of, settings.stages.shortest_term_months)
    with contextlib.redirect_stdout(io.StringIO()):  # Feast prints a line per view
        _materialize(settings, state, history, publication)


def _write_revenue(state: StateDir, data: OpenDataset, as_of: datetime, shortest_term_months: float) -> None:
    revenue = build_revenue_history(data.tables, as_of, data.dataset.observed_from, shortest_term_months)
    if revenue is None:
        state.revenue_table.unlink(missing_ok=True)
    else:
        write_revenue_table(state.revenue_table, revenue)


def _is_online(state: StateDir, history: HistoryVersion, as_of: datetime, *, has_revenue: bool) -> bool:
    """Whether the online store and the tables of accounts and revenue can be read and hold this day, whole."""
    try:
        is_revenue_of_day = not has_revenue or read_revenue_table(state.revenue_table).as_of == as_of
        online = open_online_reader(state).read(accounts_on(history, as_of))
        table = AccountTable(state.account_table)
        table.columns(*COLUMNS)
    except (NotReady, OSError):
        return False
    table.close()
    return is_revenue_of_day and table.as_of == as_of and bool((online.as_of == np.datetime64(as_of)).all())


def _materialize(settings: Settings, state: StateDir, history: HistoryVersion, publication: Publication) -> None:
    from features.store.feast_store import (
        apply_declarations,
        drop_stale_views,
        materialize_online,
        open_store,
        tombstone_accounts,
    )

    as_of, redis = datetime.fromisoformat(publication["as_of"]), begin_publication(state)
    store = open_store(state, settings.name, redis.generation if redis else "")
    apply_declarations(store, history, state)
    materialize_online(store, as_of)
    if redis is not None:
        redis.commit(publication, state)
    elif dropped := read_day(history, as_of).dropped:
        tombstone_accounts(store, history, list(dropped), as_of)
    write_json(state.publication, publication)
    if redis is not None:
        redis.remove_others(as_of)
    drop_stale_views(store, history)  # last, because until now readers used the previous publication
