"""A running service whose ledger is locked, that gets too much work, or whose clients are slow: others are answered."""

import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress

import httpx
import psycopg
import pytest

from configs.state_dir import open_state_dir
from serving.ledger.ledger import open_ledger
from serving.ledger.schema import RISKS
from tests.support.service_process import RunningService, run_service, wait_until
from tests.support.trained_model import TrainedModel

pytestmark = pytest.mark.slow
TEN_IDS = {"account_ids": ["1096", *(f"unknown-{n}" for n in range(9))]}
FEEDBACK = {"account_id": "1096", "verdict": "right"}
UNAFFECTED = ("/v1/ready", "/readyz", "/v1/model", "/v1/accounts?limit=1", "/metrics")


@contextmanager
def lock_sqlite(trained: TrainedModel) -> Iterator[None]:
    with closing(sqlite3.connect(trained.state.ledger, isolation_level=None)) as connection:
        connection.execute("begin exclusive")
        yield
        connection.execute("rollback")


@contextmanager
def lock_postgres(url: str) -> Iterator[None]:
    with psycopg.connect(url) as connection:
        connection.execute("lock table risks, feedback in access exclusive mode")
        yield
        connection.rollback()


def get_all(service: RunningService, paths: tuple[str, ...] = UNAFFECTED) -> dict[str, int]:
    """The status of each path, each of which must be answered within a second or two."""
    statuses = {}
    for path in paths:
        response = service.client.get(path, timeout=2)
        statuses[path] = response.status_code
    return statuses


def assert_others_are_answered(service: RunningService, request: Callable[[], httpx.Response], count: int) -> None:
    """While `count` requests wait for a lock, everything that does not need the ledger is answered."""
    with ThreadPoolExecutor(count) as executor:
        waiting = [executor.submit(request) for _ in range(count)]
        time.sleep(0.5)
        assert get_all(service) == dict.fromkeys(UNAFFECTED, 200)
        assert service.client.post("/v1/score", json=TEN_IDS, timeout=2).status_code == 200
        responses = [future.result() for future in waiting]
    for response in responses:
        assert response.status_code == 503
        assert response.json()["error"]["code"] in ("database_down", "timeout", "overloaded")
        assert response.headers["retry-after"]
        assert response.headers["x-request-id"]


def test_a_locked_sqlite_ledger_stops_nothing_else(trained: TrainedModel):
    with run_service(trained.config, OARLOCK_SERVING__REQUEST_TIMEOUT_SECONDS="2") as service:
        wait_until(lambda: service.client.get("/v1/accounts?limit=1").status_code == 200)

        def send_feedback() -> httpx.Response:
            return service.client.post("/v1/feedback", json=FEEDBACK)

        with lock_sqlite(trained):
            assert_others_are_answered(service, send_feedback, 20)
        wait_until(lambda: send_feedback().status_code == 200)


def test_a_locked_postgres_table_stops_nothing_else(trained: TrainedModel, postgres: str):
    environment = {"OARLOCK_LEDGER__URL": postgres, "OARLOCK_SERVING__REQUEST_TIMEOUT_SECONDS": "2"}
    with run_service(trained.config, **environment) as service:
        wait_until(lambda: service.client.get("/v1/accounts?limit=1").status_code == 200)

        def get_history() -> httpx.Response:
            return service.client.get("/v1/accounts/1096/history")

        with lock_postgres(postgres):
            assert_others_are_answered(service, get_history, 20)
        # What was scored meanwhile is in the ledger once the lock is released.
        wait_until(lambda: len(get_history().json().get("risks", [])) == 1)


def test_what_is_too_much_is_refused_at_once_and_recorded_only_if_it_was_answered(trained: TrainedModel):
    with run_service(trained.config, OARLOCK_SERVING__MAX_ACCOUNTS_IN_FLIGHT="2000") as service:
        wait_until(lambda: service.client.get("/v1/accounts?limit=1").status_code == 200)
        ids = [account["account_id"] for account in service.client.get("/v1/accounts?limit=500").json()["accounts"]]
        prefix = f"overload-{time.time_ns()}"

        def score(number: int) -> httpx.Response:
            body = {"account_ids": [*ids, *(f"unknown-{n}" for n in range(1_000))], "drivers": 50}
            return service.client.post("/v1/score", json=body, headers={"x-request-id": f"{prefix}-{number}"})

        with ThreadPoolExecutor(30) as executor:
            responses = list(executor.map(score, range(30)))
        answered = {response.headers["x-request-id"] for response in responses if response.status_code == 200}
        refused = [response for response in responses if response.status_code != 200]
        assert answered
        assert refused
        for response in refused:
            assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
            assert response.headers["retry-after"] == "1"
            assert response.headers["x-request-id"].startswith(prefix)
            assert response.elapsed.total_seconds() < 5
        wait_until(lambda: recorded_requests(trained, prefix) == answered)
        refused_total = f'oarlock_http_requests_refused_total{{pool="scoring"}} {len(refused)}.0'
        wait_until(lambda: refused_total in service.client.get("/metrics").text)


def test_a_request_that_took_too_long_is_not_recorded(trained: TrainedModel):
    with run_service(trained.config, OARLOCK_SERVING__REQUEST_TIMEOUT_SECONDS="0.02") as service:
        prefix = f"late-{time.time_ns()}"
        body = {"account_ids": ["1096", *map(str, range(9_000))], "drivers": 50}
        response = service.client.post("/v1/score", json=body, headers={"x-request-id": prefix})
        assert (response.status_code, response.json()["error"]["code"]) == (503, "timeout")
        assert response.headers["x-request-id"] == prefix
        once = service.client.post("/v1/score", json={"account_ids": ["1096"]}, headers={"x-request-id": f"{prefix}-2"})
        assert once.status_code == 200
        wait_until(lambda: recorded_requests(trained, prefix) == {f"{prefix}-2"})


def test_slow_and_large_requests_do_not_keep_others_out(trained: TrainedModel):
    environment = {"OARLOCK_SERVING__HEAD_TIMEOUT_SECONDS": "1", "OARLOCK_SERVING__MAX_CONNECTIONS": "50"}
    with run_service(trained.config, **environment) as service, ExitStack() as stack:
        port = service.client.base_url.port
        assert port
        half_open = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(700)]
        for connection in half_open:
            with suppress(ConnectionError):
                connection.sendall(b"GET /v1/ready HTTP/1.1\r\n")
        with httpx.Client(base_url=service.client.base_url) as client:
            assert client.get("/v1/ready", timeout=2).status_code == 200
        time.sleep(3)
        assert not any(is_open(connection) for connection in half_open)
        response = service.client.get("/v1/ready", headers={"x": "a" * 60_000})
        assert (response.status_code, response.json()["error"]["code"]) == (431, "large_head")
        wait_until(lambda: 'connections_closed_total{reason="large_head"} 1.0' in service.client.get("/metrics").text)


def is_open(connection: socket.socket) -> bool:
    """Whether the service has not closed a connection, after what it answered."""
    connection.settimeout(0.2)
    try:
        while connection.recv(10_000):
            pass
    except TimeoutError:
        return True
    except ConnectionError:
        return False
    return False


def recorded_requests(trained: TrainedModel, prefix: str) -> set[str]:
    """The requests in the ledger whose ids begin like this."""
    ledger = open_ledger(trained.settings, open_state_dir(trained.settings))
    query = RISKS.select().with_only_columns(RISKS.c.request_id).where(RISKS.c.request_id.startswith(prefix))
    with ledger.engine.connect() as connection:
        return set(connection.execute(query.distinct()).scalars())
