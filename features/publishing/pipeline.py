"""The publishing pipeline: from the data set's files to a complete history and the online store; safe to run again."""

import contextlib
import io
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from configs.clock import now
from configs.errors import DataError, NotReady
from configs.files import exclusive_lock, write_json
from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from features.compute.compute import ComputeRequest, compile_signals
from features.compute.fingerprints import signal_set
from features.ingestion.validation import RuleViolation
from features.online.online_store import begin_publication, open_online_reader, pull_publication
from features.publishing.account_table_builder import build_account_details
from features.publishing.data_span import DataSpan, raise_for_late_day
from features.publishing.open_dataset import OpenDataset, open_dataset
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
from features.store.account_table import COLUMNS, AccountTable, write_account_table
from features.store.events.event_table import EventSource, EventTable, remove_event_tables, write_event_table
from features.store.events.raw_events import open_raw_events
from features.store.history import (
    DaySummary,
    HistoryVersion,
    accounts_on,
    complete_days,
    content_version,
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


def publish(settings: Settings, state: StateDir, request: PublishRequest, progress: Progress) -> PublishResult:
    """Compute the day's signals and every missing training day, and write the day to the online store.

    Complete days are not computed again unless requested or damaged, so a stopped publish can be continued. Raises
    DataError if a requested day has faults, Busy if another process is publishing into the same state, StoreDown if the
    online store is a Redis that cannot be used.
    """
    with exclusive_lock(state.publish_lock, "publishing into"):
        pull_publication(state)  # an older day must not replace what another machine put online
        return _publish(settings, state, request, progress)


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
        "currency": data.dataset.mapping.currency,
    }
    is_unchanged = find_publication(state) == publication and not request.is_backfilled(as_of)
    if is_unchanged and _is_online(state, data, as_of):
        return
    details = build_account_details(data.tables, as_of, settings.stages, data.required_activity_days)
    write_account_table(state.account_table, as_of, details)
    _write_revenue(state, data, as_of, settings.stages.shortest_term_months)
    events = open_raw_events(settings.engine, data.dataset, state.converted)
    write_event_table(state.event_table(as_of), _event_source(data, as_of), events.of_all(as_of))
    with contextlib.redirect_stdout(io.StringIO()):  # Feast prints a line per view
        _materialize(settings, state, history, publication)
    remove_event_tables(state.event_tables, keep=state.event_table(as_of))  # last, because until now pages read them


def _write_revenue(state: StateDir, data: OpenDataset, as_of: datetime, shortest_term_months: float) -> None:
    revenue = build_revenue_history(data.tables, as_of, data.dataset.observed_from, shortest_term_months)
    if revenue is None:
        state.revenue_table.unlink(missing_ok=True)
    else:
        write_revenue_table(state.revenue_table, replace(revenue, currency=data.dataset.mapping.currency))


def _event_source(data: OpenDataset, as_of: datetime) -> EventSource:
    return EventSource(as_of, data.dataset.content_hash())


def _is_online(state: StateDir, data: OpenDataset, as_of: datetime) -> bool:
    """Whether the online store and the tables of accounts, revenue and events can be read and hold this day, whole."""
    has_revenue = "subscriptions" in data.tables
    try:
        is_revenue_of_day = not has_revenue or read_revenue_table(state.revenue_table).as_of == as_of
        online = open_online_reader(state).read(accounts_on(data.history, as_of))
        table = AccountTable(state.account_table)
        table.columns(*COLUMNS)
        has_events = EventTable(state.event_table(as_of)).source == _event_source(data, as_of)
    except (NotReady, OSError):
        return False
    table.close()
    is_whole = is_revenue_of_day and has_events and table.as_of == as_of
    return is_whole and bool((online.as_of == np.datetime64(as_of)).all())


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
