"""Connections that break a limit end, over real sockets, and never keep others out."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from serving.load.connections import ConnectionGuard, ConnectionLimits
from serving.security.peer import asking_address

LIMITS = ConnectionLimits(
    max_connections=20, max_head_bytes=4_000, head_seconds=0.4, idle_seconds=0.4, response_seconds=0.4
)
LARGE_BYTES = 30_000_000
REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
Connect = Callable[[], socket.socket]


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once, whether or not the body has arrived; /large with more than a socket's buffers hold."""
    if scope["type"] != "http":
        return
    bodies = {"/large": b"x" * LARGE_BYTES, "/who": asking_address(scope).encode()}
    body = bodies.get(scope["path"], b"ok")
    if scope["path"] == "/body":
        while (await receive()).get("more_body"):
            pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def run_server(limits: ConnectionLimits) -> Iterator[tuple[ConnectionGuard, Connect]]:
    """A server with these limits, and connections to it."""
    guard = ConnectionGuard(lambda: limits)
    config = uvicorn.Config(answer, http=guard.create_protocol, lifespan="off", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        yield guard, lambda: socket.create_connection(listener.getsockname(), timeout=5)
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[ConnectionGuard, Connect]]:
    with run_server(LIMITS) as running:
        yield running


def receive_all(connection: socket.socket) -> bytes:
    """What the server sends until it closes the connection."""
    received = bytearray()
    try:
        while part := connection.recv(1_000_000):
            received += part
    except ConnectionResetError:
        pass
    return bytes(received)


def exchange(connect: Connect, *parts: bytes) -> tuple[int, str]:
    """The status and the error code of what the server answers before it closes the connection."""
    with connect() as connection:
        for part in parts:
            connection.sendall(part)
        head, _, body = receive_all(connection).partition(b"\r\n\r\n")
    assert b"x-request-id: " in head
    assert b"connection: close" in head
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def assert_answered(connect: Connect) -> None:
    """The server still answers others."""
    with connect() as connection:
        connection.sendall(REQUEST)
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nx: " + b"a" * 5_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"a" * 5_000,
        b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 900 + b"\r\n",
        REQUEST + b"GET / HTTP/1.1\r\nx: " + b"a" * 9_000,
    ],
    ids=["complete", "incomplete", "line", "many", "pipelined"],
)
def test_a_large_head_is_refused(server, head: bytes):
    _, connect = server
    with connect() as connection:
        connection.sendall(head[:3_000])
        time.sleep(0.05)
        connection.sendall(head[3_000:])
        answers = receive_all(connection)
    assert answers.count(b"HTTP/1.1 431") == 1
    assert b'"code": "large_head"' in answers


def test_a_head_below_the_limit_is_read_whatever_its_body(server):
    _, connect = server
    head = b"POST /body HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 3_000 + b"\r\ncontent-length: 100000\r\n\r\n"
    with connect() as connection:
        connection.sendall(head + b"b" * 100_000)
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (b"", b"127.0.0.1"),
        (b"x-forwarded-for: 10.0.0.9\r\n", b"10.0.0.9 via 127.0.0.1"),
        (b"x-forwarded-for: " + b"9" * 900 + b"\r\n", b"9" * 45 + b" via 127.0.0.1"),
    ],
    ids=["none", "another", "long"],
)
def test_a_header_does_not_hide_who_connects(server, header: bytes, address: bytes):
    _, connect = server
    with connect() as connection:
        connection.sendall(b"GET /who HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + header + b"\r\n")
        assert receive_all(connection).partition(b"\r\n\r\n")[2] == address


def test_what_is_no_http_is_refused_in_the_shape_of_other_errors(server):
    _, connect = server
    assert exchange(connect, b"\x16\x03\x01 hello\r\n\r\n") == (400, "not_http")


@pytest.mark.parametrize("start", [b"", b"GET / HT", REQUEST[:-2], b"\r\n"])
def test_a_head_that_does_not_arrive_is_ended(server, start: bytes):
    _, connect = server
    started = time.monotonic()
    with connect() as connection:
        connection.sendall(start)
        assert b'"code": "slow_head"' in receive_all(connection)
    assert LIMITS.head_seconds <= time.monotonic() - started < 3


def test_a_head_that_trickles_is_ended(server):
    _, connect = server
    started = time.monotonic()
    with connect() as connection, pytest.raises((ConnectionError, TimeoutError)):
        while time.monotonic() - started < 4:
            connection.sendall(b"\r\n")
            time.sleep(0.05)
        raise TimeoutError("it was not ended")
    assert time.monotonic() - started < 3


def test_an_idle_connection_is_closed(server):
    _, connect = server
    with connect() as connection:
        connection.sendall(REQUEST)
        assert receive_all(connection).count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "body",
    [b"content-length: 1000000\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n"],
)
def test_a_body_that_goes_on_after_its_answer_is_ended(server, body: bytes):
    _, connect = server
    started = time.monotonic()
    with connect() as connection, pytest.raises((ConnectionError, TimeoutError)):
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\n" + body)
        while time.monotonic() - started < 4:
            connection.sendall(b"1\r\nx\r\n")
            time.sleep(0.05)
        raise TimeoutError("it was not ended")
    assert time.monotonic() - started < 3


def test_endless_trailers_are_ended(server):
    guard, connect = server
    before = guard.closed["large_tail"]
    head = b"POST /body HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
    with connect() as connection, pytest.raises(ConnectionError):
        connection.sendall(head)
        for _ in range(1_000):
            connection.sendall(b"x: y\r\n" * 1_000)
    assert guard.closed["large_tail"] == before + 1


def test_a_client_that_does_not_take_its_response_is_ended(server):
    _, connect = server
    with connect() as connection:
        connection.sendall(REQUEST.replace(b"/ ", b"/large ", 1))
        time.sleep(2.5)
        assert len(receive_all(connection)) < LARGE_BYTES


def test_a_slow_client_that_takes_its_response_gets_all_of_it():
    with run_server(LIMITS._replace(response_seconds=20)) as (_, connect), connect() as connection:
        connection.sendall(REQUEST.replace(b"/ ", b"/large ", 1))
        time.sleep(1)
        assert len(receive_all(connection)) > LARGE_BYTES


def test_half_open_connections_do_not_keep_others_out(server):
    guard, connect = server
    before = guard.closed["too_many"]
    half_open = [connect() for _ in range(3 * LIMITS.max_connections)]
    for connection in half_open:
        connection.sendall(REQUEST[:20])
    assert_answered(connect)
    assert guard.closed["too_many"] - before >= 2 * LIMITS.max_connections
    for connection in half_open:
        connection.close()


def test_a_web_socket_is_answered_as_a_request(server):
    _, connect = server
    with connect() as connection:
        upgrade = (
            b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n\r\n"
        )
        connection.sendall(REQUEST[:-2] + upgrade)
        assert connection.recv(1_000).startswith(b"HTTP/1.1 200")
