"""The model that is trained once on the shipped extract, and the last day of that extract."""

import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from tests.support.paths import ROOT
from tests.support.progress import ignore_progress

EXTRACT_END = datetime(2023, 7, 1)
# The environment of a training whose evaluation is short, and of one whose model is small, too.
QUICK_EVALUATION = {
    "OARLOCK_EVALUATION__BACKTEST_FOLDS": "1",
    "OARLOCK_EVALUATION__ABLATION_SNAPSHOTS": "0",
    "OARLOCK_STABILITY__REFITS": "2",
}
QUICK_TRAINING = QUICK_EVALUATION | {"OARLOCK_TRAINING__NUM_ITERATIONS": "2"}


@dataclass(frozen=True)
class TrainedModel:
    """A state folder with a published history and a promoted model."""

    settings: Settings
    state: StateDir
    config: Path


def open_trained_model(folder: Path) -> TrainedModel:
    """The model that `train_shipped_extract` made in this folder."""
    config = folder / "crm5.toml"
    settings = read_settings(config)
    return TrainedModel(settings, open_state_dir(settings), config)


def train_shipped_extract(folder: Path) -> None:
    """Publish the shipped extract into a new folder, train a model on it, and promote that."""
    from features.publishing.pipeline import PublishRequest, publish
    from serving.scoring.champion_pointer import make_champion
    from training.pipelines.train import train
    from training.registry.mlflow_registry import open_registry
    from training.registry.promotion import Decision, approve_promotion

    folder.mkdir()
    shipped = (ROOT / "configs/crm5.toml").read_text()
    config = shipped.replace("datasets/", f"{ROOT}/configs/datasets/").replace("../.oarlock", "state")
    (folder / "crm5.toml").write_text(config)
    model = open_trained_model(folder)
    publish(model.settings, model.state, PublishRequest(EXTRACT_END), ignore_progress)
    version = train(model.settings, model.state, EXTRACT_END, ignore_progress).version
    registry = open_registry(model.state, model.settings.name)
    event = approve_promotion(registry, version, Decision(EXTRACT_END))
    assert event is not None
    make_champion(model.state, registry, event)


def copy_folder(source: Path, target: Path) -> Path:
    """Copy a folder with databases that this process may have open; gives the copy.

    Another process copies: if this one closed a file of SQLite, it would lose its locks on that file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--archive", str(source), str(target)], check=True)
    return target


def copy_without_risks(trained: TrainedModel, target: Path) -> Path:
    """Copy a trained model without the risks that other tests were served; gives its settings file."""
    config = copy_folder(trained.config.parent, target) / trained.config.name
    state = open_state_dir(read_settings(config))
    for file in state.folder.glob(f"{state.ledger.name}*"):
        file.unlink()
    shutil.rmtree(state.write_ahead_log, ignore_errors=True)
    return config
