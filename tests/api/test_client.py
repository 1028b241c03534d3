"""The client: every question typed, every refusal an error with its code, nothing of the service imported."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import date

import httpx
import pytest

from serving.client import OarlockApiError, OarlockClient
from serving.schemas.requests import OutcomeReport
from tests.conftest import ROOT
from tests.support.api_client import ApiClient


class _Mounted(httpx.BaseTransport):
    """Asks the app in this process as if it were mounted under /v1."""

    def __init__(self, office: ApiClient) -> None:
        self.office = office

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().removeprefix("/v1")
        reply = self.office.request(request.method, path, content=request.read())
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)


@pytest.fixture
def client(office) -> Iterator[OarlockClient]:
    with OarlockClient("http://oarlock.test/", transport=_Mounted(office)) as client:
        yield client


def test_it_asks_every_question(client, office):
    riskiest = office.riskiest
    (score,) = client.score([riskiest], drivers=1).scores
    named = sum(one.points for one in [*score.drivers, *score.protective])
    assert score.base + named + score.other_points == pytest.approx(score.risk, abs=1e-9)
    assert client.score([riskiest], as_of=date(2023, 7, 1)).scores[0].risk == score.risk
    assert client.explain([riskiest]).explained[0].horizons[0].days == 30
    assert client.change([riskiest], date(2023, 7, 1)).changed[0].change == pytest.approx(0, abs=1e-9)
    assert client.what_if(riskiest, suggest=1).suggestions[0].risk < score.risk
    assert client.risk(riskiest).account_id == client.history(riskiest, limit=1).account_id == riskiest
    assert client.work_list(limit=1).calls[0].play.suggested
    assert client.feedback(riskiest, "right").account_id == riskiest
    report = OutcomeReport(account_id="Ωμέγα/1", outcome="stayed", on=date(2023, 7, 1))
    assert client.outcomes([report]).by_outcome == {"stayed": 1}
    assert client.model().version == client.models().models[0].version == 1
    assert client.ready().ready


def test_it_walks_the_whole_portfolio(client):
    ids = [one.account_id for one in client.every_account(sort="risk", limit=400)]
    assert len(ids) == len(set(ids)) == client.accounts(limit=1).total


def test_a_refusal_is_an_error_with_its_code(client):
    with pytest.raises(OarlockApiError, match="There is no account 'no/body'") as refusal:
        client.risk("no/body")
    assert (refusal.value.status, refusal.value.code) == (404, "unknown_account")


def test_an_answer_that_is_not_from_oarlock_is_an_error_too():
    proxy = httpx.MockTransport(lambda _: httpx.Response(502, text="<html>bad gateway"))
    with (
        OarlockClient("http://oarlock.test", transport=proxy) as client,
        pytest.raises(OarlockApiError, match="bad gateway"),
    ):
        client.model()


def test_it_sends_its_key():
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={"ready": True})

    with OarlockClient("http://oarlock.test", key="secret", transport=httpx.MockTransport(answer)) as client:
        client.ready()
    assert seen == ["Bearer secret"]


def test_it_imports_no_framework():
    heavy = "('fastapi', 'starlette', 'bentoml', 'numpy', 'pandas', 'sqlalchemy', 'feast', 'mlflow')"
    code = f"import sys, serving.client; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
