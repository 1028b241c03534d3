"""Answers POST /v1/score without BentoML's router."""

from starlette.types import ASGIApp, Receive, Scope, Send


class FastScorePathMiddleware:
    """The ASGI middleware that hands requests for scores to `api` directly, which is mounted under `prefix`."""

    def __init__(self, app: ASGIApp, api: ASGIApp, prefix: str) -> None:
        self.app, self.api, self.prefix, self.path = app, api, prefix, f"{prefix}/score"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to the API, or pass it on."""
        if scope["type"] != "http" or scope["path"] != self.path:
            await self.app(scope, receive, send)
            return
        scope["root_path"] = f"{scope.get('root_path', '')}{self.prefix}"
        await self.api(scope, receive, send)
