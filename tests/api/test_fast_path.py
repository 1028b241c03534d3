"""The short way of POST /v1/score: past BentoML and FastAPI, and not past the gate, the limits or the counts."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from serving.api.app import Api, create_app
from serving.api.middleware.auth import AuthMiddleware
from serving.api.middleware.fast_path import FastScorePathMiddleware
from serving.api.middleware.request_log import RequestLogMiddleware
from serving.ledger.database import open_database
from serving.security.api_keys import KeyRing, add_key, make_key
from serving.security.authorization import Gate
from serving.telemetry.metrics import Metrics

pytestmark = pytest.mark.usefixtures("counted_in_this_process")
NOW = datetime(2024, 1, 1, 12)
SCORE = "/v1/score"
ONE = {"account_ids": ["1096"], "drivers": 3}


async def _elsewhere(scope, _, send) -> None:
    """What BentoML would find for a path that is passed on."""
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


class Doors:
    """The short way behind the middleware that stands before it in the service."""

    def __init__(self, api: Api, database) -> None:
        self.engine = open_database(database)
        self.gate = Gate(KeyRing(lambda: self.engine), lambda: NOW)
        self.metrics = Metrics(lambda: [])
        short = AuthMiddleware(FastScorePathMiddleware(_elsewhere, api, "/v1"), lambda: self.gate)
        self.app = RequestLogMiddleware(short, lambda: self.metrics)

    def key(self, **more) -> dict[str, str]:
        """Make a key; gives the header that shows it."""
        secret, key = make_key("crm", ("score",), 600, NOW)
        add_key(self.engine, replace(key, **more))
        self.gate.ring.refresh()
        return {"authorization": f"Bearer {secret}"}

    def ask(self, path: str = SCORE, method: str = "POST", **content) -> httpx.Response:
        """One request."""
        content = {"json": ONE} | content if method == "POST" and "content" not in content else content
        return _ask(self.app, method, path, **content)


def _ask(app: ASGIApp, method: str, path: str, **content) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **content)

    return asyncio.run(send())


@pytest.fixture(scope="module")
def api(office) -> Api:
    return create_app(lambda: office.desk)


@pytest.fixture
def doors(api, tmp_path) -> Doors:
    return Doors(api, tmp_path / "keys.db")


@pytest.fixture
def long_way(api) -> Callable[..., httpx.Response]:
    """The same routes through FastAPI's own router."""

    async def router(scope, receive, send) -> None:
        await FastAPI.__call__(api, scope, receive, send)

    return lambda **content: _ask(router, "POST", "/score", **content)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"json": ONE}, 200),
        ({"json": {"account_ids": ["1096", "nobody"]}}, 200),
        ({"content": b"{"}, 400),
        ({"json": {"account_ids": ["1096"], "drivers": -1}}, 422),
        ({"json": {"account_ids": ["1096"], "explain": True}}, 422),
        ({"json": {"account_ids": [str(n) for n in range(10_001)]}}, 422),
        ({"content": b" " * 1_000_001}, 413),
    ],
)
def test_it_answers_what_the_long_way_answers(doors, long_way, content, status):
    content |= {"headers": {"x-request-id": "abc"}}
    short, long = doors.ask(**content), long_way(**content)
    assert (short.status_code, short.content) == (long.status_code, long.content)
    assert short.status_code == status
    assert short.headers["content-type"] == long.headers["content-type"] == "application/json"


def test_it_gives_back_the_request_id_and_the_headers_that_browsers_obey(doors):
    reply = doors.ask(headers={"x-request-id": "abc"})
    assert reply.headers["x-request-id"] == "abc"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"


def test_once_a_key_was_made_it_asks_for_one(doors):
    headers = doors.key()
    refused = doors.ask()
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "key_needed")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert doors.ask(headers=headers).status_code == 200


def test_it_asks_for_the_scope(doors):
    refused = doors.ask(headers=doors.key(scopes=("read",)))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_needed")


def test_it_keeps_to_the_rate_of_a_key(doors):
    headers = doors.key(per_minute=1)
    assert doors.ask(headers=headers).status_code == 200
    refused = doors.ask(headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "60"


def test_it_is_counted_under_its_route(doors):
    doors.ask()
    doors.ask(content=b"{")
    counted = doors.metrics.render().decode()
    assert 'oarlock_requests_total{method="POST",route="/v1/score",status="200"} 1.0' in counted
    assert 'oarlock_requests_total{method="POST",route="/v1/score",status="400"} 1.0' in counted


def test_a_query_goes_the_long_way(doors, office):
    given = office.desk.engine.ledger.count()
    reply = doors.ask(f"{SCORE}?as_of=2000-01-01").json()
    assert (reply["scores"], reply["not_scored"]) == ([], [{"account_id": "1096", "reason": "never_scored"}])
    assert office.desk.engine.ledger.count() == given


@pytest.mark.parametrize("path", ["/v1/scores", "/v1/score/", "/score", "/v1/model"])
def test_any_other_path_is_passed_on(doors, path):
    reply = doors.ask(path)
    assert (reply.status_code, reply.text) == (299, path)


def test_another_method_is_refused_in_our_own_words(doors):
    reply = doors.ask(method="GET")
    assert (reply.status_code, reply.json()["error"]["code"]) == (405, "method_not_allowed")
