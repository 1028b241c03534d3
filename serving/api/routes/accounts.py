"""Routes that list accounts: the portfolio, one of them with its history, and whom to call."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving.api.dependencies import apart, desk_of, portfolio_of, request_id
from serving.api.openapi import declared
from serving.api.responses import Json
from serving.handlers import accounts as listing
from serving.handlers import work_list as calling
from serving.schemas.requests import MOST_ID_CHARACTERS, AccountsQuery, HistoryQuery, PastQuery, WorkListQuery
from serving.schemas.responses import AccountsReply, HistoryReply, RiskReply, WorkListReply

ROUTES = APIRouter()
AccountId = Annotated[
    str, Path(min_length=1, max_length=MOST_ID_CHARACTERS, description="The account.", examples=["A0000302"])
]


@ROUTES.get("/accounts", **declared(scope="read", answers=AccountsReply, refuses=(404, 422, 503)))
async def get_accounts(request: Request, asked: Annotated[AccountsQuery, Query()]) -> Response:
    """List accounts by revenue at risk, by risk or by renewal, filtered, a page at a time; `as_of`: as served then."""
    desk = desk_of(request)
    if asked.as_of is not None:
        return Json(await apart(listing.list_past, desk, asked.as_of, asked))
    return Json(await apart(listing.list_accounts, desk, await portfolio_of(desk), asked))


@ROUTES.get("/accounts/{account_id:path}/risk", **declared(scope="read", answers=RiskReply, refuses=(404, 422, 503)))
async def get_risk(request: Request, account_id: AccountId, asked: Annotated[PastQuery, Query()]) -> Response:
    """Give one account's risk and where it stands, now or exactly as it was served on a past day."""
    given = request_id(request)
    reply = await apart(listing.risk_of, desk_of(request), account_id, asked.as_of, given)
    return Json(reply, headers={"x-request-id": given})


@ROUTES.get(
    "/accounts/{account_id:path}/history", **declared(scope="read", answers=HistoryReply, refuses=(404, 422, 503))
)
async def get_history(request: Request, account_id: AccountId, asked: Annotated[HistoryQuery, Query()]) -> Response:
    """List every risk an account was given, newest first."""
    return Json(await apart(listing.history_of, desk_of(request), account_id, asked))


@ROUTES.get("/worklist", **declared(scope="read", answers=WorkListReply))
async def get_work_list(request: Request, asked: Annotated[WorkListQuery, Query()]) -> Response:
    """List whom to call by what the call is worth, within what each owner can do, and who was left out and why."""
    desk, given = desk_of(request), request_id(request)
    reply = await apart(calling.work_list, desk, await portfolio_of(desk), asked, given)
    return Json(reply, headers={"x-request-id": given})
