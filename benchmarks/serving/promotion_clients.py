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
    asked = json.load(sys.stdin)
    told: list[dict[str, Any]] = []
    begun = time.perf_counter()

    def send(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", asked["port"], timeout=30)
        number = first
        while time.perf_counter() - begun < asked["seconds"]:
            start = number * AT_ONCE % len(asked["ids"])
            body = json.dumps({"account_ids": asked["ids"][start : start + AT_ONCE], "drivers": 3})
            told.append(_one(connection, body))
            number += asked["clients"]

    threads = [threading.Thread(target=send, args=(one,)) for one in range(asked["clients"])]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    json.dump(told, sys.stdout)


def _one(connection: http.client.HTTPConnection, body: str) -> dict[str, Any]:
    start = time.perf_counter()
    try:
        connection.request("POST", "/v1/score", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        content = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException) as problem:
        connection.close()
        return {"status": str(problem), "ms": 0.0}
    took = (time.perf_counter() - start) * 1000
    if answer.status != 200:
        return {"status": answer.status, "ms": took}
    risks = {one["account_id"]: one["risk"] for one in content["scores"]}
    return {"status": 200, "ms": took, "version": content["model"]["version"], "risks": risks}


if __name__ == "__main__":
    main()
