"""The panel: the same accounts on pairs of published days, from the history, with the champion's risk as a column.

What is measured of a past pair is stored in the state folder, so that a run reads the days of the newest pair only.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from configs.files import atomic_write
from configs.state_dir import StateDir
from features.store.history import HistoryFolder, complete_days, content_version, read_day
from features.store.history_reader import read_history_frame
from features.store.publication import Publication, published_windows
from monitoring.drift.detector import EVERYBODY, RISK, ChangesBySegment, DriftReport, detect_drift
from monitoring.drift.effects import SupportsRisks, add_effects
from monitoring.drift.paired_changes import NO_FAMILIES, Aspect, Change, Families, measure_changes
from monitoring.drift.tolerance import choose_pairs, thin_out
from monitoring.evidence.budget import level_of_run
from training.determinism import single_blas_thread
from training.model.churn_model import SEGMENT, encode

LAG_DAYS, LAG_SLACK_DAYS = 28, 3  # the first days of two months are 28 to 31 days apart
PAST_SPACING_DAYS, MAX_PAST_PAIRS = 7, 104
MIN_SEGMENT_ACCOUNTS = 100
FULL_WINDOWS = 0.9  # the share of signals whose window must lie inside the history
ASPECTS = 2  # counts up when other aspects are measured, so that none is read from an older file


@dataclass(frozen=True)
class Panel:
    """The published days of a history, seen with one model; `version` names the model in the stored changes.

    `families` names the signals of each family, `windows` is how many days each signal looks back.
    """

    history: HistoryFolder
    families: Families
    windows: Sequence[int]
    model: SupportsRisks
    version: int
    folder: Path

    def frame(self, day: datetime) -> pd.DataFrame:
        """The snapshots of a day: the signals that the model reads, the segment, and the risk."""
        rows = read_history_frame(self.history.folder, day)
        inputs = {signal.name for signal in self.model.inputs}
        names = [name for name in rows.columns if name in inputs]
        return rows[names].assign(**{RISK: self.model.predict_risks(encode(rows, self.model.inputs))})

    def paired_frames(self, before: datetime, after: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The accounts of both days, in the same order."""
        earlier, later = self.frame(before), self.frame(after)
        accounts = earlier.index.intersection(later.index)
        return earlier.loc[accounts], later.loc[accounts]

    def changes(self, before: datetime, after: datetime) -> ChangesBySegment:
        """What moved between two days, for everybody and by segment; stored for the next run."""
        file = self.folder / self._pair_name(before, after)
        if file.exists():
            return _read_changes(file)
        with single_blas_thread():  # small matrices: more threads only wait for each other
            changes = changes_by_segment(*self.paired_frames(before, after), families=self.families)
        _write_changes(file, changes)
        return changes

    def forget_except(self, pairs: Sequence[tuple[datetime, datetime]]) -> None:
        """Remove the stored changes of all other pairs."""
        used = {self._pair_name(before, after) for before, after in pairs}
        for file in self.folder.glob("*.json"):
            if file.name not in used:
                file.unlink()

    def _pair_name(self, before: datetime, after: datetime) -> str:
        days = (content_version(self.history, day) for day in (before, after))
        return f"{self.history.folder.name}_v{self.version}_{'_'.join(days)}_{ASPECTS}.json"


def open_panel(state: StateDir, publication: Publication, model: SupportsRisks, version: int) -> Panel:
    """The panel of the history that was published, for a version of the model.

    Raises NotReady if an older release published it.
    """
    return Panel(
        history=HistoryFolder(state.history / publication["history"]),
        families={view["view"]: [*view["numbers"], *view["categories"]] for view in publication["views"]},
        windows=published_windows(publication),
        model=model,
        version=version,
        folder=state.monitoring,
    )


def detect_panel_drift(panel: Panel, as_of: datetime, false_alarms_per_year: float) -> DriftReport:
    """Compare a day with four weeks before, by what past pairs of the same history showed.

    A past pair ends before the newest one begins, so that a shift does not become its own excuse. Days that were
    published in spite of faults are not part of the past.
    """
    pairs = choose_pairs(comparable_days(panel, as_of), LAG_DAYS, LAG_SLACK_DAYS)
    if as_of not in pairs:
        return DriftReport(None, as_of)
    newest = (pairs[as_of], as_of)
    past_days = [
        day for day, earlier in pairs.items() if day <= newest[0] and not _is_forced(panel.history, (earlier, day))
    ]
    chosen = [(pairs[day], day) for day in thin_out(past_days, PAST_SPACING_DAYS, MAX_PAST_PAIRS)]
    past = {pair: panel.changes(*pair) for pair in chosen}
    changes = panel.changes(*newest)
    panel.forget_except([*chosen, newest])
    level = level_of_run(false_alarms_per_year, _days_since_last(panel.history, as_of))
    report = detect_drift(newest, changes, past, level=level)
    frames = panel.paired_frames(*newest) if report.is_alarm else None
    return add_effects(report, panel.model, frames, panel.families) if frames else report


def comparable_days(panel: Panel, as_of: datetime) -> list[datetime]:
    """The complete days up to `as_of` on which most windows were full: a young history keeps changing."""
    days = [day for day in complete_days(panel.history) if day <= as_of]
    windows = sorted(panel.windows)
    full = timedelta(days=windows[int(len(windows) * FULL_WINDOWS)])
    return [day for day in days if day >= days[0] + full] or days[-1:]


def changes_by_segment(before: pd.DataFrame, after: pd.DataFrame, families: Families = NO_FAMILIES) -> ChangesBySegment:
    """The changes of all accounts, and of each segment that is large enough, by the segment of the earlier day."""
    changes = {EVERYBODY: measure_changes(before, after, families)}
    if SEGMENT not in before:
        return changes
    for segment, rows in before.groupby(SEGMENT):
        if len(rows) >= MIN_SEGMENT_ACCOUNTS:
            changes[str(segment)] = measure_changes(rows, after.loc[rows.index], families)
    return changes


def _days_since_last(history: HistoryFolder, as_of: datetime) -> int:
    """The days since the published day before: its run has spent the budget until then."""
    return min((as_of - day).days for day in complete_days(history) if day < as_of)


def _is_forced(history: HistoryFolder, days: tuple[datetime, datetime]) -> bool:
    return any(read_day(history, day).forced_because for day in days)


def _write_changes(file: Path, changes: ChangesBySegment) -> None:
    content = {segment: [[*aspect, *change] for aspect, change in group.items()] for segment, group in changes.items()}
    with atomic_write(file) as temporary:
        temporary.write_text(json.dumps(content), "utf-8")


def _read_changes(file: Path) -> ChangesBySegment:
    content: dict[str, list[tuple[str, str, float, float, int]]] = json.loads(file.read_text("utf-8"))
    return {
        segment: {
            Aspect(signal, kind): Change(mean, variance, accounts) for signal, kind, mean, variance, accounts in rows
        }
        for segment, rows in content.items()
    }
