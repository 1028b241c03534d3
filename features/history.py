"""The history: every snapshot's signals on disk, a partition per day and family, readable or not there at all.

    history/<edition>/<family>/<day>.parquet      account_id, event_timestamp, the family's signals
    history/<edition>/days/<day>.json             written last: the day is complete

An edition is one signal set over one data set. Another signal set is another edition, so nothing is ever mixed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from configs.state import read_json, replacing, write_json
from features.catalogue import FAMILIES, signal_set
from features.dataset import Dataset
from features.signals.declaration import Signal

KEY, TIMESTAMP = "account_id", "event_timestamp"


@dataclass(frozen=True)
class Day:
    """What a complete day holds: how many snapshots, and per family the share of values that are there."""

    as_of: str
    snapshots: int
    coverage: Mapping[str, float]


@dataclass(frozen=True)
class Edition:
    """The history of one signal set over one data set."""

    folder: Path
    signals: tuple[Signal, ...]

    @property
    def families(self) -> dict[str, tuple[Signal, ...]]:
        """The signals of each family that has any, in the families' order."""
        found = {family: tuple(one for one in self.signals if one.family == family) for family in FAMILIES}
        return {family: signals for family, signals in found.items() if signals}

    def folder_of(self, family: str) -> Path:
        return self.folder / family


def edition(history: Path, dataset: Dataset, signals: tuple[Signal, ...], active_within: int | None = None) -> Edition:
    """Where the history of these signals over this data set is kept.

    A finished data set is known by its content, so a changed file starts anew; a living one by its mapping, so that a
    new day leaves the days before it as they were. Another risk set (see `compute.snapshots`) is another edition.
    """
    data = dataset.mapping_hash if dataset.observed_until is None else dataset.content_hash()
    risk_set = "" if active_within is None else f" active within {active_within}"
    name = hashlib.sha256(f"{signal_set(signals)} {data}{risk_set}".encode()).hexdigest()[:12]
    return Edition(history / name, signals)


def write_day(place: Edition, as_of: datetime, rows: pa.Table) -> Day:
    """Write one day, family by family, and then say that it is complete."""
    _manifest(place, as_of).unlink(missing_ok=True)
    stamps = pa.array([as_of] * rows.num_rows, pa.timestamp("us", tz="UTC"))
    ordered = rows.append_column(TIMESTAMP, stamps).sort_by(KEY)
    for family, signals in place.families.items():
        with replacing(place.folder_of(family) / f"{as_of:%Y-%m-%d}.parquet") as file:
            pq.write_table(ordered.select([KEY, TIMESTAMP, *(one.name for one in signals)]), file, compression="zstd")
    day = Day(f"{as_of:%Y-%m-%d}", rows.num_rows, {f: _coverage(rows, s) for f, s in place.families.items()})
    write_json(_manifest(place, as_of), asdict(day))
    return day


def is_complete(place: Edition, as_of: datetime) -> bool:
    """Whether this day was written to its end."""
    return _manifest(place, as_of).exists()


def complete_days(place: Edition) -> list[datetime]:
    """The days that were written to their end, oldest first."""
    return sorted(datetime.fromisoformat(file.stem) for file in (place.folder / "days").glob("*.json"))


def read_day(place: Edition, as_of: datetime) -> Day:
    """What is known of a complete day."""
    return Day(**read_json(_manifest(place, as_of)))


def accounts_on(place: Edition, as_of: datetime) -> list[str]:
    """The accounts that had a snapshot on this complete day, in order."""
    family = next(iter(place.families))
    file = place.folder_of(family) / f"{as_of:%Y-%m-%d}.parquet"
    return pq.read_table(file, columns=[KEY])[KEY].to_pylist()


def training_days(first: datetime, last: datetime, every: str) -> list[datetime]:
    """The first of each month, or each Monday, from `first` to `last`, both included."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if (day.weekday() == 0 if every == "week" else day.day == 1)]


def midnight(day: date) -> datetime:
    """The instant a day's snapshots are seen from: its first."""
    return datetime(day.year, day.month, day.day)


def _manifest(place: Edition, as_of: datetime) -> Path:
    return place.folder / "days" / f"{as_of:%Y-%m-%d}.json"


def _coverage(rows: pa.Table, signals: tuple[Signal, ...]) -> float:
    values = rows.num_rows * len(signals)
    there = values - sum(rows[one.name].null_count for one in signals)
    return round(there / values, 4) if values else 0.0
