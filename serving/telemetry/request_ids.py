"""The id of a request, which the response, the log and the ledger have in common."""

import re
import uuid

VALID_ID = re.compile(r"[\w.:-]{1,64}")


def new_request_id(sent: str = "") -> str:
    """The id that a client sent if it is valid, otherwise a new one.

    >>> new_request_id("abc-1")
    'abc-1'
    """
    return sent if VALID_ID.fullmatch(sent) else uuid.uuid4().hex
