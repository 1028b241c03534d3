"""The data sets of the benchmark, each with its training set and rolling origins."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from configs.sections.signals import SignalSettings
from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.publishing.pipeline import PublishRequest, publish
from features.simulator.model.parameters import Company
from features.simulator.writer import write_company
from features.tables.dataset import read_dataset
from training.data.time_splits import TimeSplit
from training.data.training_set import TrainingSet, build_training_set
from training.evaluation.backtest import backtest_splits

CONFIGS = Path(__file__).parents[2] / "configs"
EXTERNAL_DATASETS = ("crm5", "online_retail", "online_retail_ii", "online_retail_ii_cadence", "ravenstack")
TWO_YEARS = ("online_retail_ii", "online_retail_ii_cadence")  # their mapping reads the folders of both years
SIMULATED = "simulated"
MONTHS = 24
END = datetime(2026, 7, 1)  # of simulated histories, as their mapping says
MIN_TENURE_DAYS = 28  # crm5: accounts that have been customers for so long
CORES = 2
Progress = Callable[[str], None]


@dataclass(frozen=True)
class BenchmarkDataset:
    """One data set: its training set, and its origins, newest first; `company` holds the truth of a simulated one."""

    name: str
    settings: Settings
    panel: TrainingSet
    splits: list[TimeSplit]
    company: Path | None = None

    def scope(self, test: pd.DataFrame) -> pd.DataFrame:
        """The test snapshots that count."""
        selected = test[test.tenure >= MIN_TENURE_DAYS] if self.name == "crm5" else test
        return selected.reset_index(drop=True)


def open_external(
    name: str, folder: Path, scratch: Path, report: Progress, *, signals: SignalSettings | None = None
) -> BenchmarkDataset:
    """An external data set, with `signals` of its own; `folder` has a folder per data set."""
    settings = _settings(CONFIGS / f"{name}.toml", folder if name in TWO_YEARS else folder / name, scratch)
    if signals is not None:
        settings = settings.model_copy(update={"signals": signals})
    _publish(settings, name, report)
    return _open_dataset(name, settings, report)


def open_simulated(company: Company, scratch: Path, report: Progress) -> BenchmarkDataset:
    """A simulated company; one that is in `scratch` already is reused."""
    return _open_dataset(SIMULATED, simulated_history(company, scratch, report), report)


def simulated_history(company: Company, scratch: Path, report: Progress) -> Settings:
    """The settings of a simulated company whose history is published in `scratch`."""
    folder = scratch / "company"
    report(f"simulating {company.accounts:,} accounts")
    write_company(company, folder, workers=CORES)
    settings = _observed_from(_settings(CONFIGS / "oarlock.toml", folder, scratch), company.start)
    _publish(settings, SIMULATED, report)
    return settings


def _publish(settings: Settings, name: str, report: Progress) -> None:
    """Publish every day for training; published days are reused."""
    request = PublishRequest(_observed_until(settings))
    publish(settings, open_state_dir(settings), request, lambda step, *_: report(f"{name}: {step}"))


def _open_dataset(name: str, settings: Settings, report: Progress) -> BenchmarkDataset:
    report(f"{name}: building the training set")
    panel = build_training_set(settings, open_state_dir(settings), _observed_until(settings))
    days = [day.to_pydatetime() for day in sorted(panel.rows.as_of.unique())]
    company = settings.data.folder if name == SIMULATED else None
    return BenchmarkDataset(name, settings, panel, backtest_splits(days, settings), company)


def _settings(config: Path, folder: Path, scratch: Path) -> Settings:
    read = read_settings(config)
    data = read.data.model_copy(update={"folder": folder.resolve()})
    return read.model_copy(update={"state": scratch.resolve(), "data": data})


def _observed_from(settings: Settings, start: date) -> Settings:
    """The settings of a simulated company that begins on this day; the shipped mapping begins two years ago."""
    if start == Company().start:
        return settings
    mapping = settings.state / "simulated.toml"
    shipped = settings.data.dataset.read_text("utf-8")
    mapping.write_text(shipped.replace(f"{Company().start:%Y-%m-%d}", f"{start:%Y-%m-%d}"), "utf-8")
    return settings.model_copy(update={"data": settings.data.model_copy(update={"dataset": mapping})})


def _observed_until(settings: Settings) -> datetime:
    ends = read_dataset(settings.data).observed_until
    if ends is None:
        raise LookupError(f"{settings.data.dataset} has no observed_until")
    return ends
