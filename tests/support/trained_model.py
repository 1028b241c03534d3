"""The model that is trained once on the shipped extract, and the last day of that extract."""

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
