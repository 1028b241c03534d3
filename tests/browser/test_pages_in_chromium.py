"""The pages in a real browser: an analyst's tasks with and without scripts, and the rules of accessibility."""

# pyright: reportMissingImports=false
# (Playwright is an optional extra)

import csv
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from serving.pages_app import PAGES
from tests.browser.conftest import EARLIER, Site
from tests.support.browser_pages import Appearance, downloaded, visit

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow
RISK = re.compile(r"[\d.]+\s%")
PATHS = sorted({page.path for page in PAGES if "GET" in (page.methods or ())})
APPEARANCES: dict[str, Appearance] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1440, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1440, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
    "forced colours": {"forced_colors": "active", "viewport": {"width": 1440, "height": 900}},
}


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_an_analyst_does_the_day_s_tasks(browser: "Browser", site: Site, tmp_path, scripts: bool):
    with visit(browser, site.address, java_script_enabled=scripts) as opened:
        page = opened.page
        opened.sign_in(site.key)
        page.get_by_label("Name or id").fill(site.riskiest)
        page.get_by_role("button", name="Apply").click()
        assert parse_qs(urlsplit(page.url).query)["q"] == [site.riskiest]
        page.locator(".views summary").click()
        page.get_by_label("Name of this view").fill(f"Scripts {scripts}")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_role("link", name="All accounts").click()
        page.get_by_role("link", name=f"Scripts {scripts}").click()
        assert parse_qs(urlsplit(page.url).query)["q"] == [site.riskiest]
        page.get_by_role("row").get_by_role("link", name=site.riskiest).first.click()
        assert "risk of" in opened.heading()
        risk = RISK.findall(opened.heading())[0]

        page.get_by_label("Compare with").fill(f"{EARLIER:%Y-%m-%d}")
        page.get_by_role("button", name="Compare").click()
        assert "Its risk went up by" in page.get_by_role("region", name="What changed").inner_text()

        page.get_by_label("wrong", exact=True).check()
        page.get_by_label("Note").fill("They told me that they stay.")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("status").filter(has_text="Saved").wait_for()

        page.get_by_role("link", name="Portfolio", exact=True).first.click()
        page.get_by_text("Dates and rows").click()
        page.get_by_label("As served by").fill(f"{EARLIER:%Y-%m-%d}")
        page.get_by_role("button", name="Apply").click()
        page.get_by_role("row").get_by_role("link", name=site.riskiest).first.click()
        page.get_by_role("status").filter(has_text="As served by the end of").wait_for()
        assert RISK.findall(opened.heading())[0] != risk
        page.get_by_role("link", name="Back to now").click()
        assert RISK.findall(opened.heading())[0] == risk

        opened.open("/?limit=10")
        rows = list(csv.reader(downloaded(opened, "CSV", tmp_path).open(encoding="utf-8-sig")))
        assert len(rows) == 11
        page.get_by_role("button", name="Sign out").click()
        assert opened.page.goto(f"{site.address}/") and "Sign in" in opened.heading()


@pytest.mark.parametrize("appearance", APPEARANCES)
@pytest.mark.parametrize("path", PATHS)
def test_axe_has_nothing_to_report(browser: "Browser", site: Site, path: str, appearance: str):
    from axe_playwright_python.sync_playwright import Axe

    with visit(browser, site.address, **APPEARANCES[appearance]) as opened:
        opened.sign_in(site.key)
        opened.open(path.replace("{account_id:path}", site.riskiest))
        violations = Axe().run(opened.page).response["violations"]
        assert [f"{found['id']}: {node['html']}" for found in violations for node in found["nodes"]] == []
        assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_what_if_computes_the_changed_signal(browser: "Browser", site: Site):
    with visit(browser, site.address) as opened:
        opened.sign_in(site.key)
        opened.open(f"/accounts/{site.riskiest}/what-if")
        field = opened.page.locator("details[open] input[type=number]").first
        field.fill(str(field.get_attribute("max")))
        opened.page.get_by_role("button", name="Compute").click()
        opened.page.get_by_role("heading", name="With the changes").wait_for()
        assert "its risk would be" in opened.heading()


@pytest.mark.parametrize("path", ["/outcomes", "/retention"])
def test_no_table_scrolls_on_a_wide_screen(browser: "Browser", site: Site, path: str):
    with visit(browser, site.address, **APPEARANCES["light"]) as opened:
        opened.sign_in(site.key)
        opened.open(path)
        tables = opened.page.locator(".scroll")
        assert tables.count() > 0
        assert tables.evaluate_all("tables => tables.filter(t => t.scrollWidth > t.clientWidth).length") == 0
