"""Retention: deletes histories and days that nothing reads any more, which a publish never does by itself."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from configs.files import exclusive_lock, locked_folder, remove_unread
from configs.sections.publishing import SnapshotSettings
from configs.settings import Settings
from configs.state_dir import StateDir
from features.own_signals.own_catalogue import open_catalogue
from features.store.history import HistoryVersion, complete_days, published_history, training_days


@dataclass(frozen=True)
class PruneResult:
    """What was deleted: histories of other signals or data, days of the published history, and the bytes freed."""

    histories: int
    days: int
    bytes: int


def prune_history(settings: Settings, state: StateDir, keep_days: int | None) -> PruneResult:
    """Delete every history except the published one, and the old days of that which are not for training.

    Days up to `keep_days` older than the published one are kept, with None all of them. Tables that were converted from
    CSV are deleted too, and converted again by the next command that reads them. Raises NotReady if nothing was
    published with the current signals, Busy if another process is publishing.
    """
    with exclusive_lock(state.publish_lock, "publishing into"):
        history, as_of = published_history(state, open_catalogue(settings, state).signals)
        others = [folder for folder in state.history.iterdir() if folder != history.folder]
        days = [] if keep_days is None else _old_days(history, as_of - timedelta(days=keep_days), settings.snapshots)
        for day in days:
            history.day_link(day).unlink()
        freed = sum(_delete(folder) for folder in [*others, *_unlinked_folders(history)])
        with locked_folder(state.converted):
            freed += remove_unread(state.converted)
    return PruneResult(len(others), len(days), freed)


def _old_days(history: HistoryVersion, before: datetime, snapshots: SnapshotSettings) -> list[datetime]:
    days = complete_days(history)
    for_training = set(training_days(days[0], days[-1], snapshots.frequency))
    return [day for day in days if day < before and day not in for_training]


def _unlinked_folders(history: HistoryVersion) -> list[Path]:
    """The written folders without a link, including those of a prune that was killed after it removed a link."""
    linked = {link.resolve() for link in (history.folder / "days").iterdir()}
    return [folder for folder in (history.folder / "written").iterdir() if folder.resolve() not in linked]


def _delete(folder: Path) -> int:
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    shutil.rmtree(folder)
    return size
