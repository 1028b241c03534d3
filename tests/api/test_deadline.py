"""A request that takes too long, or whose client goes away, is not answered, and none of its risks is recorded."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import httpx
import pytest
from starlette.types import Message, Scope

from serving.api.middleware.deadline import DeadlineMiddleware
from serving.api.middleware.request_id import RequestIdMiddleware
from serving.app import create_app
from serving.handlers.context import ServiceContext, open_context
from serving.ledger.ledger import Ledger
from serving.scoring.scorer import open_scorer
from tests.support.trained_model import EXTRACT_END, TrainedModel

BODY = json.dumps({"account_ids": ["1096", *map(str, range(2_000))], "drivers": 50}).encode()


@pytest.fixture
def context(trained: TrainedModel, tmp_path) -> ServiceContext:
    ledger = Ledger(tmp_path / "ledger.db")
    scorer = open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, ledger)
    scorer.champions.refresh()
    return open_context(trained.state, scorer, ledger)


def send(context: ServiceContext, seconds: float, receive: Callable[[], Awaitable[Message]]) -> httpx.Response:
    """The response to a POST /score whose messages `receive` gives."""
    messages: list[Message] = []
    headers = [(b"content-type", b"application/json")]
    scope: Scope = {"type": "http", "method": "POST", "path": "/score", "headers": headers, "query_string": b""}

    async def record(message: Message) -> None:
        messages.append(message)

    app = RequestIdMiddleware(DeadlineMiddleware(create_app(lambda: context), lambda: seconds))
    asyncio.run(app(scope, receive, record))
    start, *parts = messages
    return httpx.Response(start["status"], headers=start["headers"], content=b"".join(part["body"] for part in parts))


def messages_of(*messages: Message) -> Callable[[], Awaitable[Message]]:
    """Gives these messages, and then nothing."""
    waiting = list(messages)

    async def receive() -> Message:
        return waiting.pop(0) if waiting else await asyncio.Event().wait()  # type: ignore[func-returns-value]

    return receive


def body(*, more: bool = False) -> Message:
    return {"type": "http.request", "body": BODY, "more_body": more}


def error_of(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["x-request-id"]
    return response.status_code, response.json()["error"]["code"]


def count_risks(context: ServiceContext) -> int:
    """How many risks are recorded once every thread has ended."""
    while context.pools.scoring.requests:
        pass
    return context.ledger_reader.ledger.count()


def test_a_request_in_time_is_answered_and_recorded(context: ServiceContext):
    response = send(context, 60, messages_of(body()))
    assert response.status_code == 200
    assert count_risks(context) == len(response.json()["scores"]) > 0


def test_a_request_that_takes_too_long_is_not_recorded(context: ServiceContext):
    response = send(context, 0, messages_of(body()))
    assert error_of(response) == (503, "timeout")
    assert response.headers["retry-after"] == "1"
    assert "within 0 seconds" in response.json()["error"]["message"]
    assert count_risks(context) == 0


def test_a_body_that_arrives_too_slowly_is_refused(context: ServiceContext):
    response = send(context, 0.01, messages_of(body(more=True)))
    assert error_of(response) == (408, "slow_body")
    assert response.headers["connection"] == "close"


def test_a_client_that_goes_away_is_not_recorded(context: ServiceContext):
    assert error_of(send(context, 60, messages_of(body(), {"type": "http.disconnect"}))) == (499, "client_closed")
    assert count_risks(context) == 0


def test_a_client_that_goes_away_while_it_sends_is_not_an_error(context: ServiceContext, caplog):
    response = send(context, 60, messages_of(body(more=True), {"type": "http.disconnect"}))
    assert error_of(response) == (499, "client_closed")
    assert caplog.records == []
