"""The connection to Redis, and what a fault of Redis means. No other folder imports its client."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from configs.errors import ConfigError, StoreDown

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 5.0
READ_SECONDS = 1.0  # a request that waits longer for its signals would have no time left for the last known risks
CHECK_SECONDS = 30  # a connection that was idle longer is checked before it is used
HINT = 'Start Redis, or check stores.online: "redis://host:6379/0".'


def connect(url: str, answer_seconds: float = ANSWER_SECONDS) -> redis.Redis:
    """A client of the server at a URL; nothing is sent yet. Safe to use from many threads and after a fork.

    An answer is waited for so long, twice. Raises ConfigError for a URL that is not of Redis.
    """
    try:
        return _client(url, answer_seconds)
    except ValueError:
        # The message must not repeat the URL: it may hold a password.
        raise ConfigError("stores.online is not the URL of a Redis.", 'Write "redis://host:6379/0".') from None


class SilentServer:
    """Whether a server was silent last: then one request at a time asks it, and the others get its error at once.

    Otherwise every thread of a service would wait for a server that does not answer.
    """

    def __init__(self) -> None:
        self._error: StoreDown | None = None
        self._asking = threading.Lock()

    @contextmanager
    def ask(self) -> Generator[None]:
        """Note whether the block ends in StoreDown after a wait. Raises StoreDown, before it, if it did last."""
        error = self._error
        if error is None:
            with self._noting():
                yield
        elif self._asking.acquire(blocking=False):
            try:
                with self._noting():
                    yield
            finally:
                self._asking.release()
        else:
            raise StoreDown(error.message, error.hint)

    @contextmanager
    def _noting(self) -> Generator[None]:
        began = time.monotonic()
        try:
            yield
        except StoreDown as error:
            self._error = error if time.monotonic() - began > READ_SECONDS else None
            raise
        self._error = None


@contextmanager
def store_errors() -> Generator[None]:
    """Raise StoreDown for any fault of Redis, and for a value that this release did not write."""
    try:
        yield
    except RedisError as error:
        raise StoreDown(f"The online store in Redis cannot be used: {_first_line(error)}.", HINT) from None
    except ValueError as error:
        message = f"The online store in Redis holds what this release did not write: {_first_line(error)}."
        raise StoreDown(message, "Run `oarlock publish`: it fills the online store anew.") from None


def require_no_eviction(client: redis.Redis) -> None:
    """Raise ConfigError for a server that may drop keys when its memory is full: their accounts would seem unknown."""
    memory = client.info("memory")
    policy = memory.get("maxmemory_policy", "noeviction")
    if memory.get("maxmemory") and policy != "noeviction":
        message = f"Redis may drop accounts when its memory is full: its maxmemory-policy is {policy}."
        raise ConfigError(message, "Set maxmemory-policy to noeviction.")


@lru_cache(maxsize=8)
def _client(url: str, answer_seconds: float) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=answer_seconds,
        health_check_interval=CHECK_SECONDS,
        retry=Retry(NoBackoff(), 1),  # a connection that the server closed meanwhile is opened again
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
