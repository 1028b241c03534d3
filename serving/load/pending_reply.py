"""Decides, once, whether a request is still answered: a risk is recorded as given only if somebody waits for it."""

import threading

from configs.errors import ReplyAbandoned


class PendingReply:
    """A reply that is committed by the code that answers, or abandoned: the time is up, or the client went away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
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
