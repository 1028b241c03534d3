"""Accounts: the portfolio, one account with its history, and whom to call."""

from starlette.requests import Request

from serving.api.endpoint import endpoint, get_context, get_request_id, run_in_thread, wait_for_portfolio
from serving.handlers.accounts import get_account_history, get_account_risk, list_accounts, list_accounts_as_of
from serving.handlers.work_list import build_work_list
from serving.schemas.requests import AccountsQuery, HistoryQuery, PastQuery, WorkListQuery
from serving.schemas.responses import AccountsResponse, HistoryResponse, RiskResponse, WorkListResponse


@endpoint("GET", "/accounts", scope="read", errors=(404, 422, 503))
async def get_accounts(request: Request, query: AccountsQuery) -> AccountsResponse:
    """List accounts by revenue at risk, risk or renewal, filtered, page by page; with `as_of` as they were served."""
    context = get_context(request)
    if query.as_of is not None:
        return await run_in_thread(list_accounts_as_of, context, query.as_of, query)
    return await run_in_thread(list_accounts, context, await wait_for_portfolio(context), query)


@endpoint("GET", "/accounts/{account_id:path}/risk", scope="read", errors=(404, 422, 503))
async def get_risk(request: Request, account_id: str, query: PastQuery) -> RiskResponse:
    """Return one account with its risk, now or exactly as it was served by the end of a past day (404 if none was)."""
    context, request_id = get_context(request), get_request_id(request)
    return await run_in_thread(get_account_risk, context, account_id, query.as_of, request_id)


@endpoint("GET", "/accounts/{account_id:path}/history", scope="read", errors=(404, 422, 503))
async def get_history(request: Request, account_id: str, query: HistoryQuery) -> HistoryResponse:
    """List the risks that were served of an account, newest first; one that was served again is listed once."""
    return await run_in_thread(get_account_history, get_context(request), account_id, query)


@endpoint("GET", "/work-list", scope="read")
async def get_work_list(request: Request, query: WorkListQuery) -> WorkListResponse:
    """List whom to call by expected value, within the capacity of each owner, and which accounts are excluded."""
    context, request_id = get_context(request), get_request_id(request)
    return await run_in_thread(build_work_list, context, await wait_for_portfolio(context), query, request_id)


ENDPOINTS = (get_accounts, get_risk, get_history, get_work_list)
