"""The clients of `promotion.py`, in a process of their own: every reply's status, version and risks."""

import http.client
import json
import sys
import threading
import time
from typing import Any

AT_ONCE = 10


def main() -> None:
    """Read what is asked from standard input, write every reply in the order it came."""
    request = json.load(sys.stdin)
    replies: list[dict[str, Any]] = []
    begun = time.perf_counter()

    def send(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", request["port"], timeout=30)
        number = first
        while time.perf_counter() - begun < request["seconds"]:
            start = number * AT_ONCE % len(request["ids"])
            body = json.dumps({"account_ids": request["ids"][start : start + AT_ONCE], "drivers": 3})
            replies.append(_send_request(connection, body))
            number += request["clients"]

    threads = [threading.Thread(target=send, args=(thread,)) for thread in range(request["clients"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump(replies, sys.stdout)


def _send_request(connection: http.client.HTTPConnection, body: str) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        connection.request("POST", "/v1/score", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        content = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        connection.close()
        return {"status": str(error), "ms": 0.0}
    took = (time.perf_counter() - start) * 1000
    if answer.status != 200:
        return {"status": answer.status, "ms": took}
    risks = {score["account_id"]: score["risk"] for score in content["scores"]}
    return {"status": 200, "ms": took, "version": content["model"]["version"], "risks": risks}


if __name__ == "__main__":
    main()
