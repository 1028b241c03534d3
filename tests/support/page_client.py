"""A browser without scripts for the pages: it keeps cookies, follows links and sends forms."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp

from serving.api.middleware.request_id import RequestIdMiddleware
from serving.handlers.context import ServiceContext, open_context
from serving.ledger.ledger import Ledger
from serving.pages.page import PageServices
from serving.pages_app import PagesMiddleware, create_pages
from serving.scoring.scorer import open_scorer
from serving.security.api_keys import KeyCache, create_key, save_key
from serving.security.authorization import Authorizer
from serving.security.rate_limits import RateLimits
from serving.security.sessions import SessionSigner, read_or_create_secret
from tests.support.trained_model import EXTRACT_END, TrainedModel

NOW = datetime(2024, 1, 1, 12)
FORM_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')


class FixedClock:
    """A clock that a test sets."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@dataclass
class PageClient:
    """A browser of the pages of a service at an address, and what a test changes of that service."""

    context: ServiceContext
    services: PageServices
    authorizer: Authorizer
    clock: FixedClock
    app: ASGIApp
    address: str
    site: str = "http://localhost"
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)

    def request(self, method: str, path: str, **options) -> httpx.Response:
        """Send a request with the cookies; redirects are followed unless the options say otherwise."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, client=(self.address, 1), raise_app_exceptions=False)
            options.setdefault("follow_redirects", True)
            async with httpx.AsyncClient(transport=transport, base_url=self.site, cookies=self.cookies) as browser:
                response = await browser.request(method, path, **options)
                self.cookies = browser.cookies
                return response

        return asyncio.run(send())

    def get(self, path: str, **options) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, fields: Mapping[str, str], **options) -> httpx.Response:
        return self.request("POST", path, data=fields, **options)

    def read(self, path: str) -> str:
        """The page at a path, which must be there."""
        response = self.get(path)
        assert response.status_code == 200, response.text
        return response.text

    def send(self, page: str, action: str, fields: Mapping[str, str], **options) -> httpx.Response:
        """Send the form of a page."""
        token = FORM_TOKEN.search(self.read(page))
        assert token
        return self.post(action, {"form_token": token[1], **fields}, **options)

    def add_key(self, *scopes: str, **fields) -> str:
        """Create a key; returns its secret."""
        secret, key = create_key("ada", scopes, 600, NOW)
        save_key(self.context.feedback.ledger.engine, replace(key, **fields))
        self.authorizer.key_cache.refresh()
        return secret

    def sign_in(self, secret: str, path: str = "/") -> httpx.Response:
        return self.send(f"/sign-in?next={path}", "/sign-in", {"key": secret, "next": path})


def open_own_context(trained: TrainedModel, folder: Path) -> ServiceContext:
    """The context of a service of the shared model with a ledger of its own, so with keys and events of its own."""
    ledger = Ledger(folder / "ledger.db")
    return open_context(
        trained.state, open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, ledger), ledger
    )


def open_page_client(context: ServiceContext, address: str = "127.0.0.1") -> PageClient:
    """A browser at this address, in front of the pages of a context."""
    clock = FixedClock(NOW)
    ledger = context.feedback.ledger
    rate_file = Path(ledger.location).with_name("rates.bin")
    authorizer = Authorizer(KeyCache(lambda: ledger.engine), clock, RateLimits(rate_file))
    authorizer.key_cache.refresh()
    services = PageServices(
        context, authorizer, SessionSigner(lambda: read_or_create_secret(context.state.session_secret), clock)
    )
    app = RequestIdMiddleware(PagesMiddleware(Starlette(), create_pages(lambda: services)))
    return PageClient(context, services, authorizer, clock, app, address)
