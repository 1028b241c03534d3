"""The operations that an outage may hit, each as a client or an operator does it, and how each ended."""

import json
import signal
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from tests.support.outages.commands import CommandResult
from tests.support.outages.standard_company import COMMAND_SECONDS, LAST_DAY, StandardCompany

NO_ANSWER, GOES_ON = "no answer", "goes on"
REQUESTS_AROUND_A_DEATH = 60


@dataclass(frozen=True)
class Outcome:
    """How an operation ended: `answer` is the HTTP status or the exit code, `sentence` what it said if it failed."""

    answer: str
    sentence: str = ""
    seconds: float = 0.0

    @property
    def is_done(self) -> bool:
        """Whether it was done as ever."""
        return self.answer in {"200", "exit 0"}

    @property
    def is_broken(self) -> bool:
        """Whether it is no answer that anyone may promise: a traceback, none in time, or an error of Oarlock itself."""
        return self.answer.startswith("500") or self.answer in {"exit 1", NO_ANSWER, GOES_ON}


def score(company: StandardCompany) -> Outcome:
    """Score five accounts."""
    return _request(company, "/v1/score", {"account_ids": company.account_ids[:5], "drivers": 1})


def feedback(company: StandardCompany) -> Outcome:
    """Report feedback on an account."""
    return _request(company, "/v1/feedback", {"account_id": company.account_ids[5], "verdict": "wrong"})


def publish(company: StandardCompany) -> Outcome:
    """Publish the last day again."""
    return _outcome(company, company.run("publish", "--as-of", LAST_DAY, "--backfill-from", LAST_DAY))


def train(company: StandardCompany) -> Outcome:
    """Train a version that does not exist yet."""
    result = company.run("train", "--json", OARLOCK_TRAINING__SEED=str(uuid.uuid4().int % 10**6))
    if result.code == 0:
        company.acknowledged.versions.add(json.loads(result.out)["version"]["number"])
    return _outcome(company, result)


def promote(company: StandardCompany) -> Outcome:
    """Promote the version of two that is not champion."""
    version = 3 - company.acknowledged.champion
    result = company.run("promote", str(version), "--force", "--reason", "to try an outage")
    if result.code == 0:
        company.acknowledged.champion = version
    return _outcome(company, result)


def erase(company: StandardCompany) -> Outcome:
    """Erase an account that is not scored otherwise."""
    result = company.run("erase", company.account_ids[-1], "--json")
    if result.code == 0:
        assert json.loads(result.out)["complete"]
        company.account_ids.pop()
    return _outcome(company, result)


OPERATIONS: Mapping[str, Callable[[StandardCompany], Outcome]] = {
    "score": score,
    "publish": publish,
    "train": train,
    "promote": promote,
    "feedback": feedback,
    "erase": erase,
}


def _request(company: StandardCompany, path: str, body: dict[str, object]) -> Outcome:
    if not company.is_killing:
        return _post(company, path, body)
    worker, outcomes = company.service.workers()[0], list[Outcome]()
    for number in range(REQUESTS_AROUND_A_DEATH):
        if number == REQUESTS_AROUND_A_DEATH // 2:
            worker.kill()
        outcomes.append(_post(company, path, body))
    assert {outcome.answer for outcome in outcomes} <= {"200", NO_ANSWER}
    return Outcome("200 from another worker", "A request that the worker had taken has its connection closed.")


def _post(company: StandardCompany, path: str, body: dict[str, object]) -> Outcome:
    began, request_id = time.monotonic(), uuid.uuid4().hex
    try:
        response = company.service.client.post(path, json=body, headers={"x-request-id": request_id})
    except httpx.TransportError as error:
        return Outcome(NO_ANSWER, type(error).__name__, time.monotonic() - began)
    seconds, content = time.monotonic() - began, response.json()
    if response.is_error:
        error = content["error"]
        sentence = company.normal_text(f"{error['message']} {error['hint']}")
        return Outcome(f"{response.status_code} `{error['code']}`", sentence, seconds)
    if degraded := [risk["degraded"] for risk in content.get("scores", []) if "degraded" in risk]:
        return Outcome("200, `degraded`", company.normal_text(degraded[0]["rationale"]), seconds)
    _acknowledge(company, content, request_id)
    return Outcome("200", seconds=seconds)


def _acknowledge(company: StandardCompany, content: dict[str, object], request_id: str) -> None:
    if "scores" in content:
        company.acknowledged.risks.add(request_id)
    else:
        company.acknowledged.feedback.add(int(str(content["id"])))


def _outcome(company: StandardCompany, result: CommandResult) -> Outcome:
    if result.code is None:
        return Outcome(GOES_ON, f"for more than {COMMAND_SECONDS} seconds", result.seconds)
    if result.code == -signal.SIGKILL:
        return Outcome("killed", "Run it again.", result.seconds)
    if result.code == 0:
        return Outcome("exit 0", seconds=result.seconds)
    sentence = result.last_line if "Traceback" not in result.err else f"a traceback: {result.last_line}"
    return Outcome(f"exit {result.code}", company.normal_text(sentence.removeprefix("oarlock: ")), result.seconds)
