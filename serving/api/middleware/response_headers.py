"""Adds headers to responses that do not have them."""

from collections.abc import Mapping

from starlette.types import Message, Send


def add_missing_headers(send: Send, headers: Mapping[bytes, bytes]) -> Send:
    """A `send` that adds these headers to a response, except those that it has already."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message.get("headers", [])}
            missing = [(name, value) for name, value in headers.items() if name not in present]
            message = {**message, "headers": [*message.get("headers", []), *missing]}
        await send(message)

    return send_with_headers
