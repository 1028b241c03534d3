"""The history: every snapshot's signals on disk, a partition per day and family, readable or not there at all.

    history/<edition>/days/<day>                       a link to what was written last, set in one step
    history/<edition>/written/<day>-<hash>/
        <family>.parquet                               account_id, event_timestamp, the family's signals
        day.json                                       what is known of the day

A day is there from the instant its link is, and a day that is written again is the old one until it is the new one. An
edition is one signal set over one data set. Another signal set is another edition, so nothing is ever mixed.
"""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from configs.files import atomic_write, read_json, write_json
from features.compute.fingerprints import signal_set
from features.signals.base import Signal
from features.signals.registry import FAMILIES
from features.tables.mapping import Dataset

KEY, TIMESTAMP = "account_id", "event_timestamp"


@dataclass(frozen=True)
class Day:
    """What a complete day holds: how many snapshots, and the share of values there per family, not there per signal.

    `forced_because` is why it was published with the `faults` found in it; both are empty for a day that passed.
    `dropped` are the accounts that an earlier writing of this day held and this one does not.
    """

    as_of: str
    snapshots: int
    coverage: Mapping[str, float]
    missing: Mapping[str, float]
    forced_because: str = ""
    faults: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


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

    def files_of(self, family: str) -> Path:
        """A pattern for the files of one family, one a day."""
        return self.folder / "days" / "*" / f"{family}.parquet"


def edition(history: Path, dataset: Dataset, signals: tuple[Signal, ...], active_within: int | None = None) -> Edition:
    """Where the history of these signals over this data set is kept.

    A finished data set is known by its content, so a changed file starts anew; a living one by its mapping, so that a
    new day leaves the days before it as they were. Another risk set (see `compute.snapshots`) is another edition.
    """
    data = dataset.mapping_hash if dataset.observed_until is None else dataset.content_hash()
    risk_set = "" if active_within is None else f" active within {active_within}"
    name = hashlib.sha256(f"{signal_set(signals)} {data}{risk_set}".encode()).hexdigest()[:12]
    return Edition(history / name, signals)


def describe_day(place: Edition, as_of: datetime, rows: pa.Table) -> Day:
    """What there is to know of a day with these rows."""
    missing = {one.name: rows[one.name].null_count / max(rows.num_rows, 1) for one in place.signals}
    coverage = {family: _coverage(rows, signals) for family, signals in place.families.items()}
    return Day(f"{as_of:%Y-%m-%d}", rows.num_rows, coverage, missing, dropped=_dropped(place, as_of, rows))


def write_day(place: Edition, day: Day, rows: pa.Table) -> None:
    """Write one day beside what is there, and then let it take the place of what was."""
    new = _write_beside(place, day, rows)
    written = new.with_name(f"{day.as_of}-{_content_hash(new)}")
    if written.exists():
        shutil.rmtree(new)
    else:
        new.rename(written)
    _link(place.folder / "days" / day.as_of, written)
    for older in set(written.parent.glob(f"{day.as_of}-*")) - {written}:
        shutil.rmtree(older)


def is_complete(place: Edition, as_of: datetime) -> bool:
    """Whether this day was written to its end."""
    return _folder(place, as_of).exists()


def complete_days(place: Edition) -> list[datetime]:
    """The days that were written to their end, oldest first."""
    return sorted(datetime.fromisoformat(link.name) for link in (place.folder / "days").glob("????-??-??"))


def read_day(place: Edition, as_of: datetime) -> Day:
    """What is known of a complete day."""
    content = read_json(_folder(place, as_of) / "day.json")
    return Day(**{**content, "faults": tuple(content["faults"]), "dropped": tuple(content["dropped"])})


def version_of(place: Edition, as_of: datetime) -> str:
    """A hash of everything that was written of a complete day."""
    return _folder(place, as_of).resolve().name


def accounts_on(place: Edition, as_of: datetime) -> list[str]:
    """The accounts that had a snapshot on this complete day, in order."""
    family = next(iter(place.families))
    return pq.read_table(_folder(place, as_of) / f"{family}.parquet", columns=[KEY])[KEY].to_pylist()


def training_days(first: datetime, last: datetime, every: str) -> list[datetime]:
    """The first of each month, or each Monday, from `first` to `last`, both included."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if (day.weekday() == 0 if every == "weekly" else day.day == 1)]


def midnight(day: date) -> datetime:
    """The instant a day's snapshots are seen from: its first."""
    return datetime(day.year, day.month, day.day)


def _dropped(place: Edition, as_of: datetime, rows: pa.Table) -> tuple[str, ...]:
    if not is_complete(place, as_of):
        return ()
    before = {*accounts_on(place, as_of), *read_day(place, as_of).dropped}
    return tuple(sorted(before - set(rows[KEY].to_pylist())))


def _folder(place: Edition, as_of: datetime) -> Path:
    return place.folder / "days" / f"{as_of:%Y-%m-%d}"


def _write_beside(place: Edition, day: Day, rows: pa.Table) -> Path:
    folder = place.folder / "written" / f".{day.as_of}"
    # What a publish that was killed here has left behind.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stamps = pa.array([datetime.fromisoformat(day.as_of)] * rows.num_rows, pa.timestamp("us", tz="UTC"))
    ordered = rows.append_column(TIMESTAMP, stamps).sort_by(KEY)
    for family, signals in place.families.items():
        columns = ordered.select([KEY, TIMESTAMP, *(one.name for one in signals)])
        pq.write_table(columns, folder / f"{family}.parquet", compression="zstd")
    write_json(folder / "day.json", asdict(day))
    return folder


def _content_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(exist_ok=True)
    with atomic_write(link) as temporary:
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(Path("..") / target.parent.name / target.name, target_is_directory=True)


def _coverage(rows: pa.Table, signals: tuple[Signal, ...]) -> float:
    values = rows.num_rows * len(signals)
    there = values - sum(rows[one.name].null_count for one in signals)
    return round(there / values, 4) if values else 0.0
