"""The HTTP interface: one shape for every error, and the limits on what may be asked."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from configs.state_dir import State
from serving.api.app import create_app
from serving.handlers.context import open_context
from serving.ledger.ledger import Ledger
from serving.scoring.scorer import Scorer
from tests.conftest import EXTRACT_ENDS

Ask = Callable[..., httpx.Response]


def _asker(engine: Scorer) -> Ask:
    desk = open_context(engine)
    app = create_app(lambda: desk)

    def ask(method: str, path: str, **content) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
                return await client.request(method, path, **content)

        return asyncio.run(send())

    return ask


@pytest.fixture
def ask(trained, tmp_path) -> Ask:
    engine = Scorer(trained.settings, trained.state, lambda: EXTRACT_ENDS)
    engine.ledger = Ledger(tmp_path / "ledger.db")
    return _asker(engine)


def _refusal(reply: httpx.Response) -> tuple[int, str]:
    error = reply.json()["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["message"]
    return reply.status_code, error["code"]


def test_it_scores(ask):
    reply = ask("POST", "/score", json={"account_ids": ["1096", "nobody"], "drivers": 1})
    assert reply.status_code == 200
    assert [one["account_id"] for one in reply.json()["scores"]] == ["1096"]
    assert reply.json()["not_scored"] == [{"account_id": "nobody", "reason": "unknown_account"}]


def test_it_gives_back_the_request_id(ask):
    reply = ask("POST", "/score", json={"account_ids": ["1096"]}, headers={"x-request-id": "abc"})
    assert reply.headers["x-request-id"] == "abc"


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"{", (400, "not_json")),
        (b"", (400, "not_json")),
        (b"\xff\xfe", (400, "not_json")),
        (b"[]", (422, "invalid")),
        (b"{}", (422, "invalid")),
        (b'{"account_ids": []}', (422, "invalid")),
        (b'{"account_ids": "1096"}', (422, "invalid")),
        (b'{"account_ids": [1096]}', (422, "invalid")),
        (b'{"account_ids": [""]}', (422, "invalid")),
        (b'{"account_ids": ["1096"], "drivers": -1}', (422, "invalid")),
        (b'{"account_ids": ["1096"], "explain": true}', (422, "invalid")),
        (b'{"account_ids": ["' + b"x" * 10_000 + b'"]}', (422, "invalid")),
        (b" " * 1_000_001, (413, "too_large")),
    ],
)
def test_it_refuses_a_body_it_cannot_answer(ask, body, refusal):
    assert _refusal(ask("POST", "/score", content=body)) == refusal


def test_it_refuses_more_ids_than_one_request_may_ask_for(ask):
    reply = ask("POST", "/score", json={"account_ids": [str(n) for n in range(10_001)]})
    assert _refusal(reply) == (422, "too_many")
    assert "10001 account_ids are more than the 10000" in reply.json()["error"]["message"]


@pytest.mark.parametrize("account_id", ["' or 1=1 --", "../../etc/passwd", "Ωμέγα 🚣", "null", "\u0000"])
def test_a_strange_id_is_an_unknown_account(ask, account_id):
    reply = ask("POST", "/score", json={"account_ids": [account_id]})
    assert reply.json()["not_scored"] == [{"account_id": account_id, "reason": "unknown_account"}]


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [("GET", "/score", (405, "method_not_allowed")), ("GET", "/nothing", (404, "not_found"))],
)
def test_it_refuses_what_it_does_not_serve(ask, method, path, refusal):
    assert _refusal(ask(method, path)) == refusal


@pytest.mark.parametrize(("method", "path"), [("POST", "/score"), ("GET", "/model"), ("GET", "/ready")])
def test_before_any_promotion_it_says_so(trained, tmp_path, method, path):
    ask = _asker(Scorer(trained.settings, State(tmp_path), lambda: EXTRACT_ENDS))
    reply = ask(method, path, json={"account_ids": ["1096"]})
    assert _refusal(reply) == (503, "no_champion")
    assert "oarlock promote" in reply.json()["error"]["hint"]


def test_it_is_ready_with_a_champion_and_a_filled_store(ask):
    assert ask("GET", "/ready").json() == {"ready": True}
