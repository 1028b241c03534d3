"""Following: a process beside the workers that turns MLflow's alias, wherever it was moved, into the pointer they read.

MLflow takes hundreds of MB and seconds; here it takes them once, not in every worker.
"""

import logging
import os
import sys
import time
from pathlib import Path

from configs.errors import OarlockError
from configs.settings import read_settings
from configs.state_dir import open_state
from serving.scoring.champion_pointer import sync_champion
from training.registry.mlflow_registry import open_registry

LOG = logging.getLogger("oarlock.following")


def watch_champion(config: Path, service: int) -> None:
    """Bring the pointer in line with the alias every `serving.poll_seconds` while the service's process lives.

    A registry that cannot be reached, and a version that is refused, leave the champion as it is.
    """
    settings = read_settings(config)
    state = open_state(settings)
    registry = open_registry(state, settings.name)
    while os.getppid() == service:
        try:
            sync_champion(state, registry)
        except (OSError, OarlockError, registry.problems) as problem:
            LOG.warning("the champion stays as it is: %s", problem)
        time.sleep(settings.serving.poll_seconds)


if __name__ == "__main__":
    watch_champion(Path(sys.argv[1]), int(sys.argv[2]))
