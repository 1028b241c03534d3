"""Keeps the champion watcher running: each worker looks after it, and the first that finds none running starts it."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from configs.errors import NotReady
from configs.state_dir import StateDir

MODULE = "serving.scoring.champion_watcher"


class WatcherProcess:
    """The watcher of a state folder, which one of the workers runs as its child."""

    def __init__(self, config: Path, state: StateDir) -> None:
        self._config, self._lock = config, state.folder / "champion_watcher.lock"
        self._process: subprocess.Popen[bytes] | None = None

    def ensure_running(self) -> None:
        """Start the watcher unless some worker runs it; raises NotReady if the one that this worker ran has ended."""
        with self._lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            ended, command = self._process, [sys.executable, "-m", MODULE, str(self._config), str(os.getpid())]
            # The child inherits the lock, which so is held exactly as long as it lives.
            self._process = subprocess.Popen(command, pass_fds=[lock.fileno()])
        if ended is not None:
            raise NotReady(f"The watcher of the champion ended with {ended.wait()} and was started again.")
