"""The logs of the service: one JSON object a line, with the request's id and without secrets."""

import logging
import re
import sys
import time
from contextvars import ContextVar
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
# API keys, webhook secrets, passwords in URLs, and whatever an Authorization header holds.
SECRET_PATTERN = re.compile(
    r"(oarlock_[0-9a-f]{12}_)[\w-]+|(whsec_)[\w+/=-]+|(://[^:/@\s]*:)[^@/\s\\]+(?=@)"
    r"|((?:bearer|basic)\s+)[^\s'\"\\]+",
    re.IGNORECASE,
)


class JsonLogFormatter(JsonFormatter):
    """A record as JSON: time (UTC), level, logger, message, request id and the extra fields."""

    converter = time.gmtime

    def __init__(self) -> None:
        names = {"asctime": "at", "levelname": "level", "name": "logger"}
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%SZ", rename_fields=names)

    def format(self, record: logging.LogRecord) -> str:
        """The line, with secrets replaced everywhere, tracebacks included."""
        if REQUEST_ID.get():
            record.request_id = REQUEST_ID.get()
        return redact(super().format(record))


def redact(text: str) -> str:
    """The text with each secret replaced by ***.

    >>> redact("Authorization: Bearer abc")
    'Authorization: Bearer ***'
    """
    return SECRET_PATTERN.sub(lambda match: f"{next(filter(None, match.groups()), '')}***", text)


def configure_logging(stream: TextIO = sys.stdout, level: int = logging.INFO) -> None:
    """Make Oarlock's loggers write JSON; BentoML's keep their own format."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLogFormatter())
    logger = logging.getLogger("oarlock")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(level)
