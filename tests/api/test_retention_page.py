"""The retention page: gross beside net with n and interval, and JSON, CSV and report say the same as the page."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from features.publishing.past_revenue import PastRevenue
from features.retention.definitions import DEFINITIONS
from serving.schemas.page_queries import RetentionQuery
from serving.views.recent_views import MAX_VIEWS, RecentViews
from serving.views.retention_key import retention_key
from serving.views.retention_view import view_retention
from tests.support.api_client import ApiClient
from tests.support.page_client import PageClient, open_page_client
from tests.support.trained_model import TrainedModel


@pytest.fixture(scope="module")
def client(api_client: ApiClient) -> PageClient:
    return open_page_client(api_client.context)


def test_page_json_and_csv_say_the_same(client: PageClient):
    page, document = client.read("/retention"), client.get("/retention?format=json").json()
    assert document["answer"] in page
    rows = list(csv.DictReader(io.StringIO(client.read("/retention?format=csv"))))
    assert [row["group"] for row in rows] == [group["group"] for group in document["groups"]]
    assert [float(row["gross"]) for row in rows] == [group["gross"] for group in document["groups"]]
    months = list(csv.DictReader(io.StringIO(client.read("/retention?format=months.csv"))))
    assert [float(month["end"]) for month in months] == [month["end"] for month in document["months"]]


def test_every_definition_is_on_the_page_with_its_hash(client: PageClient):
    page = client.read("/retention")
    assert all(f"<code>{definition.hash}</code>" in page for definition in DEFINITIONS)


def test_gross_never_stands_without_net_and_n(client: PageClient):
    for group in client.get("/retention?format=json").json()["groups"]:
        assert group["gross"] <= min(group["net"], 1)
        assert group["accounts"] >= group["stayed"]
        assert group["logo_low"] <= group["logo"] <= group["logo_high"]


def test_the_months_on_the_page_add_up_as_they_are_shown(client: PageClient):
    table = client.read("/retention").split('aria-label="Movements by month"')[1].split("</table>")[0]
    for row in re.findall(r"<tr><th scope=\"row\".*?</tr>", table):
        start, *parts, end, _, _ = (
            int(cell.replace(",", "").replace("\u2212", "-"))
            for cell in re.findall(r'<td class="number[^"]*">([^<]+)', row)
        )
        assert start + sum(parts) == end


def test_the_causes_add_up_to_the_revenue_at_risk_of_the_portfolio(client: PageClient):
    causes = client.get("/retention?format=json").json()["causes"]
    for parts in (causes["families"], causes["functions"]):
        total = round(causes["base"] * 100) + sum(round(part["amount"] * 100) for part in parts)
        assert total == round(causes["revenue_at_risk"] * 100)
    portfolio = client.get("/?format=json").json()["totals"]["revenue_at_risk"]
    assert causes["revenue_at_risk"] == pytest.approx(portfolio, abs=1)


def test_the_causes_on_the_page_add_up_as_they_are_shown(client: PageClient):
    section = client.read("/retention").split('id="causes"')[1].split("</section>")[0]
    bars = [int(text.replace(",", "").replace("\u2212", "-")) for text in re.findall(r"<b>([^<]+)</b>", section)]
    assert sum(bars[:-1]) == bars[-1]
    for table in re.findall(r"<tbody>(.*?)</tbody>", section, re.DOTALL):
        rows = re.findall(r'<td class="number">([^<]+)</td><td', table)
        assert bars[0] + sum(int(text.replace(",", "").replace("\u2212", "-")) for text in rows) == bars[-1]


def test_the_renewals_on_the_page_are_those_of_the_json(client: PageClient):
    renewals = client.get("/retention?format=json").json()["renewals"]
    section = client.read("/retention").split('id="renewals"')[1].split("</section>")[0]
    if renewals["quarters"]:
        assert f"{renewals['quarters'][0]['due']:,.0f}" in section
    else:
        assert "No account that pays has a term" in section


def test_a_filter_leaves_the_groups_of_one_segment(client: PageClient):
    everybody = client.get("/retention?format=json").json()["groups"]
    segment = next(group for group in everybody if group["dimension"] == "segment")
    filtered = client.get(f"/retention?segment={segment['group']}&format=json").json()["groups"]
    assert filtered[0]["start"] == segment["start"]
    assert [group["group"] for group in filtered if group["dimension"] == "segment"] == [segment["group"]]


def test_nobody_under_a_filter_is_said_so(client: PageClient):
    assert "Nothing to keep." in client.read("/retention?segment=nowhere")


def test_a_view_is_computed_once_for_every_format_and_again_after_a_publish(client: PageClient):
    query = RetentionQuery(months=6)
    client.read("/retention?months=6&format=json")
    portfolio = client.context.find_portfolio()
    assert portfolio is not None
    key = retention_key(client.context.revenue.written_at(), portfolio.key, None, query)
    view = client.services.retention.find(key)
    client.read("/retention?months=6")
    assert view is not None
    assert client.services.retention.find(key) is view
    assert client.services.retention.find(key._replace(written=key.written + 1)) is None
    assert client.services.retention.find(key._replace(owner="ada")) is None


def test_few_views_are_kept(client: PageClient):
    view = view_retention(client.context.revenue.current(), None, RetentionQuery(), client.context.settings)
    cache = RecentViews()
    keys = [retention_key(written, None, None, RetentionQuery()) for written in range(MAX_VIEWS + 1)]
    for key in keys:
        cache.add(key, view)
    assert [cache.find(key) is None for key in keys] == [True] + [False] * MAX_VIEWS


def open_past(client: PageClient, path: str) -> httpx.Response:
    """The response of a past day, asked for again until it is computed."""
    while (response := client.get(path)).status_code == 202:
        continue
    return response


def test_a_past_day_is_what_the_report_of_that_day_says(client: PageClient, oarlock, trained: TrainedModel):
    document = open_past(client, "/retention?as_of=2023-03-01&months=6&format=json").json()
    report = oarlock("report", "retention", "--as-of", "2023-03-01", "--months", "6", "--json", config=trained.config)
    assert document == json.loads(report.out)
    assert (document["until"], document["causes"]) == ("2023-03-01", None)


def test_the_page_of_a_past_day_says_so_and_keeps_the_day_in_its_links(client: PageClient):
    page = open_past(client, "/retention?as_of=2023-03-01&months=6").text
    assert "As the tables were known on 1 March 2023 (UTC)." in page
    assert 'href="/retention?months=6">Back to now</a>' in page
    assert 'href="/retention?months=6&amp;as_of=2023-03-01&amp;format=csv"' in page
    assert "As the tables were known" not in client.read("/retention?months=6")


def test_a_day_that_is_being_computed_says_so_and_loads_again_without_scripts(client: PageClient):
    past = PastRevenue(client.context.settings, client.context.state, wait_seconds=0)
    pages = open_page_client(replace(client.context, past_revenue=past))
    page, document = pages.get("/retention?as_of=2023-02-01"), pages.get("/retention?as_of=2023-02-01&format=json")
    assert (page.status_code, page.headers["refresh"], "is being computed." in page.text) == (202, "2", True)
    assert (document.status_code, document.headers["retry-after"]) == (202, "2")
    assert document.json()["error"]["code"] == "being_computed"
    assert open_past(pages, "/retention?as_of=2023-02-01&format=json").json()["until"] == "2023-02-01"


@pytest.mark.parametrize(
    ("day", "message"),
    [
        ("2023-07-02", "2023-07-02 is after 2023-07-01, the last day that is published."),
        ("2001-01-01", "No subscription began before 2001-01-01: the first one is of"),
    ],
)
def test_a_day_outside_of_the_tables_is_refused_in_one_sentence(client: PageClient, day: str, message: str):
    response = client.get(f"/retention?as_of={day}&format=json")
    assert response.status_code == 422
    assert message in response.json()["error"]["message"]


def test_a_period_that_is_not_offered_is_refused(client: PageClient):
    assert client.get("/retention?months=5").status_code == 422


def test_the_report_is_one_file_with_the_same_answer(
    client: PageClient, oarlock, trained: TrainedModel, tmp_path: Path
):
    result = oarlock("report", "retention", "--html", str(tmp_path / "r.html"), config=trained.config)
    assert result.code == 0, result.err
    page = (tmp_path / "r.html").read_text("utf-8")
    assert client.get("/retention?format=json").json()["answer"] in page
    assert "<form" not in page


def test_a_report_that_goes_nowhere_is_refused(oarlock, trained: TrainedModel):
    result = oarlock("report", "retention", config=trained.config)
    assert result.code == 2
    assert "Name a file with --html, or ask for --json." in result.err
