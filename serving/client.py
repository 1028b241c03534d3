"""A typed client of the HTTP API, for programs that import neither the service nor its framework.

    with OarlockClient("http://127.0.0.1:3000", key="...") as oarlock:
        for score in oarlock.score(["A0000302"])["scores"]:
            print(score["account_id"], score["risk"], score["drivers"][0]["text"])

An error response is raised as `OarlockApiError`. A connection that fails raises httpx's own error after `retries`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter

from serving.schemas.enums import Verdict
from serving.schemas.requests import (
    AccountsQuery,
    ChangeRequest,
    ExplainRequest,
    FeedbackRequest,
    HistoryQuery,
    OutcomeReport,
    OutcomesRequest,
    PastQuery,
    Query,
    RequestBody,
    ScoreRequest,
    WhatIfRequest,
    WorkListQuery,
)
from serving.schemas.responses import (
    AccountsResponse,
    AccountSummary,
    ChangeResponse,
    ExplainResponse,
    FeedbackResponse,
    HistoryResponse,
    ModelResponse,
    ModelsResponse,
    OutcomesResponse,
    ReadyResponse,
    ResponseBody,
    RiskResponse,
    ScoreResponse,
    WhatIfResponse,
    WorkListResponse,
)

Body = TypeVar("Body", bound=ResponseBody)


class OarlockApiError(Exception):
    """An error response: its HTTP status, and its code, message and hint."""

    def __init__(self, status: int, error: Mapping[str, str]) -> None:
        self.status, self.code = status, error.get("code", "error")
        self.message, self.hint = error.get("message", ""), error.get("hint", "")
        super().__init__(f"{status} {self.code}: {self.message} {self.hint}".strip())


class OarlockClient:
    """A connection to a service; close it, or use it in a `with`."""

    def __init__(
        self, url: str, *, key: str = "", timeout: float = 10.0, retries: int = 2,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/v1/",
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=timeout,
            transport=transport or httpx.HTTPTransport(retries=retries),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def score(self, account_ids: Sequence[str], *, drivers: int = 3, as_of: date | None = None) -> ScoreResponse:
        """The risks of up to 10,000 accounts; with `as_of` as they were served on a past day."""
        body = ScoreRequest(account_ids=list(account_ids), drivers=drivers)
        return self._post("score", body, ScoreResponse, PastQuery(as_of=as_of))

    def explain(self, account_ids: Sequence[str]) -> ExplainResponse:
        """Every family and signal of up to 100 accounts, with peers, horizons and plays."""
        return self._post("explain", ExplainRequest(account_ids=list(account_ids)), ExplainResponse)

    def change(self, account_ids: Sequence[str], since: date, **fields: Any) -> ChangeResponse:
        """Why risks changed since a day; `until` and `horizon_days` as in `ChangeRequest`."""
        body = ChangeRequest(account_ids=list(account_ids), since=since, **fields)
        return self._post("change", body, ChangeResponse)

    def what_if(
        self, account_id: str, changes: Mapping[str, float | str] | None = None, *, suggest: int = 0
    ) -> WhatIfResponse:
        """The risk of an account with some signals changed. Not causal."""
        body = WhatIfRequest(account_id=account_id, changes=dict(changes or {}), suggest=suggest)
        return self._post("what-if", body, WhatIfResponse)

    def accounts(self, **fields: Any) -> AccountsResponse:
        """One page of the portfolio; filters, order and cursor as in `AccountsQuery`."""
        return self._get("accounts", AccountsResponse, AccountsQuery(**fields))

    def iter_accounts(self, **fields: Any) -> Iterator[AccountSummary]:
        """All accounts of the portfolio, page after page."""
        cursor = None
        while True:
            page = self.accounts(**{"limit": 500, **fields, "cursor": cursor})
            yield from page["accounts"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def risk(self, account_id: str, as_of: date | None = None) -> RiskResponse:
        """One account with its risk."""
        return self._get(f"accounts/{quote(account_id, safe='')}/risk", RiskResponse, PastQuery(as_of=as_of))

    def history(self, account_id: str, **fields: Any) -> HistoryResponse:
        """A page of the recorded risks of an account; `limit` and `cursor` as in `HistoryQuery`."""
        return self._get(f"accounts/{quote(account_id, safe='')}/history", HistoryResponse, HistoryQuery(**fields))

    def work_list(self, **fields: Any) -> WorkListResponse:
        """Whom to call; `owner`, `limit`, `per_owner` and `excluded` as in `WorkListQuery`."""
        return self._get("work-list", WorkListResponse, WorkListQuery(**fields))

    def feedback(self, account_id: str, verdict: Verdict, **fields: Any) -> FeedbackResponse:
        """Report whether a risk was right; other fields as in `FeedbackRequest`."""
        body = FeedbackRequest(account_id=account_id, verdict=verdict, **fields)
        return self._post("feedback", body, FeedbackResponse)

    def outcomes(self, reports: Sequence[OutcomeReport]) -> OutcomesResponse:
        """Report what happened to accounts."""
        return self._post("outcomes", OutcomesRequest(outcomes=list(reports)), OutcomesResponse)

    def model(self) -> ModelResponse:
        """The champion, and the version that was promoted after it and refused."""
        return self._get("model", ModelResponse)

    def models(self) -> ModelsResponse:
        """Every registered version."""
        return self._get("models", ModelsResponse)

    def ready(self) -> ReadyResponse:
        """Whether risks can be computed; raises OarlockApiError with the reason if not."""
        return self._get("ready", ReadyResponse)

    def _get(self, path: str, response: type[Body], query: Query | None = None) -> Body:
        return self._send(self._http.build_request("GET", path, params=_parameters(query)), response)

    def _post(self, path: str, body: RequestBody, response: type[Body], query: Query | None = None) -> Body:
        content = body.model_dump_json(exclude_none=True)
        request = self._http.build_request(
            "POST", path, content=content, headers={"content-type": "application/json"}, params=_parameters(query)
        )
        return self._send(request, response)

    def _send(self, request: httpx.Request, response: type[Body]) -> Body:
        received = self._http.send(request)
        if received.is_success:
            return _adapter(response).validate_json(received.content)
        try:
            error = received.json()["error"]
        except (ValueError, KeyError, TypeError):
            error = {"code": "not_oarlock", "message": received.text[:200]}
        raise OarlockApiError(received.status_code, error)


def _parameters(query: Query | None) -> dict[str, str]:
    return query.model_dump(mode="json", exclude_none=True) if query else {}


@cache
def _adapter(response: type[Body]) -> TypeAdapter[Body]:
    return TypeAdapter(response)
