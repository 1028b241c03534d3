"""A Postgres that takes connections and falls silent: what waits for it ends, and a slow statement does not."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import sqlalchemy as sql
from sqlalchemy.exc import OperationalError

from serving.ledger.database import open_database

LOCK_SECONDS = 1.0  # so a connection that heard nothing for half a second asks whether the server answers at all


class SilencedServer:
    """A port that forwards to a Postgres, until it is silent: then it takes connections and forwards nothing."""

    def __init__(self, host: str, port: int) -> None:
        self._target, self.is_silent = (host, port), False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65536):
                while self.is_silent:
                    time.sleep(0.05)
                target.sendall(content)


@pytest.fixture
def server(postgres_server: str) -> Iterator[SilencedServer]:
    url = sql.make_url(postgres_server)
    silenced = SilencedServer(url.host or "127.0.0.1", url.port or 5432)
    yield silenced
    silenced.is_silent = False
    silenced.close()


def test_a_silent_server_ends_a_wait_and_is_used_again(postgres: str, server: SilencedServer):
    url = sql.make_url(postgres).set(host="127.0.0.1", port=server.port)
    engine = open_database(url.render_as_string(hide_password=False), lock_seconds=LOCK_SECONDS)
    slow = sql.text("select pg_sleep(1.5), 7")
    with engine.connect() as connection:
        assert connection.execute(slow).one()[1] == 7
        server.is_silent, began = True, time.monotonic()
        with pytest.raises(OperationalError, match="does not answer"):
            connection.execute(sql.text("select 1"))
    with pytest.raises(OperationalError, match="does not answer"), engine.connect():
        pass
    assert time.monotonic() - began < 5
    server.is_silent = False
    time.sleep(2)  # a server that was silent is left alone for a moment
    with engine.connect() as connection:
        assert connection.execute(sql.text("select 1")).scalar_one() == 1
