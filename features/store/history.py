"""The history: every snapshot's signals on disk, a partition per day and family.

    history/<version>/days/<day>                       a link to the folder written last, replaced atomically
    history/<version>/written/<day>-<hash>/
        <family>.parquet                               account_id, event_timestamp, the family's signals
        day.json                                       the summary of the day

A day exists as soon as its link does, and a day that is written again is replaced atomically. A history version is one
signal set over one data set. Another signal set is another version, so the two are never mixed.
"""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from configs.errors import DamagedState, NotReady
from configs.files import atomic_write, write_json
from configs.state_dir import StateDir
from configs.stored_files import damaged_if, read_stored
from features.signals.base import Signal
from features.signals.families import family_order
from features.store.publication import read_publication, recompute_hint
from features.tables.contract import ACCOUNT_ID
from features.tables.dataset import Dataset

TIMESTAMP = "event_timestamp"
FIRST_MONDAY = datetime(2000, 1, 3)
PARQUET_ERRORS = (pa.ArrowException, OSError, KeyError)


@dataclass(frozen=True)
class DaySummary:
    """A complete day: its number of snapshots, the share of values present per family and missing per signal.

    `forced_because` is the reason for publishing it in spite of the `faults` found; both are empty for a day without
    faults. `dropped` are the accounts of earlier versions of this day that this version does not have.
    """

    as_of: str
    snapshots: int
    coverage: Mapping[str, float]
    missing: Mapping[str, float]
    forced_because: str = ""
    faults: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class HistoryFolder:
    """The folder of a history, whose days can be read without its signals."""

    folder: Path

    def day_link(self, as_of: datetime) -> Path:
        """The link to the folder of a day."""
        return self.folder / "days" / f"{as_of:%Y-%m-%d}"


@dataclass(frozen=True)
class HistoryVersion(HistoryFolder):
    """The history of one signal set over one data set."""

    signals: tuple[Signal, ...]

    @property
    def families(self) -> dict[str, tuple[Signal, ...]]:
        """The signals of each family that has any, in the order of the families."""
        families = family_order(signal.family for signal in self.signals)
        by_family = {family: tuple(s for s in self.signals if s.family == family) for family in families}
        return {family: signals for family, signals in by_family.items() if signals}

    def family_files(self, family: str) -> Path:
        """A glob pattern for the files of one family, one a day."""
        return self.folder / "days" / "*" / f"{family}.parquet"


@dataclass(frozen=True)
class RowSelection:
    """Which rows a history is computed from.

    `required_activity_days` is that of `compute.select_snapshots`. `quarantine_rules` is the version of the rules by
    which rows are set aside, empty if none ever is. `joins_within_hours` is the tolerance of `periods.join_periods`,
    and `at_risk` are the settings of `at_risk.cut_subscriptions` that are not at their default.
    """

    required_activity_days: int | None = None
    quarantine_rules: str = ""
    joins_within_hours: int = 24
    at_risk: Mapping[str, bool] = field(default_factory=dict)


def history_version(
    histories: Path, dataset: Dataset, signals: tuple[Signal, ...], selection: RowSelection
) -> HistoryVersion:
    """The history of these signals over this data set.

    A finished data set is identified by its content, so a changed file starts a new version; a growing one by its
    mapping, so that a new day keeps the days before it. Another selection of rows is another version, too.
    """
    from features.compute.fingerprints import signal_set  # heavy

    data = dataset.mapping_hash if dataset.observed_until is None else dataset.content_hash()
    activity_days = selection.required_activity_days
    risk_set = "" if activity_days is None else f" active within {activity_days}"
    rules = selection.quarantine_rules and f" quarantined by {selection.quarantine_rules}"
    joins = f" joined within {selection.joins_within_hours}"
    changes = "".join(f" {name} {value}" for name, value in sorted(selection.at_risk.items()))
    name = hashlib.sha256(f"{signal_set(signals)} {data}{risk_set}{rules}{joins}{changes}".encode()).hexdigest()[:12]
    return HistoryVersion(histories / name, signals)


def published_history(state: StateDir, declared: tuple[Signal, ...] | None = None) -> tuple[HistoryVersion, datetime]:
    """The history that was published last and its as_of; raises NotReady if nothing was, or if the signals changed.

    `declared` are the signals of the company's catalogue, None: the built-in ones.
    """
    from features.compute.fingerprints import signal_set  # heavy, as all that declares signals
    from features.signals.registry import catalogue

    publication = read_publication(state)
    signals = tuple(signal for signal in declared or catalogue() if signal.name in publication["signals"])
    if signal_set(signals) != publication["signal_set"]:
        raise NotReady("The signals have changed since they were last published.", "Run `oarlock publish`.")
    history = HistoryVersion(state.history / publication["history"], signals)
    return history, datetime.fromisoformat(publication["as_of"])


def published_day(state: StateDir) -> tuple[HistoryFolder, datetime]:
    """The folder of the history that was published last and its as_of, whether or not the signals changed since.

    Raises NotReady if nothing was published.
    """
    publication = read_publication(state)
    return HistoryFolder(state.history / publication["history"]), datetime.fromisoformat(publication["as_of"])


