"""Past snapshots: accounts the model was not fitted on, as it saw them, and what became of them. None is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PAST_FILE = "past_snapshots.npz"
FIELDS = ("contributions", "churned", "segments", "accounts", "days")


@dataclass(frozen=True, eq=False)
class PastSnapshots:
    """Snapshots of the test days, in the order of their days.

    `contributions`, shape (snapshots, families), are each family's part of the margin. `churned` is what happened
    within the main horizon, `segments` is empty where it is not known. `accounts` are numbers that are the same for the
    snapshots of an account, and name nobody; `days` are written as 2026-03-01.
    """

    contributions: np.ndarray
    churned: np.ndarray
    segments: np.ndarray
    accounts: np.ndarray
    days: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """What is stored, by name."""
        return {name: getattr(self, name) for name in FIELDS}


def past_from_arrays(arrays: Mapping[str, np.ndarray]) -> PastSnapshots | None:
    """The snapshots in stored arrays; None if there are none, as of a model that was trained before they were kept."""
    return PastSnapshots(**{name: arrays[name] for name in FIELDS}) if arrays else None


def save_past(past: PastSnapshots, folder: Path) -> None:
    """Write the snapshots beside a model."""
    np.savez(folder / PAST_FILE, allow_pickle=False, **past.arrays())


def load_past(folder: Path) -> PastSnapshots | None:
    """The snapshots beside a model; None if there are none."""
    if not (folder / PAST_FILE).exists():
        return None
    with np.load(folder / PAST_FILE, allow_pickle=False) as file:
        return past_from_arrays({name: file[name] for name in file.files})
