"""Publishing: from the data set's files to a complete history and a filled online store, safe to stop and run again."""

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from configs.errors import DataError
from configs.files import exclusive_lock, read_json, write_json
from configs.progress import Progress
from configs.settings import Settings
from configs.state_dir import StateDir
from features.compute.backends.base import Engine
from features.compute.backends.connect import open_engine
from features.compute.compute import Asked, carried, prepare
from features.compute.fingerprints import signal_set
from features.ingestion.reader import clean, read_tables
from features.ingestion.validation import Breach, check_tables, quarantine, refuse
from features.publishing.account_table_builder import account_facts
from features.publishing.quality_gate import judge_day, judge_schema, judge_sources, refuse_day
from features.signals.base import Signal
from features.signals.registry import catalogue
from features.store.account_table import write_facts
from features.store.history import (
    Day,
    Edition,
    complete_days,
    describe_day,
    edition,
    is_complete,
    midnight,
    read_day,
    training_days,
    version_of,
    write_day,
)
from features.tables.mapping import Dataset, read_dataset, refuse_copies
from features.tables.raw_table import RawTable


@dataclass(frozen=True)
class Opened:
    """A data set opened for computing: its tables, what is wrong with them, what signals they carry, who is at risk."""

    dataset: Dataset
    engine: Engine
    tables: Mapping[str, RawTable]
    breaches: tuple[Breach, ...]
    place: Edition
    checks_reused: bool
    active_within: int | None


@dataclass(frozen=True)
class Days:
    """Which days to publish: `as_of`, and again every day of the history from `first` to `last`, complete or not.

    `forced_because` publishes them even where their rows do not look right, and says why.
    """

    as_of: datetime
    first: datetime | None = None
    last: datetime | None = None
    forced_because: str = ""

    def is_again(self, day: datetime) -> bool:
        """Whether a day is computed again although it may be complete."""
        return self.first is not None and self.first <= day <= (self.last or self.as_of)

    def is_judged(self, day: datetime) -> bool:
        """Whether a day passes the quality gate: those asked for do, the past that training fills in has no past."""
        return day == self.as_of or self.is_again(day)


@dataclass(frozen=True)
class Published:
    """What a publish did."""

    as_of: datetime
    computed: int
    reused: int
    day: Day
    breaches: tuple[Breach, ...]
    checks_reused: bool


@dataclass(frozen=True)
class _Computed:
    """The snapshots of one day with their signals."""

    as_of: datetime
    rows: pa.Table


def open_dataset(settings: Settings, state: StateDir) -> Opened:
    """The data set with every row checked, or the bad ones set aside where the settings say so.

    Checks already passed on the very same bytes are not run again. Raises DataError for the first rule that rows break.
    """
    dataset = read_dataset(settings.data)
    refuse_copies(dataset)
    engine = open_engine(settings.engine, dataset, state.sql_cache)
    raw = read_tables(engine, dataset)
    _refuse_unknown_risk_set(dataset, settings.label.active_within)
    passed = {"content": dataset.content_hash()}
    reused = state.validation.exists() and read_json(state.validation) == passed
    breaches = () if reused else check_tables(dataset, raw)
    if settings.data.on_invalid_rows == "error":
        refuse(breaches)
    kept = clean(raw)
    if breaches:
        kept |= quarantine(raw, breaches, state.quarantine)
    else:
        write_json(state.validation, passed)
    telling = {name: table for name, table in kept.items() if name not in settings.label.answers_from}
    signals = carried(telling, catalogue(), dataset.mapped.people)
    place = edition(state.history, dataset, signals, settings.label.active_within)
    return Opened(dataset, engine, kept, breaches, place, reused, settings.label.active_within)


def publish(settings: Settings, state: StateDir, days: Days, progress: Progress) -> Published:
    """Compute the day's signals and every training day still missing, and fill the online store with the day.

    A day that is complete is not computed again unless it is asked for, so a publish that was stopped goes on where it
    was. Raises DataError where an asked-for day does not look like those before it, Busy where another process is
    publishing into the same state.
    """
    with exclusive_lock(state.folder / "publish.lock", "publishing into"):
        return _publish(settings, state, days, progress)


def _refuse_unknown_risk_set(dataset: Dataset, active_within: int | None) -> None:
    needed = "subscriptions" if active_within is None else "usage"
    if needed not in dataset.selects:
        raise DataError(f"{dataset.mapping}: the table '{needed}' is required and not mapped.", "Add a select.")


