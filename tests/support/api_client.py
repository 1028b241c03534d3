"""An HTTP client of the scoring API that runs in this process."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import httpx

from configs.state_dir import StateDir
from serving.api.middleware.request_id import RequestIdMiddleware
from serving.app import create_app
from serving.handlers.context import ServiceContext, open_context
from serving.ledger.ledger import Ledger
from serving.scoring.scorer import Scorer

SendRequest = Callable[..., httpx.Response]


@dataclass(frozen=True)
class ApiClient:
    """A service context, and requests to the app that answers from it."""

    context: ServiceContext
    request: SendRequest

    @cached_property
    def riskiest(self) -> str:
        """The account with the highest risk."""
        return self.get("/accounts", sort="risk", limit=1)["accounts"][0]["account_id"]

    def post(self, path: str, **body) -> dict:
        return self._json(self.request("POST", path, json=body))

    def get(self, path: str, **query) -> dict:
        return self._json(self.request("GET", path, params=query))

    def _json(self, response: httpx.Response) -> dict:
        assert response.status_code == 200, response.text
        return response.json()


def open_api_client(state: StateDir, scorer: Scorer, ledger: Ledger) -> ApiClient:
    """Open a client of an app that answers with this scorer."""
    context = open_context(state, scorer, ledger)
    app = RequestIdMiddleware(create_app(lambda: context))

    def send_request(method: str, path: str, **content) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **content)

        return asyncio.run(send())

    return ApiClient(context, send_request)
