"""Connections to Postgres that end if the server falls silent.

A server that hangs still takes connections and queries: its kernel acknowledges them, and no answer ever comes. So a
connection that heard nothing for a while asks, over another one, whether the server answers at all. A statement may
take as long as it needs; a silent server raises OperationalError within `SILENT_SECONDS` and `PROBE_SECONDS`.
"""

import time
from collections.abc import Generator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sql
from sqlalchemy import event

CONNECT_SECONDS = 5
SILENT_SECONDS = 5.0
PROBE_SECONDS = 2  # the least that libpq takes
REMEMBERED_SECONDS = 2.0  # a server that was silent just now is not asked again by the next connection
UNACKNOWLEDGED_SECONDS = 15  # a server whose kernel acknowledges nothing for so long is taken for dead
LIMITS = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": UNACKNOWLEDGED_SECONDS * 1000}
SILENT = "the server takes connections and does not answer"
Answer = TypeVar("Answer")


def with_driver(url: str) -> str:
    """The URL of a database with the driver that SQLAlchemy shall use, if it is that of a Postgres.

    >>> with_driver("postgresql://oarlock@db/oarlock")
    'postgresql+psycopg://oarlock@db/oarlock'
    """
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def watch_postgres() -> None:
    """From now on every engine of this process, also of a library, ends connections to a Postgres that is silent.

    An engine may have `silent_seconds` among its `connect_args`.
    """
    if not event.contains(sql.Engine, "do_connect", _connect):
        event.listen(sql.Engine, "do_connect", _connect)


def _connect(dialect: sql.Dialect, _: object, arguments: list[Any], parameters: dict[str, Any]) -> object:
    """A connection of the engine; None, so that SQLAlchemy makes it, if it is not to a Postgres through psycopg."""
    if dialect.driver != "psycopg":
        return None
    silent_seconds = parameters.get("silent_seconds", SILENT_SECONDS)
    parameters = LIMITS | {name: value for name, value in parameters.items() if name != "silent_seconds"}
    return _watched_connection().connect_watched(arguments, parameters, silent_seconds)


@lru_cache(maxsize=1)
def _watched_connection() -> Any:  # psycopg is imported only if it is used
    import psycopg

    last_silent: dict[tuple[object, ...], float] = {}

    class WatchedConnection(psycopg.Connection[Any]):
        """A connection that raises OperationalError if its server falls silent."""

        parameters: Mapping[str, Any] = {}
        silent_seconds = SILENT_SECONDS

        @classmethod
        def connect_watched(cls, arguments: list[Any], parameters: Mapping[str, Any], silent_seconds: float) -> Any:
            if time.monotonic() - last_silent.get(_server(parameters), -REMEMBERED_SECONDS) < REMEMBERED_SECONDS:
                raise psycopg.OperationalError(SILENT)
            connection = cls.connect(*arguments, **parameters)
            connection.parameters, connection.silent_seconds = parameters, silent_seconds
            return connection

        def wait(self, gen: Generator[Any, Any, Answer], *arguments: Any, **limits: Any) -> Answer:
            return super().wait(self._watch(gen), *arguments, **limits)

        def _watch(self, gen: Generator[Any, Any, Answer]) -> Generator[Any, Any, Answer]:
            try:
                awaited, heard = next(gen), time.monotonic()
                while True:
                    ready = yield awaited
                    if ready or time.monotonic() - heard > self.silent_seconds:
                        if not ready and _is_silent(self.parameters):
                            last_silent[_server(self.parameters)] = time.monotonic()
                            self.pgconn.finish()  # what it does now nobody knows, and a rollback would wait as well
                            raise psycopg.OperationalError(SILENT)
                        heard = time.monotonic()
                    awaited = gen.send(ready)
            except StopIteration as end:
                return end.value

    return WatchedConnection


def _server(parameters: Mapping[str, Any]) -> tuple[object, ...]:
    return parameters.get("host"), parameters.get("port")


def _is_silent(parameters: Mapping[str, Any]) -> bool:
    """Whether a server takes connections and says nothing, not even that it refuses them."""
    import psycopg

    probe: dict[str, Any] = {**parameters, "connect_timeout": PROBE_SECONDS}
    try:
        psycopg.connect(**probe).close()
    except psycopg.errors.ConnectionTimeout:
        return True
    except psycopg.OperationalError:
        return False
    return False
