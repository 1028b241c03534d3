"""Scores, and everything they are made of."""

from starlette.requests import Request

from configs.errors import RequestError, StoreDown
from serving.api.endpoint import endpoint, get_context, get_reply, get_request_id, run_in_pool
from serving.handlers.explain import explain_accounts
from serving.handlers.score import ScoringRequest, last_known_risks, score_and_record, score_as_of
from serving.schemas.requests import ExplainRequest, PastQuery, ScoreRequest
from serving.schemas.responses import ExplainResponse, ScoreResponse

MAX_INLINE_ACCOUNTS = 4  # scoring so few takes less time than handing them to a thread


@endpoint("POST", "/score", scope="score", limits_rows=True)
async def post_score(request: Request, body: ScoreRequest, query: PastQuery) -> ScoreResponse:
    """Return the risks of up to 10,000 accounts, with drivers that add up to them."""
    context, ids = get_context(request), body.account_ids
    max_accounts = context.settings.serving.max_accounts_per_request
    if len(ids) > max_accounts:
        message = f"{len(ids)} account_ids are more than the {max_accounts} allowed in one request."
        raise RequestError(message, "Split the request.", code="too_many", status=422)
    if query.as_of:
        return await run_in_pool(request, context.pools.ledger, len(ids), score_as_of, context, ids, query.as_of)
    scoring = ScoringRequest(get_request_id(request), "served", get_reply(request))
    try:
        if len(ids) <= MAX_INLINE_ACCOUNTS and context.scorer.is_immediate:
            return score_and_record(context, ids, body.drivers, scoring)
        arguments = context, ids, body.drivers, scoring
        return await run_in_pool(request, context.pools.scoring, len(ids), score_and_record, *arguments)
    except StoreDown as error:
        return await run_in_pool(request, context.pools.ledger, len(ids), last_known_risks, context, ids, error)


@endpoint("POST", "/explain", scope="score", limits_rows=True)
async def post_explain(request: Request, body: ExplainRequest) -> ExplainResponse:
    """Explain risks by every family and signal, within every horizon, compared with peers, with a suggested play."""
    context, ids = get_context(request), body.account_ids
    viewed = ScoringRequest(get_request_id(request), "viewed", get_reply(request))
    return await run_in_pool(request, context.pools.ledger, len(ids), explain_accounts, context, ids, viewed)


ENDPOINTS = (post_score, post_explain)