def _publish(settings: Settings, state: StateDir, days: Days, progress: Progress) -> Published:
    opened = open_dataset(settings, state)
    wanted = sorted({*_days_for_training(settings, opened, days.as_of), days.as_of})
    again = [day for day in sorted({*wanted, *complete_days(opened.place)}) if days.is_again(day)]
    if days.first and not again:
        raise DataError(f"No day from {days.first:%Y-%m-%d} on is one to compute again.", "Name a published day.")
    missing = sorted({*again, *(day for day in wanted if not is_complete(opened.place, day))})
    rows_on = prepare(opened.engine, opened.tables, Asked(opened.place.signals, missing, opened.active_within))
    for number, as_of in enumerate(missing):
        progress(f"signals of {as_of:%Y-%m-%d}", number, len(missing) + 1)
        _write(settings, opened, days, _Computed(as_of, rows_on(as_of)))
    progress("online store", len(missing), len(missing) + 1)
    if _is_newest(state, days.as_of):
        _fill_online(settings, state, opened, days)
    progress("published", len(missing) + 1, len(missing) + 1)
    day, reused = read_day(opened.place, days.as_of), len({*wanted, *missing}) - len(missing)
    return Published(days.as_of, len(missing), reused, day, opened.breaches, opened.checks_reused)


def _days_for_training(settings: Settings, opened: Opened, as_of: datetime) -> list[datetime]:
    name, at = ("subscriptions", "started_at") if opened.active_within is None else ("usage", "occurred_at")
    first = opened.tables[name].rows[at].min().to_pyarrow().as_py()
    if first is None:
        raise DataError(f"{name} holds no rows.", "Oarlock needs at least one to know who is at risk.")
    first = max(first, opened.dataset.observed_from or first)
    start = midnight(first) + timedelta(days=settings.snapshots.warmup_days)
    return training_days(start, as_of, settings.snapshots.frequency)


def _write(settings: Settings, opened: Opened, days: Days, computed: _Computed) -> None:
    """Write one day, if it passes the gate or is forced."""
    as_of, rows = computed.as_of, computed.rows
    if rows.num_rows == 0:
        raise DataError(f"No account is at risk on {as_of:%Y-%m-%d}.", "Choose an earlier day with --as-of.")
    day = describe_day(opened.place, as_of, rows)
    if days.is_judged(as_of):
        faults = _faults(settings, opened, day, rows)
        if faults and not days.forced_because:
            refuse_day(day.as_of, faults)
        day = replace(day, faults=faults, forced_because=days.forced_because if faults else "")
    write_day(opened.place, day, rows)


def _faults(settings: Settings, opened: Opened, day: Day, rows: pa.Table) -> tuple[str, ...]:
    as_of = datetime.fromisoformat(day.as_of)
    past = [one for one in complete_days(opened.place) if one < as_of][-settings.quality.compared_days :]
    return (
        *judge_sources(opened.tables, as_of, settings.quality),
        *judge_schema(rows, opened.place.signals),
        *judge_day(day, [read_day(opened.place, one) for one in past], settings.quality),
    )


def _is_newest(state: StateDir, as_of: datetime) -> bool:
    return not state.publication.exists() or as_of >= datetime.fromisoformat(read_json(state.publication)["as_of"])


def _views(place: Edition) -> list[dict[str, Any]]:
    """Which names stand where in the rows of each view (see `online.Layout`), for whoever reads them without Feast."""

    def names(signals: tuple[Signal, ...], kind: str) -> list[str]:
        return [one.name for one in signals if one.kind == kind]

    return [
        {"view": family, "numbers": names(signals, "number"), "categories": names(signals, "category")}
        for family, signals in place.families.items()
    ]


def _fill_online(settings: Settings, state: StateDir, opened: Opened, days: Days) -> None:
    from features.store.feast_store import apply_declarations, forget_others, materialise, open_store, retire

    place, as_of = opened.place, days.as_of
    note: dict[str, Any] = {
        "as_of": as_of.isoformat(),
        "edition": place.folder.name,
        "written": version_of(place, as_of),
        "signal_set": signal_set(place.signals),
        "signals": [one.name for one in place.signals],
        "views": _views(place),
        "stages": settings.stages.model_dump(),
    }
    unchanged = state.publication.exists() and read_json(state.publication) == note and state.account_table.exists()
    if unchanged and not days.is_again(as_of):
        return
    write_facts(state.account_table, as_of, account_facts(opened.tables, as_of, settings.stages, opened.active_within))
    # Feast prints a line per view; only the front door speaks.
    with contextlib.redirect_stdout(io.StringIO()):
        store = open_store(state, settings.name)
        apply_declarations(store, place, state)
        materialise(store, as_of)
        dropped = read_day(place, as_of).dropped
        retire(store, place, list(dropped), as_of) if dropped else None
        write_json(state.publication, note)
        forget_others(store, place)  # only now: until then readers ask for what was published before
