"""Decides, once, whether a request is still answered: a risk is recorded as given only if somebody waits for it."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from configs.errors import ReplyAbandoned

if TYPE_CHECKING:
    from sqlalchemy import Connection


class PendingReply:
    """A reply that is committed by the code that answers, or abandoned: the time is up, or the client went away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.keep: Callable[[Connection, object], None] = _keep_nothing
        """Keeps the content of the response for a repetition, in the transaction of what the response says was done."""
        self._is_committed = self._is_abandoned = False
        self.is_expired = False

    def commit(self) -> None:
        """Decide that the request is answered, before what cannot be undone. Raises ReplyAbandoned if it is not."""
        with self._lock:
            if self._is_abandoned:
                raise ReplyAbandoned("Nobody waits for this response any more.")
            self._is_committed = True

    def abandon(self) -> bool:
        """Decide that the request is not answered; False if it was decided before, either way."""
        with self._lock:
            if self._is_committed or self._is_abandoned:
                return False
            self._is_abandoned = True
            return True

    def expire(self) -> bool:
        """Abandon the reply because its time is up; False if it was decided before, either way."""
        self.is_expired = self.abandon()
        return self.is_expired


def _keep_nothing(connection: "Connection", content: object) -> None:
    """A request without an idempotency key is not repeated."""
