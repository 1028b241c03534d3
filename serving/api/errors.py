"""Refusals over HTTP: the one shape of every error, for middleware that answers before any route does."""

import json
from collections.abc import Mapping

from starlette.types import Send

from configs.errors import OarlockError


async def send_error(send: Send, problem: OarlockError, headers: Mapping[bytes, bytes]) -> None:
    """Answer with a refusal and nothing else."""
    error = {"code": problem.code, "message": problem.message, "hint": problem.hint}
    body = json.dumps({"error": error}).encode()
    fixed = {b"content-type": b"application/json", b"content-length": str(len(body)).encode()}
    start = {"type": "http.response.start", "status": problem.status, "headers": list({**fixed, **headers}.items())}
    await send(start)
    await send({"type": "http.response.body", "body": body})
