"""The fast path of POST /v1/score: it skips BentoML and FastAPI, but not authorization, limits and metrics."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp

from serving.api.middleware.auth import AuthMiddleware
from serving.api.middleware.fast_path import FastScorePathMiddleware
from serving.api.middleware.request_id import RequestIdMiddleware
from serving.api.middleware.request_log import RequestLogMiddleware
from serving.api.routes.scores import post_score
from serving.api.scopes import ScopeTable
from serving.app import ENDPOINTS, PREFIX, create_app
from serving.ledger.database import open_database
from serving.security.api_keys import KeyCache, create_key, save_key
from serving.security.authorization import Authorizer
from serving.security.rate_limits import RateLimits
from serving.telemetry.metrics import Metrics
from tests.support.api_client import ApiClient

pytestmark = pytest.mark.usefixtures("in_memory_metrics")
NOW = datetime(2024, 1, 1, 12)
SCORE = "/v1/score"
PASSED_ON = 299
BODY = {"account_ids": ["1096"], "drivers": 3}


async def _other_app(scope, _, send) -> None:
    """The app that receives the requests that are passed on."""
    await send({"type": "http.response.start", "status": PASSED_ON, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


class FastPathService:
    """The fast path behind the middleware that precedes it in the service."""

    def __init__(self, api: Starlette, database) -> None:
        self.engine = open_database(database)
        rate_limits = RateLimits(database.with_name("rate_limits.bin"))
        self.authorizer = Authorizer(KeyCache(lambda: self.engine), lambda: NOW, rate_limits)
        self.authorizer.key_cache.refresh()
        self.metrics = Metrics(lambda: [])
        fast_path = AuthMiddleware(
            FastScorePathMiddleware(_other_app, api, post_score, PREFIX),
            ScopeTable(ENDPOINTS, PREFIX, {}),
            lambda: self.authorizer,
        )
        self.app = RequestIdMiddleware(RequestLogMiddleware(fast_path, lambda: self.metrics))

    def add_key(self, **fields) -> dict[str, str]:
        """Create a key; gives the header that carries it."""
        secret, key = create_key("crm", ("score",), 600, NOW)
        save_key(self.engine, replace(key, **fields))
        self.authorizer.key_cache.refresh()
        return {"authorization": f"Bearer {secret}"}

    def send(self, path: str = SCORE, method: str = "POST", **content) -> httpx.Response:
        """Send a request."""
        content = {"json": BODY} | content if method == "POST" and "content" not in content else content
        return _send(self.app, method, path, **content)


def _send(app: ASGIApp, method: str, path: str, **content) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
        headers = {"content-type": "application/json"} | content.pop("headers", {})
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            return await client.request(method, path, **content)

    return asyncio.run(send())


@pytest.fixture(scope="module")
def api(api_client: ApiClient) -> Starlette:
    return create_app(lambda: api_client.context)


@pytest.fixture
def service(api, tmp_path) -> FastPathService:
    return FastPathService(api, tmp_path / "keys.db")


@pytest.fixture
def send_to_router(api) -> Callable[..., httpx.Response]:
    """The same routes without the middleware."""
    return lambda **content: _send(RequestIdMiddleware(api), "POST", "/score", **content)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"json": BODY}, 200),
        ({"json": {"account_ids": ["1096", "nobody"]}}, 200),
        ({"content": b"{"}, 400),
        ({"json": {"account_ids": ["1096"], "drivers": -1}}, 422),
        ({"json": {"account_ids": ["1096"], "explain": True}}, 422),
        ({"json": {"account_ids": [str(n) for n in range(10_001)]}}, 422),
        ({"content": b" " * 1_000_001}, 413),
    ],
)
def test_it_answers_as_the_router_does(service: FastPathService, send_to_router, content, status):
    content |= {"headers": {"x-request-id": "abc"}}
    fast, routed = service.send(**content), send_to_router(**content)
    assert (fast.status_code, fast.content) == (routed.status_code, routed.content)
    assert fast.status_code == status
    assert fast.headers["content-type"] == routed.headers["content-type"] == "application/json"


def test_it_returns_the_request_id_and_security_headers(service: FastPathService):
    response = service.send(headers={"x-request-id": "abc"})
    assert response.headers["x-request-id"] == "abc"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"


def test_it_needs_a_key_once_one_was_made(service: FastPathService):
    headers = service.add_key()
    refused = service.send()
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "api_key_required")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert service.send(headers=headers).status_code == 200


def test_it_needs_the_scope(service: FastPathService):
    refused = service.send(headers=service.add_key(scopes=("read",)))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_required")


def test_it_applies_the_rate_limit(service: FastPathService):
    headers = service.add_key(per_minute=1)
    assert service.send(headers=headers).status_code == 200
    refused = service.send(headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "120"  # the minute slides


def test_it_is_counted_under_its_route(service: FastPathService):
    service.send()
    service.send(content=b"{")
    text = service.metrics.render().decode()
    assert 'oarlock_http_requests_total{method="POST",route="/v1/score",status="200"} 1.0' in text
    assert 'oarlock_http_requests_total{method="POST",route="/v1/score",status="400"} 1.0' in text


def test_a_request_with_a_query_goes_to_the_router(service: FastPathService, api_client: ApiClient):
    entries_before = api_client.context.ledger_reader.ledger.count()
    response = service.send(f"{SCORE}?as_of=2000-01-01").json()
    assert (response["scores"], response["not_scored"]) == ([], [{"account_id": "1096", "reason": "never_scored"}])
    assert api_client.context.ledger_reader.ledger.count() == entries_before


@pytest.mark.parametrize("path", ["/v1/scores", "/v1/score/", "/score", "/v1/model"])
def test_any_other_path_is_passed_on(service: FastPathService, path):
    response = service.send(path)
    assert (response.status_code, response.text) == (PASSED_ON, path)


def test_another_method_goes_to_the_router(service: FastPathService):
    assert service.send(method="GET").status_code == PASSED_ON


@pytest.mark.parametrize("path", ["/v1/accounts/a%0Ab/history", "/v1/model%0A", "/accounts/a%0D%0Ab", "/%0A"])
def test_a_path_with_a_line_break_is_answered_in_the_shape_of_errors(service: FastPathService, path: str):
    response = service.send(path, method="GET")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")
