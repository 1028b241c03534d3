"""The HTTP API: one format for every error, and the limits on requests."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from configs.state_dir import StateDir
from serving.api.middleware.request_id import RequestIdMiddleware
from serving.app import create_app
from serving.handlers.context import open_context
from serving.ledger.ledger import Ledger
from serving.scoring.scorer import open_scorer
from tests.support.trained_model import EXTRACT_END, TrainedModel

SendRequest = Callable[..., httpx.Response]


def _request_sender(trained: TrainedModel, state: StateDir, ledger: Ledger) -> SendRequest:
    context = open_context(state, open_scorer(trained.settings, state, lambda: EXTRACT_END, ledger), ledger)
    app = RequestIdMiddleware(create_app(lambda: context))

    def send_request(method: str, path: str, **content) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://test") as client:
                return await client.request(method, path, **content)

        return asyncio.run(send())

    return send_request


@pytest.fixture
def send_request(trained: TrainedModel, tmp_path) -> SendRequest:
    return _request_sender(trained, trained.state, Ledger(tmp_path / "ledger.db"))


def _error_of(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["message"]
    return response.status_code, error["code"]


def test_it_scores(send_request):
    response = send_request("POST", "/score", json={"account_ids": ["1096", "nobody"], "drivers": 1})
    assert response.status_code == 200
    assert [score["account_id"] for score in response.json()["scores"]] == ["1096"]
    assert response.json()["not_scored"] == [{"account_id": "nobody", "reason": "unknown_account"}]


def test_it_returns_the_request_id(send_request):
    response = send_request("POST", "/score", json={"account_ids": ["1096"]}, headers={"x-request-id": "abc"})
    assert response.headers["x-request-id"] == "abc"


@pytest.mark.parametrize(
    ("body", "expected"),
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
def test_it_refuses_a_body_it_cannot_answer(send_request, body, expected):
    headers = {"content-type": "application/json"}
    assert _error_of(send_request("POST", "/score", content=body, headers=headers)) == expected


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_it_refuses_a_body_that_a_form_of_another_site_could_send(send_request, kind):
    body = b'{"account_ids": ["1096"]}'
    assert _error_of(send_request("POST", "/score", content=body, headers={"content-type": kind})) == (415, "not_json")


def test_a_refused_method_lists_those_that_are_served(send_request):
    response = send_request("DELETE", "/score")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_it_refuses_too_many_account_ids(send_request):
    response = send_request("POST", "/score", json={"account_ids": [str(n) for n in range(10_001)]})
    assert _error_of(response) == (422, "too_many")
    assert "10001 account_ids are more than the 10000" in response.json()["error"]["message"]


@pytest.mark.parametrize("account_id", ["' or 1=1 --", "../../etc/passwd", "Ωμέγα 🚣", "null"])
def test_an_unusual_id_is_an_unknown_account(send_request, account_id):
    response = send_request("POST", "/score", json={"account_ids": [account_id]})
    assert response.json()["not_scored"] == [{"account_id": account_id, "reason": "unknown_account"}]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [("GET", "/score", (405, "method_not_allowed")), ("GET", "/nothing", (404, "not_found"))],
)
def test_it_refuses_unknown_routes_and_methods(send_request, method, path, expected):
    assert _error_of(send_request(method, path)) == expected


@pytest.mark.parametrize(("method", "path"), [("POST", "/score"), ("GET", "/model"), ("GET", "/ready")])
def test_before_any_promotion_it_answers_503(trained: TrainedModel, tmp_path, method, path):
    send_request = _request_sender(trained, StateDir(tmp_path), Ledger(tmp_path / "ledger.db"))
    response = send_request(method, path, json={"account_ids": ["1096"]})
    assert _error_of(response) == (503, "no_champion")
    assert "oarlock promote" in response.json()["error"]["hint"]


def test_what_cannot_be_answered_because_of_the_settings_is_refused_and_not_recorded(trained: TrainedModel, tmp_path):
    playbook, ledger = tmp_path / "playbook.toml", Ledger(tmp_path / "ledger.db")
    play = 'name = "wait"\nfamilies = ["none"]\naction = "Wait and see."\nassignee_role = "customer success"\n'
    playbook.write_text(f"[[play]]\n{play}")
    settings = trained.settings.model_copy(update={"playbook": playbook})
    send_request = _request_sender(TrainedModel(settings, trained.state, trained.config), trained.state, ledger)
    for path in ("/accounts/1096/risk", "/work-list"):
        assert _error_of(send_request("GET", path)) == (503, "config_error")
    assert _error_of(send_request("POST", "/explain", json={"account_ids": ["1096"]})) == (503, "config_error")
    assert ledger.count() == 0


def test_it_is_ready_with_a_champion_and_signals(send_request):
    assert send_request("GET", "/ready").json() == {"ready": True}
