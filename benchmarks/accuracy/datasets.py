"""Grounds: the data sets that contestants meet on, each with its panel and rolling origins."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from configs.settings import Settings, read_settings
from configs.state_dir import open_state_dir
from features.publishing.pipeline import PublishRequest, publish
from features.simulator.model.parameters import Company
from features.simulator.writer import write_company
from features.tables.mapping import read_dataset
from training.data.time_splits import TimeSplit
from training.data.training_set import TrainingSet, build_training_set
from training.evaluation.backtest import backtest_splits

CONFIGS = Path(__file__).parents[2] / "configs"
OUTSIDE = ("crm5", "online_retail", "ravenstack")
SIMULATED = "simulated"
MONTHS = 24
KNOWN_FOR_DAYS = 28  # crm5 is judged on accounts known for so long
CORES = 2
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Ground:
    """One data set: its panel, and its origins, newest first; `company` is where a simulated one keeps its truth."""

    name: str
    settings: Settings
    panel: TrainingSet
    splits: list[TimeSplit]
    company: Path | None = None

    def scope(self, test: pd.DataFrame) -> pd.DataFrame:
        """The test snapshots that are judged."""
        judged = test[test.tenure >= KNOWN_FOR_DAYS] if self.name == "crm5" else test
        return judged.reset_index(drop=True)


def outside(name: str, folder: Path, scratch: Path, say: Progress) -> Ground:
    """An outside data set whose files lie in `folder`."""
    settings = _settings(CONFIGS / f"{name}.toml", folder, scratch)
    _publish(settings, name, say)
    return _ground(name, settings, say)


def simulated(company: Company, scratch: Path, say: Progress) -> Ground:
    """A simulated company; one that `scratch` holds already is used again."""
    return _ground(SIMULATED, simulated_history(company, scratch, say), say)


def simulated_history(company: Company, scratch: Path, say: Progress) -> Settings:
    """The settings of a simulated company whose history is published in `scratch`."""
    folder = scratch / "company"
    say(f"simulating {company.accounts:,} accounts")
    write_company(company, folder, workers=CORES)
    settings = _settings(CONFIGS / "oarlock.toml", folder, scratch)
    _publish(settings, SIMULATED, say)
    return settings


def _publish(settings: Settings, name: str, say: Progress) -> None:
    """Publish every day for training; those that are there already are used again."""
    publish(
        settings, open_state_dir(settings), PublishRequest(_ends(settings)), lambda step, *_: say(f"{name}: {step}")
    )


def _ground(name: str, settings: Settings, say: Progress) -> Ground:
    say(f"{name}: joining the panel")
    panel = build_training_set(settings, open_state_dir(settings), _ends(settings))
    days = [day.to_pydatetime() for day in sorted(panel.rows.as_of.unique())]
    company = settings.data.folder if name == SIMULATED else None
    return Ground(name, settings, panel, backtest_splits(days, settings), company)


def _settings(config: Path, folder: Path, scratch: Path) -> Settings:
    read = read_settings(config)
    data = read.data.model_copy(update={"folder": folder.resolve()})
    return read.model_copy(update={"state": scratch.resolve(), "data": data})


def _ends(settings: Settings) -> datetime:
    ends = read_dataset(settings.data).observed_until
    if ends is None:
        raise LookupError(f"{settings.data.dataset} says no observed_until")
    return ends
