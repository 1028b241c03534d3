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
        ended = self._process if self._process and self._process.poll() is not None else None
        if ended:  # said once, whichever worker starts the next watcher
            self._process = None
        self._start_if_none_runs()
        if ended:
            raise NotReady(f"The watcher of the champion ended with {ended.returncode} and was started again.")

    def _start_if_none_runs(self) -> None:
        with self._lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            command = [sys.executable, "-m", MODULE, str(self._config), str(os.getpid())]
            # The child inherits the lock, which so is held exactly as long as it lives.
            self._process = subprocess.Popen(command, pass_fds=[lock.fileno()])