def summarize_day(history: HistoryVersion, as_of: datetime, rows: pa.Table) -> DaySummary:
    """The summary of a day with these rows."""
    missing = {signal.name: rows[signal.name].null_count / max(rows.num_rows, 1) for signal in history.signals}
    coverage = {family: _coverage(rows, signals) for family, signals in history.families.items()}
    dropped = _dropped_accounts(history, as_of, rows)
    return DaySummary(f"{as_of:%Y-%m-%d}", rows.num_rows, coverage, missing, dropped=dropped)


def write_day(history: HistoryVersion, day: DaySummary, rows: pa.Table) -> None:
    """Write one day to a new folder, and then replace the day by it."""
    temporary = _write_folder(history, day, rows)
    written = temporary.with_name(f"{day.as_of}-{_content_hash(temporary)}")
    if written.exists():
        shutil.rmtree(temporary)
    else:
        temporary.rename(written)
    _link(history.folder / "days" / day.as_of, written)
    for older in set(written.parent.glob(f"{day.as_of}-*")) - {written}:
        shutil.rmtree(older)


def is_complete(history: HistoryFolder, as_of: datetime) -> bool:
    """Whether this day was written completely."""
    return history.day_link(as_of).exists()


def complete_days(history: HistoryFolder) -> list[datetime]:
    """The days that were written completely, oldest first."""
    return sorted(datetime.fromisoformat(link.name) for link in (history.folder / "days").glob("????-??-??"))


def read_day(history: HistoryFolder, as_of: datetime) -> DaySummary:
    """The summary of a complete day; raises DamagedState if it cannot be read."""
    file = history.day_link(as_of) / "day.json"
    with damaged_if((FileNotFoundError,), file, recompute_hint(as_of)):
        return read_stored(file, DaySummary, recompute_hint(as_of))


def is_intact(history: HistoryVersion, as_of: datetime) -> bool:
    """Whether a day is complete, with a summary and Parquet files that hold the signals of their family."""
    try:
        read_day(history, as_of)
        files = {family: pq.read_schema(history.day_link(as_of) / f"{family}.parquet") for family in history.families}
    except (DamagedState, *PARQUET_ERRORS):
        return False
    return all(
        {ACCOUNT_ID, TIMESTAMP, *(signal.name for signal in signals)} <= set(files[family].names)
        for family, signals in history.families.items()
    )


def content_version(history: HistoryFolder, as_of: datetime) -> str:
    """The name of a complete day's folder, which holds a hash of its content."""
    return history.day_link(as_of).resolve().name


def accounts_on(history: HistoryVersion, as_of: datetime) -> list[str]:
    """The accounts with a snapshot on this complete day, in order; raises DamagedState if they cannot be read."""
    file = history.day_link(as_of) / f"{next(iter(history.families))}.parquet"
    with damaged_if(PARQUET_ERRORS, file, recompute_hint(as_of)):
        return pq.read_table(file, columns=[ACCOUNT_ID])[ACCOUNT_ID].to_pylist()


def training_days(first: datetime, last: datetime, frequency: str | int) -> list[datetime]:
    """The days of snapshots from `first` to `last`, both included, as `SnapshotSettings.frequency` says.

    >>> [f"{day:%m-%d}" for day in training_days(datetime(2024, 1, 2), datetime(2024, 7, 1), "quarterly")]
    ['04-01', '07-01']
    """
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if _is_training_day(day, frequency)]


def _is_training_day(day: datetime, frequency: str | int) -> bool:
    if frequency == "weekly":
        frequency = 7
    if isinstance(frequency, int):
        return (day - FIRST_MONDAY).days % frequency == 0
    return day.day == 1 and (frequency == "monthly" or day.month % 3 == 1)


def to_midnight(day: date) -> datetime:
    """The first instant of a day, as of which its snapshots are taken."""
    return datetime(day.year, day.month, day.day)


def _dropped_accounts(history: HistoryVersion, as_of: datetime, rows: pa.Table) -> tuple[str, ...]:
    if not is_intact(history, as_of):
        return ()  # a damaged day does not say; the online store is then filled anew
    earlier = {*accounts_on(history, as_of), *read_day(history, as_of).dropped}
    return tuple(sorted(earlier - set(rows[ACCOUNT_ID].to_pylist())))


def _write_folder(history: HistoryVersion, day: DaySummary, rows: pa.Table) -> Path:
    folder = history.folder / "written" / f".{day.as_of}"
    # A publish that was killed here leaves a partial folder.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    timestamps = pa.array([datetime.fromisoformat(day.as_of)] * rows.num_rows, pa.timestamp("us", tz="UTC"))
    ordered = rows.append_column(TIMESTAMP, timestamps).sort_by(ACCOUNT_ID)
    for family, signals in history.families.items():
        columns = ordered.select([ACCOUNT_ID, TIMESTAMP, *(signal.name for signal in signals)])
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
    present = values - sum(rows[signal.name].null_count for signal in signals)
    return round(present / values, 4) if values else 0.0
