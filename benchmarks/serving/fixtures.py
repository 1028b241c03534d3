"""What the serving benchmarks serve: a simulated company published online, and models trained on it, made once.

The model has the default size, or 500 trees of 31 leaves over every signal. It is not held to any proof, because its
speed is measured.
"""

import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from features.compute.fingerprints import signal_set
from features.publishing.pipeline import PublishRequest, publish
from features.store.publication import published_as_of, published_history_folder
from features.tables.contract import ACCOUNT_ID
from features.tables.dataset import read_dataset
from serving.scoring.champion_pointer import sync_champion
from training.data.training_set import TrainingSet, build_training_set
from training.labels.definition import describe_label
from training.model.churn_model import ChurnModel
from training.model.fit import FitConfig, FitRows, fit_churn_model
from training.pipelines.training_inputs import build_provenance
from training.registry.mlflow_registry import ChampionEvent, Registry, open_registry
from training.registry.training_run import TrainingRun
from training.registry.version import Version

CONFIG = Path(__file__).parents[2] / "configs/oarlock.toml"
# The part of the settings file that says how large the model is.
MODEL_SIZES = {"default": "", "large": "[training]\nnum_iterations = 500\nnum_leaves = 31\n"}
WARMUP_DAYS = 530  # leaves few days to publish: they are enough to learn from
NO_HISTORY = 5_000  # leaves no day to learn from
LEARNED = 10_000


def make_service_folder(company: Path, folder: Path, model_size: str = "default") -> Path:
    """The settings file of a folder whose service can be started, with two versions, the first of them champion."""
    config = _config(company, folder / model_size, WARMUP_DAYS, model_size)
    settings = read_settings(config)
    state = open_state_dir(settings)
    registry = open_registry(state, settings.name)
    if len(registry.versions()) < 2:
        ends = read_dataset(settings.data).observed_until
        assert ends is not None
        make_versions(settings, state, registry, ends)
    registry.client.set_registered_model_alias(registry.name, "champion", "1")
    sync_champion(state, registry)
    return config


def published(company: Path, folder: Path, served: Path) -> Path:
    """The settings file of a folder with one published day of a company and the champion of `served`."""
    config = _config(company, folder, NO_HISTORY)
    settings, source = read_settings(config), open_state_dir(read_settings(served))
    state, ends = open_state_dir(settings), read_dataset(settings.data).observed_until
    assert ends is not None
    publish(settings, state, PublishRequest(ends), _say)
    shutil.copytree(source.bundles, state.bundles, dirs_exist_ok=True)
    for name in ("champion", "models"):
        shutil.copy(getattr(source, name), getattr(state, name))
    return config


def accounts(state: StateDir) -> list[str]:
    """The accounts that are online, in the order of their ids."""
    day = published_history_folder(state) / "days" / f"{published_as_of(state):%Y-%m-%d}"
    return pq.read_table(next(day.resolve().glob("*.parquet")), columns=[ACCOUNT_ID])[ACCOUNT_ID].to_pylist()


def _config(company: Path, folder: Path, warmup_days: int, model_size: str = "default") -> Path:
    config, dataset = folder / "bench.toml", CONFIG.parent / "datasets/simulated.toml"
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(
        f'state = "state"\n[data]\ndataset = "{dataset}"\nfolder = "{company.resolve()}"\n'
        f"[snapshots]\nwarmup_days = {warmup_days}\n{MODEL_SIZES[model_size]}"
    )
    return config


def make_versions(settings: Settings, state: StateDir, registry: Registry, ends: datetime) -> None:
    """Publish a day, and register two versions that are fitted on the days until then; the first is champion."""
    publish(settings, state, PublishRequest(ends), _say)
    panel = build_training_set(settings, state, ends)
    for seed in (7, 8):
        model = _model(settings, panel, seed)
        _say(f"model of seed {seed} is fitted")
        _register(settings, panel, registry, model)


def _say(step: str, *_: object) -> None:
    print(step, file=sys.stderr, flush=True)  # standard output is for figures


def _model(settings: Settings, panel: TrainingSet, seed: int) -> ChurnModel:
    days = np.sort(panel.rows.as_of.unique())
    rows = panel.rows.sample(min(LEARNED, len(panel.rows)), random_state=seed)
    early = rows[rows.as_of < days[-1]].reset_index(drop=True)
    late = rows[rows.as_of == days[-1]].reset_index(drop=True)
    identity = {"signal_set": signal_set(panel.history.signals), "label": "benchmark", "seed": str(seed)}
    training = settings.training.model_copy(update={"seed": seed})
    config = FitConfig(panel.history.signals, training, describe_label(settings.label), identity)
    return fit_churn_model(FitRows(early, late, rows.reset_index(drop=True)), config)


def _register(settings: Settings, panel: TrainingSet, registry: Registry, model: ChurnModel) -> Version:
    ends = datetime.max
    with tempfile.TemporaryDirectory() as pictures:
        made_from = build_provenance(settings, panel, ends)
        run = TrainingRun(model, None, made_from, {}, {}, str(model.identity), Path(pictures))
        version = registry.log_run(run)
    if version.number == 1:
        registry.set_champion(ChampionEvent(1, ends.isoformat(), "promoted", "a benchmark"))
    return version
