"""What a company on some topology answers, by its commands and over HTTP, and how two sets of answers differ."""

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import sqlalchemy as sql

from benchmarks.serving.load_generator import ROOT
from serving.ledger.database import open_database
from serving.ledger.schema import RISKS

AT_ONCE = 100
PATIENCE = 300.0
RUN_COLUMNS = {"scored_at", "run_id", "request_id"}
Answer = Mapping[str, object]


@dataclass(frozen=True)
class Equality:
    """How many answers were compared, and how many of them differ in any bit."""

    scored_accounts: int
    different_scores: int
    changed_accounts: int
    different_changes: int


@dataclass(frozen=True)
class Question:
    """What is asked about accounts: a path, where the answers are in its response, and what the body has besides."""

    path: str
    answers: str
    body: Mapping[str, object]


@dataclass
class MeanwhileLoad:
    """Requests for risks that a client sent: the ids of those that were answered, and how many were not."""

    acknowledged: list[str] = field(default_factory=list[str])
    failed: int = 0

    def acknowledged_and_stored(self, ledger: str) -> set[str]:
        """What was acknowledged by now, as soon as the ledger's database holds all of it."""
        deadline = time.monotonic() + PATIENCE
        while len(self.acknowledged) < AT_ONCE and time.monotonic() < deadline:
            time.sleep(0.1)
        before = set(self.acknowledged)
        while before - recorded_requests(ledger) and time.monotonic() < deadline:
            time.sleep(0.5)
        return before


def run(config: Path, variables: Mapping[str, str], *arguments: str) -> str:
    """The output of a command that succeeds."""
    command = [sys.executable, "oarlock.py", "--config", str(config), *arguments]
    result = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True, check=True
    )
    return result.stdout


def compare_answers(files: Sequence[Path], changes: Sequence[Mapping[str, Answer]]) -> Equality:
    """Compare two exports of scores, and two sets of changes of risks."""
    tables = [pq.read_table(file).to_pandas().drop(columns=RUN_COLUMNS, errors="ignore") for file in files]
    first, second = (table.set_index("account_id").sort_index() for table in tables)
    if not first.index.equals(second.index):
        raise ValueError("the two exports are of different accounts")
    is_different = ((first != second) & ~(first.isna() & second.isna())).any(axis=1)
    different = sum(changes[0][account_id] != changes[1].get(account_id) for account_id in changes[0])
    return Equality(len(first), int(is_different.sum()), len(changes[0]), different)


def ask_for_changes(port: int, account_ids: Sequence[str], since: str) -> dict[str, Answer]:
    """Why the risks of some accounts changed since a day, by account."""
    return _ask(port, account_ids, Question("/v1/change", "changed", {"since": since}))


def ask_for_risks(port: int, account_ids: Sequence[str]) -> dict[str, Answer]:
    """What a service answers about accounts, by account."""
    return _ask(port, account_ids, Question("/v1/score", "scores", {"drivers": 10}))


def _ask(port: int, account_ids: Sequence[str], question: Question) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
        for start in range(0, len(account_ids), AT_ONCE):
            body = {"account_ids": account_ids[start : start + AT_ONCE], **question.body}
            response = _checked(client.post(question.path, json=body))
            answers |= {answer["account_id"]: answer for answer in response.json()[question.answers]}
    return answers


def _checked(response: httpx.Response) -> httpx.Response:
    if response.status_code != httpx.codes.OK:
        raise ValueError(f"{response.url} answered {response.status_code}: {response.text[:500]}")
    return response


@contextmanager
def score_meanwhile(port: int, account_ids: Sequence[str]) -> Iterator[MeanwhileLoad]:
    """Score the same few accounts over and over until the block ends."""
    load, stopping = MeanwhileLoad(), threading.Event()

    def send() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            while not stopping.is_set():
                request_id = uuid.uuid4().hex
                headers = {"x-request-id": request_id}
                response = client.post("/v1/score", json={"account_ids": list(account_ids)}, headers=headers)
                if response.status_code == httpx.codes.OK:
                    load.acknowledged.append(request_id)
                else:
                    load.failed += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield load
    finally:
        stopping.set()
        thread.join()


def recorded_requests(ledger: str | Path) -> set[str]:
    """The ids of the requests whose risks a ledger's database holds."""
    engine = open_database(ledger)
    with engine.connect() as connection:
        ids = set(connection.execute(sql.select(RISKS.c.request_id).distinct()).scalars())
    engine.dispose()
    return ids


def wait_for_portfolio(port: int) -> None:
    """Wait until a service that was just started has computed the risks of all accounts."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if httpx.get(f"http://127.0.0.1:{port}/v1/accounts?limit=1", timeout=PATIENCE).status_code == httpx.codes.OK:
            return
        time.sleep(1)
    raise TimeoutError("the portfolio was not computed in time")
