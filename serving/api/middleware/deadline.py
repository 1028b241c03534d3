"""Ends requests that take too long, with a response of our own shape, before BentoML's timeout would."""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from configs.errors import ReplyAbandoned, RequestError
from serving.api.errors import error_response
from serving.load.pending_reply import PendingReply


class DeadlineMiddleware:
    """The ASGI middleware that gives each request its pending reply, and `seconds()` to be answered in."""

    def __init__(self, app: ASGIApp, seconds: Callable[[], float]) -> None:
        self.app, self.seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer that it took too long, unless it is being answered by then."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self.app(scope, receive, send)
            return
        reply, body, seconds = PendingReply(), _Body(receive), self.seconds()
        scope["oarlock.reply"] = reply
        timer = asyncio.get_running_loop().call_later(seconds, _expire, reply, task)

        async def send_in_time(message: Message) -> None:
            timer.cancel()
            await send(message)

        try:
            await self.app(scope, body.receive, send_in_time)
        except asyncio.CancelledError:
            if not reply.is_expired:
                raise
            task.uncancel()
            await error_response(_timeout(seconds, body.is_complete), {"connection": "close"})(scope, receive, send)
        finally:
            timer.cancel()


class _Body:
    """Notes whether the client has sent its whole body."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self.is_complete = receive, False

    async def receive(self) -> Message:
        message = await self._receive()
        self.is_complete = not message.get("more_body", False)
        return message


def _expire(reply: PendingReply, task: "asyncio.Task[object]") -> None:
    if reply.expire():
        task.cancel()


def _timeout(seconds: float, is_complete: bool) -> ReplyAbandoned | RequestError:
    if is_complete:
        message = f"The request was not answered within {seconds:g} seconds."
        return ReplyAbandoned(message, "Try again, with fewer accounts in a request.")
    message = f"The body did not arrive within {seconds:g} seconds."
    return RequestError(message, "Send it faster, or in smaller requests.", code="slow_body", status=408)
