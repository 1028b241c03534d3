"""Accounts: the portfolio, one account with its history, and whom to call."""

from starlette.requests import Request

from serving.api.endpoint import (
    endpoint,
    get_context,
    get_reply,
    get_request_id,
    run_in_pool,
    wait_for_portfolio,
)
from serving.handlers.accounts import get_account_history, get_account_risk, list_accounts, list_accounts_as_of
from serving.handlers.score import ScoringRequest
from serving.handlers.work_list import MAX_CANDIDATES, build_work_list
from serving.schemas.requests import AccountsQuery, HistoryQuery, PastQuery, WorkListQuery
from serving.schemas.responses import AccountsResponse, HistoryResponse, RiskResponse, WorkListResponse


@endpoint("GET", "/accounts", scope="read", errors=(404, 422, 503), limits_rows=True)
async def get_accounts(request: Request, query: AccountsQuery) -> AccountsResponse:
    """List accounts with their risks, filtered, by page; nothing is recorded. With `as_of` as they were served."""
    context = get_context(request)
    pools, day = context.pools, query.as_of
    if day is not None:
        query = query.model_copy(update={"owner": context.owner or query.owner})  # what the ledger does not hold: 422
        return await run_in_pool(request, pools.ledger, query.limit, list_accounts_as_of, context, day, query)
    portfolio = await wait_for_portfolio(request)
    return await run_in_pool(request, pools.local, query.limit, list_accounts, context, portfolio, query)


@endpoint("GET", "/accounts/{account_id:path}/risk", scope="read", errors=(404, 422, 503), limits_rows=True)
async def get_risk(request: Request, account_id: str, query: PastQuery) -> RiskResponse:
    """Return one account with its risk, now or exactly as it was served by the end of a past day (404 if none was)."""
    context = get_context(request)
    arguments = context, account_id, query.as_of, _viewing(request)
    return await run_in_pool(request, context.pools.ledger, 1, get_account_risk, *arguments)


@endpoint("GET", "/accounts/{account_id:path}/history", scope="read", errors=(404, 422, 503), limits_rows=True)
async def get_history(request: Request, account_id: str, query: HistoryQuery) -> HistoryResponse:
    """List the risks that were served of an account, newest first; one that was served again is listed once."""
    context = get_context(request)
    return await run_in_pool(request, context.pools.ledger, 1, get_account_history, context, account_id, query)


@endpoint("GET", "/work-list", scope="read", limits_rows=True)
async def get_work_list(request: Request, query: WorkListQuery) -> WorkListResponse:
    """List whom to call by expected value, within the capacity of each owner, and which accounts are excluded."""
    context, portfolio = get_context(request), await wait_for_portfolio(request)
    arguments = context, portfolio, query, _viewing(request)
    return await run_in_pool(request, context.pools.ledger, MAX_CANDIDATES, build_work_list, *arguments)


def _viewing(request: Request) -> ScoringRequest:
    return ScoringRequest(get_request_id(request), "viewed", get_reply(request))


ENDPOINTS = (get_accounts, get_risk, get_history, get_work_list)
