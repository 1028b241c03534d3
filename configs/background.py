"""Background work of a process: it goes on whatever happens, and says so while it cannot.

A thread that ends with an error would leave a service that answers and follows nothing: no promotion, no revoked key.
So a task is tried again with back-off after any error. It is counted, logged, and takes readiness away while it is down
for longer than a moment.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tenacity import RetryCallState, Retrying, stop_after_attempt, stop_when_event_set, wait_exponential
from tenacity.nap import sleep_using_event

from configs.errors import NotReady

LOG = logging.getLogger("oarlock.background")
BACKOFF = wait_exponential(multiplier=0.5, max=5.0)
DOWN_SECONDS = 10.0  # a file that is being written, or a database that restarts, is back by then


@dataclass
class TaskHealth:
    """Whether a task works: how often it failed, and since when and why it fails now."""

    name: str
    failures: int = 0
    error: str = ""
    failing_since: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def record_failure(self, error: BaseException | None) -> None:
        """Count and log a failure."""
        with self._lock:
            self.failures += 1
            self.error = f"{type(error).__name__}: {error}"
            if self.failing_since is None:
                self.failing_since = time.monotonic()
        LOG.error("the background task %r failed and is tried again", self.name, exc_info=error)

    def record_success(self) -> None:
        """Note that it works."""
        with self._lock:
            self.failing_since = None

    def seconds_down(self) -> float:
        """For how long it has failed; 0 if it works."""
        since = self.failing_since
        return 0.0 if since is None else time.monotonic() - since


class BackgroundTask:
    """Work that a thread repeats every few seconds until it is stopped."""

    def __init__(self, name: str, work: Callable[[], None], seconds: float) -> None:
        self.health = TaskHealth(name)
        self._work, self._seconds = work, seconds

    def attempt(self) -> None:
        """Do the work once; a failure is recorded, not raised."""
        Retrying(stop=stop_after_attempt(1), retry_error_callback=self._record_failure)(self._do)

    def start(self, stopping: threading.Event) -> threading.Thread:
        """Repeat the work in a thread of its own, with back-off after a failure."""
        thread = threading.Thread(target=self._repeat, args=[stopping], name=self.health.name, daemon=True)
        thread.start()
        return thread

    def _repeat(self, stopping: threading.Event) -> None:
        retrying = Retrying(
            wait=BACKOFF,
            stop=stop_when_event_set(stopping),
            sleep=sleep_using_event(stopping),
            before_sleep=self._record_failure,
            retry_error_callback=lambda _: None,
        )
        while not stopping.wait(self._seconds):
            retrying(self._do)

    def _do(self) -> None:
        self._work()
        self.health.record_success()

    def _record_failure(self, state: RetryCallState) -> None:
        self.health.record_failure(state.outcome.exception() if state.outcome else None)


def require_running(tasks: Iterable[TaskHealth]) -> None:
    """Raise NotReady with the reason if a task has been down for longer than a moment."""
    for task in tasks:
        if (seconds := task.seconds_down()) > DOWN_SECONDS:
            message = (
                f"The background task {task.name!r} has failed for {seconds:.0f} seconds: {task.error.rstrip('.')}."
            )
            raise NotReady(message, "It is tried again; mend what it names, or read the service's log.")
