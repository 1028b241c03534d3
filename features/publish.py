"""Publishing: from the data set's files to a complete history and a filled online store, safe to stop and run again."""

import contextlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from configs.errors import DataError, NotReady
from configs.settings import Settings
from configs.state import State, read_json, write_json
from features.catalogue import catalogue, signal_set
from features.compute import carried, compute
from features.dataset import Dataset, read_dataset
from features.history import Day, Edition, edition, is_complete, midnight, read_day, training_days, write_day
from features.reading import Breach, RawTable, check_tables, clean, connect, quarantine, read_tables, refuse

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Opened:
    """A data set opened for computing: its tables, what is wrong with them, what signals they carry, who is at risk."""

    dataset: Dataset
    tables: Mapping[str, RawTable]
    breaches: tuple[Breach, ...]
    place: Edition
    checks_reused: bool
    active_within: int | None


@dataclass(frozen=True)
class Published:
    """What a publish did."""

    as_of: datetime
    computed: int
    reused: int
    day: Day
    breaches: tuple[Breach, ...]
    checks_reused: bool


def open_dataset(settings: Settings, state: State) -> Opened:
    """The data set with every row checked, or the bad ones set aside where the settings say so.

    Checks already passed on the very same bytes are not run again. Raises DataError for the first rule that rows break.
    """
    dataset = read_dataset(settings.data)
    raw = read_tables(connect(dataset, settings.training.threads), dataset)
    _refuse_unknown_risk_set(dataset, settings.label.active_within)
    passed = {"content": dataset.content_hash()}
    reused = state.checked.exists() and read_json(state.checked) == passed
    breaches = () if reused else check_tables(dataset, raw)
    if settings.data.bad_rows == "refuse":
        refuse(breaches)
    kept = clean(raw)
    if breaches:
        kept |= quarantine(raw, breaches, state.quarantine)
    else:
        write_json(state.checked, passed)
    signals = carried(kept, catalogue(), dataset.mapped.people)
    place = edition(state.history, dataset, signals, settings.label.active_within)
    return Opened(dataset, kept, breaches, place, reused, settings.label.active_within)


def publish(settings: Settings, state: State, as_of: datetime, progress: Progress) -> Published:
    """Compute the day's signals and every training day still missing, and fill the online store with the day.

    A day that is complete is never computed again, so a publish that was stopped goes on where it was.
    """
    opened = open_dataset(settings, state)
    days = sorted({*_days_for_training(settings, opened, as_of), as_of})
    missing = [day for day in days if not is_complete(opened.place, day)]
    for number, day in enumerate(missing):
        progress(f"signals of {day:%Y-%m-%d}", number, len(missing) + 1)
        write_day(opened.place, day, _rows(opened, day))
    progress("online store", len(missing), len(missing) + 1)
    if _is_newest(state, as_of):
        _fill_online(settings, state, opened.place, as_of)
    progress("published", len(missing) + 1, len(missing) + 1)
    day = read_day(opened.place, as_of)
    return Published(as_of, len(missing), len(days) - len(missing), day, opened.breaches, opened.checks_reused)


def published_edition(state: State) -> tuple[Edition, datetime]:
    """The edition that was last published and its as_of; raises NotReady where nothing was."""
    if not state.published.exists():
        raise NotReady("Nothing has been published yet.", "Run `oarlock publish`.")
    note = read_json(state.published)
    signals = tuple(one for one in catalogue() if one.name in note["signals"])
    if signal_set(signals) != note["signal_set"]:
        raise NotReady("The signals have changed since they were last published.", "Run `oarlock publish`.")
    return Edition(state.history / note["edition"], signals), datetime.fromisoformat(note["as_of"])


def _refuse_unknown_risk_set(dataset: Dataset, active_within: int | None) -> None:
    needed = "subscriptions" if active_within is None else "usage"
    if needed not in dataset.selects:
        raise DataError(f"{dataset.mapping}: the table '{needed}' is required and not mapped.", "Add a select.")


def _days_for_training(settings: Settings, opened: Opened, as_of: datetime) -> list[datetime]:
    name, at = ("subscriptions", "started_at") if opened.active_within is None else ("usage", "occurred_at")
    first = opened.tables[name].rows[at].min().to_pyarrow().as_py()
    if first is None:
        raise DataError(f"{name} holds no rows.", "Oarlock needs at least one to know who is at risk.")
    first = max(first, opened.dataset.observed_from or first)
    start = midnight(first) + timedelta(days=settings.snapshots.warmup_days)
    return training_days(start, as_of, settings.snapshots.every)


def _rows(opened: Opened, as_of: datetime) -> pa.Table:
    rows = compute(opened.tables, opened.place.signals, as_of, opened.active_within).to_pyarrow()
    if rows.num_rows == 0:
        raise DataError(f"No account is at risk on {as_of:%Y-%m-%d}.", "Choose an earlier day with --as-of.")
    return rows


def _is_newest(state: State, as_of: datetime) -> bool:
    return not state.published.exists() or as_of >= datetime.fromisoformat(read_json(state.published)["as_of"])


def _fill_online(settings: Settings, state: State, place: Edition, as_of: datetime) -> None:
    from features.store import apply_declarations, materialise, open_store

    note: dict[str, Any] = {
        "as_of": as_of.isoformat(),
        "edition": place.folder.name,
        "signal_set": signal_set(place.signals),
        "signals": [one.name for one in place.signals],
    }
    if state.published.exists() and read_json(state.published) == note:
        return
    # Feast prints a line per view; only the front door speaks.
    with contextlib.redirect_stdout(io.StringIO()):
        store = open_store(state, settings.name)
        apply_declarations(store, place, state)
        materialise(store, as_of)
    write_json(state.published, note)
