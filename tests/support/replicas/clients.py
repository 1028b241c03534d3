"""Clients of replicas behind a proxy, which score, report feedback and list accounts until they are stopped."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.support.replicas.proxy import Nginx

PAUSE_SECONDS, FEEDBACK_PAUSE_SECONDS = 0.02, 0.25
IN_USE_SECONDS = 75  # the key of a request that died with its replica is free again after a minute
PROXY_ERRORS = {502, 504}


@dataclass
class ClientRecord:
    """What the clients saw; `scores` counts each reply by its body."""

    scores: Counter[bytes] = field(default_factory=Counter[bytes])
    scored: set[str] = field(default_factory=set[str])
    feedback: set[str] = field(default_factory=set[str])
    listings: int = 0
    milliseconds: list[float] = field(default_factory=list[float])
    failures: list[str] = field(default_factory=list[str])
    connections_lost: int = 0
    feedback_resent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, response: httpx.Response, milliseconds: float) -> bool:
        """Count a response; gives whether it is a success."""
        with self._lock:
            self.milliseconds.append(milliseconds)
            if response.is_success:
                return True
            self.failures.append(f"{response.request.url.path}: {response.status_code} {response.text[:300]}")
            return False


@dataclass
class ProxyClients:
    """Clients with a key, which score the same accounts and report feedback on others."""

    proxy: Nginx
    key: str
    account_ids: list[str]
    feedback_ids: list[str]
    record: ClientRecord = field(default_factory=ClientRecord)

    @contextmanager
    def running(self, scoring: int) -> Iterator[ClientRecord]:
        """Send requests from so many threads that score, and from two others, until the block ends."""
        stop = threading.Event()
        work = [self._score] * scoring + [self._report_feedback, self._list_accounts]
        threads = [threading.Thread(target=self._repeat, args=(function, stop)) for function in work]
        for thread in threads:
            thread.start()
        try:
            yield self.record
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _repeat(self, work: Callable[[httpx.Client], None], stop: threading.Event) -> None:
        with self.proxy.open_client(self.key) as client:
            while not stop.is_set():
                try:
                    work(client)
                except httpx.HTTPError as error:
                    self.record.failures.append(repr(error))

    def _score(self, client: httpx.Client) -> None:
        request_id = uuid.uuid4().hex
        body = {"account_ids": self.account_ids, "drivers": 3}
        request = client.build_request("POST", "/v1/score", json=body, headers={"x-request-id": request_id})
        response, milliseconds = self._send(client, request)
        if self.record.add(response, milliseconds):
            self.record.scored.add(request_id)
            self.record.scores[response.content] += 1
        time.sleep(PAUSE_SECONDS)

    def _list_accounts(self, client: httpx.Client) -> None:
        response, milliseconds = self._send(client, client.build_request("GET", "/v1/accounts?limit=20"))
        self.record.listings += self.record.add(response, milliseconds)
        time.sleep(FEEDBACK_PAUSE_SECONDS)

    def _report_feedback(self, client: httpx.Client) -> None:
        note = uuid.uuid4().hex
        account = self.feedback_ids[len(self.record.feedback) % len(self.feedback_ids)]
        body = {"account_id": account, "verdict": "right", "note": note}
        request = client.build_request("POST", "/v1/feedback", json=body, headers={"idempotency-key": note})
        response, milliseconds = self._send_until_free(client, request)
        if self.record.add(response, milliseconds):
            self.record.feedback.add(note)
        time.sleep(FEEDBACK_PAUSE_SECONDS)

    def _send(self, client: httpx.Client, request: httpx.Request) -> tuple[httpx.Response, float]:
        """The response and its milliseconds. A reload of the proxy may close a connection just before it is used."""
        began = time.monotonic()
        try:
            response = client.send(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            self.record.connections_lost += 1
            response = client.send(request)
        return response, (time.monotonic() - began) * 1000

    def _send_until_free(self, client: httpx.Client, request: httpx.Request) -> tuple[httpx.Response, float]:
        """Send feedback; if its replica died, once more with the same key, as soon as the key is free."""
        response, milliseconds = self._send(client, request)
        if response.status_code not in PROXY_ERRORS:
            return response, milliseconds
        self.record.feedback_resent += 1
        deadline = time.monotonic() + IN_USE_SECONDS
        while time.monotonic() < deadline:
            response, milliseconds = self._send(client, request)
            if response.status_code != 409:
                break
            time.sleep(2)
        return response, milliseconds
