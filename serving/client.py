"""The client: every question of the API as a typed call, for programs that import neither service nor framework.

    with OarlockClient("http://127.0.0.1:3000", key="...") as oarlock:
        for score in oarlock.score(["A0000302"]).scores:
            print(score.account_id, score.risk, score.drivers[0].text)

What the service refuses is raised as `Refused`; a connection that fails is httpx's own error, tried `retries` times.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from serving.schemas.enums import Verdict
from serving.schemas.requests import (
    AccountsQuery,
    ChangeRequest,
    ExplainRequest,
    FeedbackRequest,
    HistoryQuery,
    OutcomeReport,
    OutcomesRequest,
    Query,
    Request,
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
    Response,
    RiskResponse,
    ScoreResponse,
    WhatIfResponse,
    WorkListResponse,
)

Answer = TypeVar("Answer", bound=Response)


class OarlockApiError(Exception):
    """The service said no: its HTTP status, and the code, message and hint of its error."""

    def __init__(self, status: int, error: Mapping[str, str]) -> None:
        self.status, self.code = status, error.get("code", "error")
        self.message, self.hint = error.get("message", ""), error.get("hint", "")
        super().__init__(f"{status} {self.code}: {self.message} {self.hint}".strip())


class OarlockClient:
    """One connection to a service; close it, or use it in a `with`."""

    def __init__(
        self, url: str, *, key: str = "", timeout: float = 10.0, retries: int = 2,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        headers = {"authorization": f"Bearer {key}"} if key else {}
        through = transport or httpx.HTTPTransport(retries=retries)
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/v1/", headers=headers, timeout=timeout, transport=through
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def score(self, account_ids: Sequence[str], *, drivers: int = 3, as_of: date | None = None) -> ScoreResponse:
        """The risks of up to 10,000 accounts; with `as_of` those that were served on a past day."""
        asked = ScoreRequest(account_ids=list(account_ids), drivers=drivers)
        return self._post("score", asked, ScoreResponse, **({"as_of": as_of.isoformat()} if as_of else {}))

    def explain(self, account_ids: Sequence[str]) -> ExplainResponse:
        """Every family and signal of up to 100 accounts, with peers, horizons and plays."""
        return self._post("explain", ExplainRequest(account_ids=list(account_ids)), ExplainResponse)

    def change(self, account_ids: Sequence[str], since: date, **more: Any) -> ChangeResponse:
        """Why risks moved since a day; `until` and `horizon_days` as in `ChangeRequest`."""
        return self._post("change", ChangeRequest(account_ids=list(account_ids), since=since, **more), ChangeResponse)

    def what_if(
        self, account_id: str, changes: Mapping[str, float | str] | None = None, *, suggest: int = 0
    ) -> WhatIfResponse:
        """What the model says of an account with some signals changed. Not causal."""
        asked = WhatIfRequest(account_id=account_id, changes=dict(changes or {}), suggest=suggest)
        return self._post("what_if", asked, WhatIfResponse)

    def accounts(self, **asked: Any) -> AccountsResponse:
        """One page of the portfolio; filters, order and cursor as in `AccountsQuery`."""
        return self._get("accounts", AccountsResponse, AccountsQuery(**asked))

    def iter_accounts(self, **asked: Any) -> Iterator[AccountSummary]:
        """The whole portfolio, page after page."""
        cursor = None
        while True:
            page = self.accounts(**{"limit": 500, **asked, "cursor": cursor})
            yield from page.accounts
            cursor = page.next_cursor
            if cursor is None:
                return

    def risk(self, account_id: str, as_of: date | None = None) -> RiskResponse:
        """One account's risk and where it stands."""
        query = {"as_of": as_of.isoformat()} if as_of else {}
        return self._ask("GET", f"accounts/{quote(account_id, safe='')}/risk", RiskResponse, params=query)

    def history(self, account_id: str, **asked: Any) -> HistoryResponse:
        """A page of the risks an account was given; `limit` and `cursor` as in `HistoryQuery`."""
        return self._get(f"accounts/{quote(account_id, safe='')}/history", HistoryResponse, HistoryQuery(**asked))

    def work_list(self, **asked: Any) -> WorkListResponse:
        """Whom to call; `owner`, `limit`, `per_owner`, `left_out` as in `WorkListQuery`."""
        return self._get("worklist", WorkListResponse, WorkListQuery(**asked))

    def feedback(self, account_id: str, verdict: Verdict, **more: Any) -> FeedbackResponse:
        """Say whether a risk was right; the rest as in `FeedbackRequest`."""
        return self._post("feedback", FeedbackRequest(account_id=account_id, verdict=verdict, **more), FeedbackResponse)

    def outcomes(self, reports: Sequence[OutcomeReport]) -> OutcomesResponse:
        """Say what became of accounts."""
        return self._post("outcomes", OutcomesRequest(outcomes=list(reports)), OutcomesResponse)

    def model(self) -> ModelResponse:
        """The model that answers now, and the version that was refused since."""
        return self._get("model", ModelResponse)

    def models(self) -> ModelsResponse:
        """Every version that is or was champion there."""
        return self._get("models", ModelsResponse)

    def ready(self) -> ReadyResponse:
        """Whether risks can be given; raises Refused with the reason where not."""
        return self._get("ready", ReadyResponse)

    def _get(self, path: str, answer: type[Answer], query: Query | None = None) -> Answer:
        asked = query.model_dump(mode="json", exclude_none=True) if query else {}
        return self._ask("GET", path, answer, params=asked)

    def _post(self, path: str, asked: Request, answer: type[Answer], **query: str) -> Answer:
        content = asked.model_dump_json(exclude_none=True)
        return self._ask("POST", path, answer, content=content, params=query)

    def _ask(self, method: str, path: str, answer: type[Answer], **content: Any) -> Answer:
        reply = self._http.request(method, path, **content)
        if reply.is_success:
            return answer.model_validate_json(reply.content)
        try:
            error = reply.json()["error"]
        except (ValueError, KeyError, TypeError):
            error = {"code": "not_oarlock", "message": reply.text[:200]}
        raise OarlockApiError(reply.status_code, error)
