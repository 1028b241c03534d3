"""A report that is sent again with its idempotency key is counted once, also if the process that saved it is killed."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
import sqlalchemy as sql
from sqlalchemy import event

from configs.errors import RequestError
from serving.api.middleware.deadline import DeadlineMiddleware
from serving.api.middleware.idempotency import IdempotencyMiddleware, IdempotencyStore, KeyedRequest, StoredResponse
from serving.api.middleware.request_id import RequestIdMiddleware
from serving.app import create_app
from serving.handlers.context import ServiceContext
from serving.handlers.feedback import save_feedback, save_outcomes
from serving.ledger.ledger import Ledger
from serving.ledger.schema import FEEDBACK, OUTCOMES
from serving.load.pending_reply import PendingReply
from serving.schemas.requests import FeedbackRequest, OutcomesRequest
from serving.scoring.scorer import open_scorer
from tests.support.api_client import ApiClient, open_api_client
from tests.support.trained_model import EXTRACT_END, TrainedModel

REQUEST = KeyedRequest("", "nightly-1", "hash of the body")
Report = Callable[[ServiceContext, str, PendingReply], object]


@pytest.fixture
def api(trained: TrainedModel, tmp_path) -> ApiClient:
    ledger = Ledger(tmp_path / "ledger.db")
    scorer = open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, ledger)
    return open_api_client(trained.state, scorer, ledger)


def report_feedback(context: ServiceContext, account_id: str, reply: PendingReply) -> object:
    report = {"account_id": account_id, "verdict": "right", "mark": "saved_watch"}
    return save_feedback(context, FeedbackRequest.model_validate(report), reply)


def report_outcome(context: ServiceContext, account_id: str, reply: PendingReply) -> object:
    report = {"account_id": account_id, "outcome": "left", "on": EXTRACT_END.date() - timedelta(days=1)}
    return save_outcomes(context, OutcomesRequest.model_validate({"outcomes": [report]}), reply)


def responses(api: ApiClient, minutes: int = 0) -> IdempotencyStore:
    """The kept responses, some minutes after the test began."""
    engine = api.context.feedback.ledger.engine
    return IdempotencyStore(lambda: engine, lambda: EXTRACT_END + timedelta(minutes=minutes))


def reply_to(request: KeyedRequest) -> PendingReply:
    reply = PendingReply()
    reply.keep = request.keep
    return reply


def count_reports(api: ApiClient) -> int:
    with api.context.feedback.transaction() as connection:
        counts = [connection.scalar(sql.select(sql.func.count()).select_from(table)) for table in (FEEDBACK, OUTCOMES)]
    return sum(count or 0 for count in counts)


@pytest.mark.parametrize("report", [report_feedback, report_outcome])
def test_the_response_is_kept_even_if_the_process_is_killed_before_it_answers(api: ApiClient, report: Report):
    assert responses(api).begin(REQUEST) is None
    answer = report(api.context, api.riskiest, reply_to(REQUEST))
    kept = responses(api, minutes=2).begin(REQUEST)
    assert kept is not None
    assert (kept.status, json.loads(kept.body), count_reports(api)) == (200, answer, 1)


@pytest.mark.parametrize("report", [report_feedback, report_outcome])
def test_nothing_is_saved_if_another_process_has_answered(api: ApiClient, report: Report):
    responses(api).begin(REQUEST)
    responses(api).end(REQUEST, StoredResponse(200, "application/json", b"{}"))
    with pytest.raises(RequestError, match="is being answered"):
        report(api.context, api.riskiest, reply_to(REQUEST))
    assert count_reports(api) == 0


def test_an_error_after_the_report_was_saved_does_not_free_its_key(api: ApiClient):
    responses(api).begin(REQUEST)
    report_feedback(api.context, api.riskiest, reply_to(REQUEST))
    responses(api).end(REQUEST, None)
    assert responses(api, minutes=2).begin(REQUEST) is not None


def test_a_report_without_a_key_is_saved(api: ApiClient):
    report_feedback(api.context, api.riskiest, PendingReply())
    assert count_reports(api) == 1


async def post_feedback(api: ApiClient, key: str) -> httpx.Response:
    """A report to the application behind the middleware that gives requests their deadline and their key."""
    context, store = api.context, responses(api)
    app = create_app(lambda: context)
    app = IdempotencyMiddleware(app, lambda: store, lambda: context.pools.ledger, lambda: 10_000)
    transport = httpx.ASGITransport(app=RequestIdMiddleware(DeadlineMiddleware(app, lambda: 10)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        report = {"account_id": api.riskiest, "verdict": "right"}
        return await client.post("/feedback", json=report, headers={"idempotency-key": key})


def test_a_request_with_a_key_keeps_its_response_before_the_report_is_committed(api: ApiClient):
    account_id, steps = api.riskiest, list[str]()
    engine = api.context.feedback.ledger.engine
    event.listen(engine, "before_cursor_execute", lambda _, __, statement, *___: steps.append(statement[:27].lower()))
    event.listen(engine, "commit", lambda _: steps.append("commit"))
    assert asyncio.run(post_feedback(api, "k")).json()["account_id"] == account_id
    saved = steps.index("insert into feedback (recei")
    assert "update idempotent_responses" in steps[saved : steps.index("commit", saved)]
