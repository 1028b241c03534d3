"""The model that is trained once on the shipped extract, and the last day of that extract."""

import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from configs.settings import Settings
from configs.state_dir import StateDir

EXTRACT_END = datetime(2023, 7, 1)


@dataclass(frozen=True)
class TrainedModel:
    """A state folder with a published history and a promoted model."""

    settings: Settings
    state: StateDir
    config: Path


def copy_folder(source: Path, target: Path) -> Path:
    """Copy a folder with databases that this process may have open; gives the copy.

    Another process copies: if this one closed a file of SQLite, it would lose its locks on that file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--archive", str(source), str(target)], check=True)
    return target
