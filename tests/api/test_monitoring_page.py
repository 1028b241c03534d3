"""The page of monitoring, its JSON and its report: what the stored runs say."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from serving.ledger.ledger import Ledger
from serving.ledger.monitor_runs import BrokenSource, MonitorRun, RunStore
from serving.pages.charts.series import Series, draw_series
from serving.pages.monitoring_page import answer_monitoring, monitoring_document, monitoring_values
from serving.pages.rendering import render_offline
from serving.schemas.enums import HealthVerdict
from serving.views.monitoring_view import view_monitoring
from tests.support.api_client import ApiClient
from tests.support.page_client import open_page_client

DAY = datetime(2024, 3, 1)


def run_on(days: int, verdict: HealthVerdict, evidence: float, **fields) -> MonitorRun:
    day = DAY + timedelta(days=days)
    figures = {"outcome_evidence": evidence, "outcome_threshold": 8480.0, "departures_observed": 40.0}
    return MonitorRun(day, day, 3, verdict, "level", "more accounts leave", None, None, figures, **fields)


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore(Ledger(tmp_path / "ledger.db").engine)
    for run in (
        run_on(0, "ok", 1.0),
        run_on(7, "level moved: recalibrate", 9e3),
        run_on(14, "level moved: recalibrate", 5e4, command="oarlock recalibrate", checks={"drift": "412 tests"}),
    ):
        store.save(run)
    store.acknowledge(run_on(0, "population moved", 1.0), DAY + timedelta(days=90), "prices <rose>", at=DAY)
    return store


def test_the_report_says_what_moved_since_when_and_what_to_do(store: RunStore):
    page = render_offline("monitoring.html.jinja", monitoring_values(view_monitoring(store.database, None, DAY)))
    assert '<h1 class="answer">The level of the risks is wrong, as of 15 March 2024: more accounts leave.</h1>' in page
    assert "<code>oarlock recalibrate</code>" in page
    assert "the same since 8 March 2024" in page
    assert "412 tests" in page
    assert "prices &lt;rose&gt;" in page
    assert page.count("<polyline") == 3  # evidence, its alarm level, departures
    assert page.count("<summary>The same as a table</summary>") == 3
    assert re.findall(r'(?:href|src|action)="(?!#)[^"]*"', page) == []


def test_the_json_has_every_run_of_the_days_shown(store: RunStore):
    document = monitoring_document(view_monitoring(store.database, (DAY + timedelta(days=7)).date(), DAY))
    assert [run["as_of"] for run in document["runs"]] == ["2024-03-08T00:00:00Z", "2024-03-15T00:00:00Z"]  # type: ignore[index, union-attr]
    assert document["periods"] == [
        {
            "verdict": "level moved: recalibrate",
            "first": "2024-03-08T00:00:00Z",
            "last": "2024-03-15T00:00:00Z",
            "runs": 2,
        }
    ]


def test_a_broken_source_is_named(tmp_path: Path):
    store = RunStore(Ledger(tmp_path / "ledger.db").engine)
    store.save(run_on(0, "mend a source", 1.0, sources=(BrokenSource("usage", DAY, "no rows since 1 March"),)))
    page = render_offline("monitoring.html.jinja", monitoring_values(view_monitoring(store.database, None, DAY)))
    assert "<strong>usage</strong>, broken since 1 March 2024: no rows since 1 March" in page
    assert "One run is no line yet." in page


def test_the_page_and_its_json_are_at_one_address(api_client: ApiClient):
    client = open_page_client(api_client.context)
    assert "Nobody has checked yet whether the risks can be trusted." in client.read("/monitoring")
    assert client.get("/monitoring?format=json").json()["runs"] == []
    assert '<a href="/monitoring">Can the risks be trusted?</a>' in client.read("/")


def test_evidence_is_drawn_in_powers_of_ten():
    chart = draw_series([Series([(DAY, 0.1), (DAY + timedelta(days=7), 1e5)])], "Evidence", is_log=True)
    assert re.findall(r">([\d.]+(?:\xa0k)?)</text>", chart) == ["0.1", "10", "1\xa0k", "100\xa0k"]


def test_without_a_run_nobody_has_checked():
    assert answer_monitoring(None) == "Nobody has checked yet whether the risks can be trusted."
