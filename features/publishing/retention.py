"""Clearing: histories and days that nothing reads any more are taken away, which a publish never does by itself."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from configs.files import exclusive_lock
from configs.settings import SnapshotSettings
from configs.state_dir import StateDir
from features.store.history import Edition, complete_days, training_days
from features.store.publication import published_edition


@dataclass(frozen=True)
class Cleared:
    """What was taken away: histories of other signals or data, days of the published one, and how many bytes."""

    histories: int
    days: int
    bytes: int


def clear(state: StateDir, snapshots: SnapshotSettings, keep_days: int | None) -> Cleared:
    """Take away every history but the published one, and of that the days that are old and not for training.

    Days stay that are at most `keep_days` older than the published one; all of them where None. Raises NotReady where
    nothing was published with the signals of now, Busy where another process is publishing.
    """
    with exclusive_lock(state.folder / "publish.lock", "publishing into"):
        place, as_of = published_edition(state)
        others = [folder for folder in state.history.iterdir() if folder != place.folder]
        days = [] if keep_days is None else _old(place, as_of - timedelta(days=keep_days), snapshots)
        for day in days:
            (place.folder / "days" / f"{day:%Y-%m-%d}").unlink()
        freed = sum(_taken_away(folder) for folder in [*others, *_unlinked(place)])
    return Cleared(len(others), len(days), freed)


def _old(place: Edition, before: datetime, snapshots: SnapshotSettings) -> list[datetime]:
    days = complete_days(place)
    needed = set(training_days(days[0], days[-1], snapshots.frequency))
    return [day for day in days if day < before and day not in needed]


def _unlinked(place: Edition) -> list[Path]:
    """What was written and is no day, also where a clearing was killed after the link was gone."""
    linked = {link.resolve() for link in (place.folder / "days").iterdir()}
    return [folder for folder in (place.folder / "written").iterdir() if folder.resolve() not in linked]


def _taken_away(folder: Path) -> int:
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    shutil.rmtree(folder)
    return size
