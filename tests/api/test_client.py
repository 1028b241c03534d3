"""The Python client: typed responses, errors with their code, and no import of the service."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import date

import httpx
import pytest

from serving.client import OarlockApiError, OarlockClient
from serving.schemas.requests import OutcomeReport
from tests.support.api_client import ApiClient
from tests.support.paths import ROOT


class _AppTransport(httpx.BaseTransport):
    """Sends requests to the app in this process, as if it were mounted under /v1."""

    def __init__(self, api_client: ApiClient) -> None:
        self.api_client = api_client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().removeprefix("/v1")
        response = self.api_client.request(request.method, path, content=request.read(), headers=request.headers)
        return httpx.Response(response.status_code, headers=response.headers, content=response.content)


@pytest.fixture
def client(api_client: ApiClient) -> Iterator[OarlockClient]:
    with OarlockClient("http://oarlock.test/", transport=_AppTransport(api_client)) as client:
        yield client


def test_every_method_returns_a_typed_response(client: OarlockClient, api_client: ApiClient):
    riskiest = api_client.riskiest
    (score,) = client.score([riskiest], drivers=1)["scores"]
    driver_points = sum(driver["points"] for driver in [*score["drivers"], *score["protective_drivers"]])
    assert score["base"] + driver_points + score["remaining_points"] == pytest.approx(score["risk"], abs=1e-9)
    assert client.score([riskiest], as_of=date(2023, 7, 1))["scores"][0]["risk"] == score["risk"]
    assert client.explain([riskiest])["explained"][0]["horizons"][0]["days"] == 30
    assert client.change([riskiest], date(2023, 7, 1))["changed"][0]["change"] == pytest.approx(0, abs=1e-9)
    assert (client.what_if(riskiest, suggest=1)["suggestions"][0]["risk"] or 1) < score["risk"]
    assert client.risk(riskiest)["account_id"] == client.history(riskiest, limit=1)["account_id"] == riskiest
    assert client.work_list(limit=1)["calls"][0]["play"]["suggested"]
    assert client.feedback(riskiest, "right")["account_id"] == riskiest
    report = OutcomeReport(account_id=riskiest, outcome="stayed", on=date(2023, 7, 1))
    assert client.outcomes([report])["by_outcome"] == {"stayed": 1}
    assert client.model()["version"] == client.models()["models"][0]["version"] == 1
    assert client.ready()["ready"]


def test_accounts_are_read_page_by_page(client: OarlockClient):
    ids = [account["account_id"] for account in client.iter_accounts(sort="risk", limit=400)]
    assert len(ids) == len(set(ids)) == client.accounts(limit=1)["total"]


def test_an_error_response_raises_with_its_code(client: OarlockClient):
    with pytest.raises(OarlockApiError, match="There is no account 'no/body'") as raised:
        client.risk("no/body")
    assert (raised.value.status, raised.value.code) == (404, "unknown_account")


def test_an_error_page_of_a_proxy_raises():
    proxy = httpx.MockTransport(lambda _: httpx.Response(502, text="<html>bad gateway"))
    with (
        OarlockClient("http://oarlock.test", transport=proxy) as client,
        pytest.raises(OarlockApiError, match="bad gateway"),
    ):
        client.model()


def test_the_key_is_sent_as_a_bearer_token():
    headers = []

    def respond(request: httpx.Request) -> httpx.Response:
        headers.append(request.headers["authorization"])
        return httpx.Response(200, json={"ready": True})

    with OarlockClient("http://oarlock.test", key="secret", transport=httpx.MockTransport(respond)) as client:
        client.ready()
    assert headers == ["Bearer secret"]


def test_the_client_imports_no_framework():
    heavy = "('fastapi', 'starlette', 'bentoml', 'numpy', 'pandas', 'sqlalchemy', 'feast', 'mlflow')"
    code = f"import sys, serving.client; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.strip() == "[]"
