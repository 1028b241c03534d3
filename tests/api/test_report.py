"""Reports: one file each, which holds all that it needs and says what the page says."""

import re
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient
from tests.support.trained_model import TrainedModel


@pytest.fixture
def run(trained: TrainedModel, oarlock, tmp_path: Path):
    def run_report(*arguments: str) -> str:
        file = tmp_path / "report.html"
        result = oarlock("report", *arguments, "--html", str(file), config=trained.config)
        assert result.code == 0, result.err
        return file.read_text("utf-8")

    return run_report


def test_a_report_asks_nothing_of_any_host(run, api_client: ApiClient):
    for page in (run("account", api_client.riskiest), run("portfolio", "--limit", "5")):
        assert re.findall(r'(?:href|src|action)="(?!#)[^"]*"', page) == []
        assert "--critical-ground" in page
        assert "<form" not in page
        assert "default-src 'none'; style-src 'sha256-" in page


def test_the_report_of_an_account_says_what_its_risk_is_made_of(run, api_client: ApiClient):
    page = run("account", api_client.riskiest)
    score = api_client.post("/score", account_ids=[api_client.riskiest])["scores"][0]
    assert f"a risk of {score['risk'] * 100:.1f}\xa0%" in page
    assert "What the risk is made of" in page


def test_the_report_of_the_portfolio_lists_the_accounts(run, api_client: ApiClient):
    page = run("portfolio", "--limit", "5")
    listed = api_client.get("/accounts", limit=5)["accounts"]
    assert all(f"<bdi>{account['name'] or account['account_id']}</bdi>" in page for account in listed)
    assert page.count('<th scope="row" class="account">') == 5


def test_an_unknown_account_has_no_report(oarlock, trained: TrainedModel, tmp_path: Path):
    result = oarlock("report", "account", "nobody", "--html", str(tmp_path / "x.html"), config=trained.config)
    assert result.failure[0] == 9
    assert "There is no account 'nobody'." in result.failure[1]
    assert not (tmp_path / "x.html").exists()
