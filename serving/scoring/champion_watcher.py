"""A process beside the workers that makes the champion pointer agree with MLflow's alias.

MLflow takes seconds and hundreds of MB to import: here once, instead of in every worker. `watcher_process.py` keeps it
running.
"""

import logging
import os
import sys
import time
from pathlib import Path

from configs.background import BackgroundTask
from configs.errors import OarlockError
from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from serving.scoring.champion_pointer import sync_champion
from training.registry.mlflow_registry import Registry, open_registry

LOG = logging.getLogger("oarlock.champion")


def watch_champion(config: Path, worker_pid: int) -> None:
    """Call `sync_champion` every `serving.poll_seconds` until the worker ends that started it.

    If the registry cannot be reached, or a version is refused, the champion stays. No error ends the process.
    """
    settings = read_settings(config)
    state = open_state_dir(settings)
    registry = open_registry(state, settings.name)
    task = BackgroundTask("champion watcher", lambda: _sync(state, registry), settings.serving.poll_seconds)
    while os.getppid() == worker_pid:
        task.attempt()
        time.sleep(settings.serving.poll_seconds)


def _sync(state: StateDir, registry: Registry) -> None:
    try:
        sync_champion(state, registry)
    except (OSError, OarlockError, registry.error_type) as error:
        LOG.warning("the champion stays: %s", error)


if __name__ == "__main__":
    watch_champion(Path(sys.argv[1]), int(sys.argv[2]))
