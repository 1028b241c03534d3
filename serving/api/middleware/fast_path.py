"""Answers single-account score requests without the router."""

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.app import SCORE_PATH, Api


class FastScorePathMiddleware:
    """The ASGI middleware that lets the short way begin before BentoML looks for a route; `api` is mounted at `at`."""

    def __init__(self, app: ASGIApp, api: Api, at: str) -> None:
        self.app, self.api, self.at = app, api, at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to the routes, or pass it on."""
        if scope["type"] != "http" or scope["path"] != f"{self.at}{SCORE_PATH}":
            await self.app(scope, receive, send)
            return
        scope["root_path"] = f"{scope.get('root_path', '')}{self.at}"
        await self.api(scope, receive, send)
