"""Known outcomes: what happened to served accounts, stored so that a run opens the data set only for new answers.

The answers of a cohort are final once they are known, unless rows are corrected later. They are read again when another
cohort's are known by the clock, when a finished data set is changed, and after a week at the latest. No account is
named in what is stored.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# (the stubs of pandas and pyarrow do not know the columns of a frame)

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from configs.files import atomic_write
from configs.settings import Settings
from configs.state_dir import StateDir
from features.ingestion.copies.copied_dataset import fetch_dataset
from features.tables.contract import ACCOUNT_ID
from features.tables.dataset import Dataset
from monitoring.outcomes.bets import FloatArray
from monitoring.outcomes.cohorts import PLAY, FollowedAccounts, choose_snapshots, days_until_known, spacing_of
from monitoring.outcomes.estimate import NOTHING_EARLY, EarlyOutcomes
from monitoring.outcomes.served_scores import read_served_snapshots
from serving.ledger.ledger import Ledger
from serving.ledger.served_outcomes import MAX_AGE
from training.labels.definition import CHURNED, is_mature, label_hash

FORMAT = 1  # counts up when rows are stored in another way, so that none is read from an older file
METADATA = b"oarlock"
COLUMNS = {"as_of": "datetime64[us]", "version": "int64", "risk": "float64", CHURNED: "float64"}
NO_ROWS = pd.DataFrame({**COLUMNS, "care": "object", "segment": "object"}, index=[0]).iloc[:0].astype(COLUMNS)


@dataclass(frozen=True)
class KnownOutcomes:
    """The followed accounts, and how many accounts left after the days that each version was calibrated on.

    `open_risks` is the newest risk of each account whose answer for the main horizon is not known; `early` is what
    became of those accounts in the days of a cohort. `are_new` says if the data set was opened for them.
    """

    followed: FollowedAccounts
    departures: Mapping[int, int]
    open_risks: FloatArray
    early: EarlyOutcomes
    are_new: bool


@dataclass(frozen=True)
class _Source:
    """What answers are read from: the rows of the ledger that are due, and the files of the data set.

    `is_growing` says if the data set goes on, so that its files change every day.
    """

    due: str
    files: str
    asked_until: datetime
    is_growing: bool


@dataclass(frozen=True)
class _Answers:
    """What is stored beside the rows; `is_waiting` says if the data did not reach to the last due row yet.

    `calibration_days` are those of each version, which never change.
    """

    source: _Source
    is_waiting: bool
    next_known_at: datetime | None
    families: tuple[str, ...]
    departures: Mapping[int, int]
    calibration_days: Mapping[int, tuple[str, ...]]

    def are_of(self, source: _Source) -> bool:
        """Whether the data set would give the same answers again, as far as can be known without opening it."""
        if self.source.due != source.due:
            return False
        age = source.asked_until - self.source.asked_until
        is_young = source.is_growing and not self.is_waiting and timedelta(0) <= age < MAX_AGE
        return is_young or self.source.files == source.files


@dataclass(frozen=True)
class OutcomeStore:
    """The outcomes of one state folder."""

    settings: Settings
    state: StateDir
    ledger: Ledger

    def read(self, known_until: datetime) -> KnownOutcomes:
        """Every outcome that is known by an instant; the data set is opened only if there may be new ones."""
        served = read_served_snapshots(self.ledger, label_hash(self.settings.label), known_until)
        chosen = choose_snapshots(served, spacing_of(self.settings.label))
        wait = days_until_known(self.settings.label)
        is_due = chosen.as_of + wait <= pd.Timestamp(known_until)
        open_days = chosen.as_of[~is_due]
        next_known_at = None if open_days.empty else pd.Timestamp(open_days.min() + wait).to_pydatetime()
        open_risks = self._open_risks(served, known_until)
        if not is_due.any():
            nobody = FollowedAccounts(NO_ROWS, (), next_known_at)
            return KnownOutcomes(nobody, {}, open_risks, NOTHING_EARLY, are_new=False)
        dataset = fetch_dataset(self.settings.data, self.settings.signals)
        source = self._source(dataset, chosen[is_due], known_until)
        stored = _read(self._file)
        are_new = stored is None or not stored[0].are_of(source)
        if stored is None or are_new:
            stored = self._follow(dataset, source, stored[0].calibration_days if stored else {})
            _write(self._file, *stored)
        answers, rows = stored
        next_known_at = answers.next_known_at if answers.is_waiting else next_known_at
        followed = FollowedAccounts(rows, answers.families, next_known_at)
        early = self._early(rows, known_until)
        return KnownOutcomes(followed, answers.departures, open_risks, early, are_new=are_new)

    def _open_risks(self, served: pd.DataFrame, known_until: datetime) -> FloatArray:
        open_rows = served[~is_mature(served, self.settings.label, known_until)]
        return open_rows.sort_values("as_of").drop_duplicates(ACCOUNT_ID, keep="last")["risk"].to_numpy("float64")

    def _early(self, rows: pd.DataFrame, known_until: datetime) -> EarlyOutcomes:
        is_open = ~is_mature(rows, self.settings.label, known_until)
        early = rows[is_open & (rows.care != PLAY)]
        return EarlyOutcomes(early["risk"].to_numpy("float64"), float(early[CHURNED].sum()))

    @property
    def _file(self) -> Path:
        return self.state.monitoring / "outcomes.parquet"

    def _source(self, dataset: Dataset, due: pd.DataFrame, known_until: datetime) -> _Source:
        terms = f"{FORMAT} {label_hash(self.settings.label)} {dataset.mapping_hash}"
        rows = pd.util.hash_pandas_object(due, index=False).to_numpy()
        due_hash = hashlib.sha256(terms.encode() + rows.tobytes()).hexdigest()[:16]
        return _Source(due_hash, _hash_files(dataset), known_until, dataset.observed_until is None)

    def _follow(
        self, dataset: Dataset, source: _Source, calibration_days: Mapping[int, tuple[str, ...]]
    ) -> tuple[_Answers, pd.DataFrame]:
        """The answers, read from the data set."""
        from features.publishing.open_dataset import open_dataset  # heavy, as all that reads the data set
        from monitoring.outcomes.answers import count_departures, follow_served_accounts, read_calibration_days

        opened = open_dataset(self.settings, self.state, dataset)
        followed = follow_served_accounts(opened, self.settings, self.ledger, source.asked_until)
        versions = sorted({int(version) for version in followed.rows["version"]})
        days = {**calibration_days, **read_calibration_days(self.settings, self.state, versions, calibration_days)}
        departures = {
            version: count_departures(opened, self.settings, days[version], source.asked_until) for version in versions
        }
        known_until = opened.known_until(source.asked_until)
        is_waiting = known_until < source.asked_until and (
            followed.next_known_at is not None and followed.next_known_at <= source.asked_until
        )
        return _Answers(source, is_waiting, followed.next_known_at, followed.families, departures, days), followed.rows


def _hash_files(dataset: Dataset) -> str:
    """A hash of the names, sizes and times of the files, which are not read."""
    files = [(name, file.name, file.stat()) for name, files in dataset.files.items() for file in files]
    text = "\n".join(f"{name}/{file} {status.st_size} {status.st_mtime_ns}" for name, file, status in files)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(file: Path) -> tuple[_Answers, pd.DataFrame] | None:
    """What is stored; None if there is nothing, or nothing that can be read."""
    try:
        table = pq.read_table(file)
        answers = TypeAdapter(_Answers).validate_json((table.schema.metadata or {})[METADATA])
    except (OSError, KeyError, pa.ArrowException, ValidationError):
        return None
    return answers, table.replace_schema_metadata(None).to_pandas().astype(COLUMNS)


def _write(file: Path, answers: _Answers, rows: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    described = table.replace_schema_metadata({METADATA: TypeAdapter(_Answers).dump_json(answers)})
    with atomic_write(file) as temporary:
        pq.write_table(described, temporary, compression="zstd")
