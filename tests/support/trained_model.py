"""The model that is trained once on the shipped extract: its state folder and its newest day."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from configs.settings import Settings
from configs.state_dir import StateDir

EXTRACT_ENDS = datetime(2023, 7, 1)


@dataclass(frozen=True)
class Trained:
    """A state folder with a published history and a promoted model."""

    settings: Settings
    state: StateDir
    config: Path
