"""Routes that list accounts: the portfolio, one of them with its history, and whom to call."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving.api.dependencies import get_context, request_id, run_in_thread, wait_for_portfolio
from serving.api.openapi import declare_route
from serving.api.responses import OrjsonResponse
from serving.handlers import accounts as listing
from serving.handlers import work_list as calling
from serving.schemas.requests import MAX_ACCOUNT_ID_LENGTH, AccountsQuery, HistoryQuery, PastQuery, WorkListQuery
from serving.schemas.responses import AccountsResponse, HistoryResponse, RiskResponse, WorkListResponse

ROUTES = APIRouter()
AccountId = Annotated[
    str, Path(min_length=1, max_length=MAX_ACCOUNT_ID_LENGTH, description="The account.", examples=["A0000302"])
]


@ROUTES.get("/accounts", **declare_route(scope="read", answers=AccountsResponse, refuses=(404, 422, 503)))
async def get_accounts(request: Request, asked: Annotated[AccountsQuery, Query()]) -> Response:
    """List accounts by revenue at risk, by risk or by renewal, filtered, a page at a time; `as_of`: as served then."""
    desk = get_context(request)
    if asked.as_of is not None:
        return OrjsonResponse(await run_in_thread(listing.list_accounts_as_of, desk, asked.as_of, asked))
    return OrjsonResponse(await run_in_thread(listing.list_accounts, desk, await wait_for_portfolio(desk), asked))


@ROUTES.get(
    "/accounts/{account_id:path}/risk", **declare_route(scope="read", answers=RiskResponse, refuses=(404, 422, 503))
)
async def get_risk(request: Request, account_id: AccountId, asked: Annotated[PastQuery, Query()]) -> Response:
    """Give one account's risk and where it stands, now or exactly as it was served on a past day."""
    given = request_id(request)
    reply = await run_in_thread(listing.get_account_risk, get_context(request), account_id, asked.as_of, given)
    return OrjsonResponse(reply, headers={"x-request-id": given})


@ROUTES.get(
    "/accounts/{account_id:path}/history",
    **declare_route(scope="read", answers=HistoryResponse, refuses=(404, 422, 503)),
)
async def get_history(request: Request, account_id: AccountId, asked: Annotated[HistoryQuery, Query()]) -> Response:
    """List every risk an account was given, newest first."""
    return OrjsonResponse(await run_in_thread(listing.get_account_history, get_context(request), account_id, asked))


@ROUTES.get("/worklist", **declare_route(scope="read", answers=WorkListResponse))
async def get_work_list(request: Request, asked: Annotated[WorkListQuery, Query()]) -> Response:
    """List whom to call by what the call is worth, within what each owner can do, and who was left out and why."""
    desk, given = get_context(request), request_id(request)
    reply = await run_in_thread(calling.build_work_list, desk, await wait_for_portfolio(desk), asked, given)
    return OrjsonResponse(reply, headers={"x-request-id": given})
