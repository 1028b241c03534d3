"""An office: a desk and how to ask it over HTTP, in this process."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import httpx

from serving.api.app import create_app
from serving.handlers.context import Desk, open_desk
from serving.scoring.scorer import Engine

Ask = Callable[..., httpx.Response]


@dataclass(frozen=True)
class Office:
    """A desk and how to ask it over HTTP."""

    desk: Desk
    ask: Ask

    @cached_property
    def riskiest(self) -> str:
        """The account of the highest risk."""
        return self.get("/accounts", sort="risk", limit=1)["accounts"][0]["account_id"]

    def post(self, path: str, **body) -> dict:
        return self._told(self.ask("POST", path, json=body))

    def get(self, path: str, **query) -> dict:
        return self._told(self.ask("GET", path, params=query))

    def _told(self, reply: httpx.Response) -> dict:
        assert reply.status_code == 200, reply.text
        return reply.json()


def office_of(engine: Engine) -> Office:
    """An office that answers from this engine."""
    desk = open_desk(engine)
    app = create_app(lambda: desk)

    def ask(method: str, path: str, **content) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **content)

        return asyncio.run(send())

    return Office(desk, ask)
