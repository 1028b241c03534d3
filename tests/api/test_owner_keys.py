"""Keys that are limited to an owner's accounts: every route and page refuses those of others, and counts none."""

import asyncio
import re
import shutil
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from configs.errors import ConfigError, DamagedState
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.publishing.past_revenue import build_past_revenue
from features.store.account_table import AccountDetails, AccountTable, write_account_table
from features.store.revenue_table import read_revenue_table, write_revenue_table
from serving.accounts.account_table_cache import AccountTableCache
from serving.accounts.portfolio import Portfolio
from serving.api.middleware.auth import AuthMiddleware
from serving.api.middleware.request_id import RequestIdMiddleware
from serving.api.openapi import openapi_document
from serving.api.scopes import ScopeTable
from serving.app import ENDPOINTS, PREFIX, create_app, get_openapi
from serving.handlers.context import ServiceContext, open_context
from serving.handlers.owner_limits import limit_to_owner
from serving.ledger.ledger import Ledger
from serving.pages_app import PAGES
from serving.scoring.scorer import open_scorer
from tests.support.page_client import PageClient, open_page_client
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_folder

OWNER, OTHER = "ada", "grace"
SCOPES = ScopeTable((*ENDPOINTS, get_openapi), PREFIX, {"/metrics": "read"})
ROUTES = [
    (method.upper(), path.removeprefix(PREFIX))
    for path, operations in openapi_document(ENDPOINTS, PREFIX)["paths"].items()
    for method in operations
]
NAMES_ACCOUNTS = {
    "/score": {"account_ids": ["ID"]},
    "/explain": {"account_ids": ["ID"]},
    "/change": {"account_ids": ["ID"], "since": "2023-06-01"},
    "/what-if": {"account_id": "ID", "suggest": 1},
    "/feedback": {"account_id": "ID", "verdict": "right"},
    "/outcomes": {"outcomes": [{"account_id": "ID", "outcome": "left", "on": "2023-06-01"}]},
}
NAMED_IN_JSON = re.compile(r'"(?:account_id|parent_id)": ?"([^"]+)"')
NAMED_IN_LINK = re.compile(r'href="/accounts/([^"?/]+)')
NAMED_IN_CSV = re.compile(r"^([^,<{]+),", re.MULTILINE)
REFUSED = {"/models", "/metrics"}  # they are about the accounts of everybody


@dataclass(frozen=True)
class Limited:
    """A service whose accounts belong to two owners, and a key that is limited to one of them."""

    context: ServiceContext
    pages: PageClient
    secret: str
    own: tuple[str, ...]
    others: tuple[str, ...]

    def request(self, method: str, path: str, **options) -> httpx.Response:
        """Send a request to the API with the limited key."""
        app = Starlette(routes=[Mount(PREFIX, create_app(lambda: self.context))])
        secured = RequestIdMiddleware(AuthMiddleware(app, SCOPES, lambda: self.pages.authorizer))

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=secured, client=("10.0.0.9", 1), raise_app_exceptions=False)
            headers = {"authorization": f"Bearer {self.secret}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
                return await client.request(method, f"{PREFIX}{path}", **options)

        return asyncio.run(send())


@pytest.fixture(scope="module")
def limited(trained: TrainedModel, tmp_path_factory) -> Limited:
    folder = tmp_path_factory.mktemp("owned")
    state = replace(trained.state, folder=copy_folder(trained.state.folder, folder / "state"))
    table = AccountTable(state.account_table)
    rows = list(table.details_by_id(table.columns("account_id")["account_id"]).values())
    owned: list[AccountDetails] = [
        replace(details, owner=OWNER if index % 3 == 0 else OTHER) for index, details in enumerate(rows)
    ]
    write_account_table(state.account_table, table.as_of, owned)
    _write_owners_of_revenue(state.revenue_table, {row.account_id: row.owner for row in owned})
    ledger = Ledger(folder / "ledger.db")
    context = open_context(state, open_scorer(trained.settings, state, lambda: EXTRACT_END, ledger), ledger)
    pages = open_page_client(context)
    secret = pages.add_key("read", "score", "feedback", owner=OWNER)
    ids = {owner: tuple(row.account_id for row in owned if row.owner == owner) for owner in (OWNER, OTHER)}
    return Limited(context, pages, secret, ids[OWNER], ids[OTHER])


def _write_owners_of_revenue(file: Path, owners: dict[str, str | None]) -> None:
    history = read_revenue_table(file)
    named = np.array([owners.get(account_id) for account_id in history.account_ids], dtype=object)
    write_revenue_table(file, replace(history, attributes={**history.attributes, "owner": named}))


def fill(content: object, account_id: str) -> object:
    """The content with an account's id for ID."""
    if isinstance(content, dict):
        return {name: fill(value, account_id) for name, value in content.items()}
    if isinstance(content, list):
        return [fill(value, account_id) for value in content]
    return account_id if content == "ID" else content


def names_no_other(limited: Limited, text: str) -> bool:
    """Whether a page, JSON or CSV names no account of another owner, nor the owner."""
    named = {*NAMED_IN_JSON.findall(text), *NAMED_IN_LINK.findall(text), *NAMED_IN_CSV.findall(text)}
    return OTHER not in text and named.isdisjoint(limited.others)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_route_gives_an_account_of_another_owner(limited: Limited, method: str, path: str):
    """The routes are those of the OpenAPI document: a new one that names accounts has to be added above."""
    if "{account_id}" in path or method == "POST":
        other = path.replace("{account_id}", limited.others[0])
        body = {"json": fill(NAMES_ACCOUNTS[path], limited.others[0])} if method == "POST" else {}
        unknown = (
            path.replace("{account_id}", "nobody"),
            ({"json": fill(NAMES_ACCOUNTS[path], "nobody")} if method == "POST" else {}),
        )
        refused, missing = limited.request(method, other, **body), limited.request(method, unknown[0], **unknown[1])
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "unknown_account")
        assert missing.status_code == 404  # nothing tells an account of another owner from no account
        return
    response = limited.request(method, path, params={"limit": 200} if path == "/accounts" else {})
    assert (response.status_code == 403) == (path in REFUSED), response.text
    assert names_no_other(limited, response.text)


@pytest.mark.parametrize("path", NAMES_ACCOUNTS)
def test_a_limited_key_may_ask_about_its_own_accounts(limited: Limited, path: str):
    if path == "/change":
        pytest.skip("nothing was served of an earlier day")
    response = limited.request("POST", path, json=fill(NAMES_ACCOUNTS[path], limited.own[0]))
    assert response.status_code == 200, response.text


def test_a_foreign_id_among_own_ones_refuses_the_request(limited: Limited):
    response = limited.request("POST", "/score", json={"account_ids": [limited.own[0], limited.others[0]]})
    assert response.status_code == 404


def test_lists_and_totals_are_of_own_accounts_only(limited: Limited):
    listed = limited.request("GET", "/accounts", params={"limit": 500}).json()
    assert listed["total"] == len(limited.own)
    assert {account["account_id"] for account in listed["accounts"]} <= set(limited.own)
    assert limited.request("GET", "/accounts", params={"owner": OTHER}).json()["total"] == 0


def test_the_past_list_is_refused_because_it_knows_no_owners(limited: Limited):
    limited.request("POST", "/score", json={"account_ids": [limited.own[0]]})
    response = limited.request("GET", "/accounts", params={"as_of": f"{EXTRACT_END:%Y-%m-%d}"})
    assert response.status_code == 422


def test_the_number_of_peers_of_other_owners_is_not_shown(limited: Limited):
    explained = limited.request("POST", "/explain", json={"account_ids": [limited.own[0]]}).json()["explained"][0]
    signals = [signal for driver in explained["drivers"] for signal in driver["signals"]]
    assert {signal["percentile"] for signal in signals} <= {None}


def test_similar_accounts_and_peers_of_other_owners_are_not_counted(limited: Limited):
    path, headers = f"/accounts/{limited.own[0]}", {"authorization": f"Bearer {limited.secret}"}
    limited.request("GET", "/accounts")  # computes the portfolio
    document = limited.pages.get(f"{path}?format=json", headers=headers).json()
    assert document["similar"] is None
    assert " of your " in document["answer"]
    assert "Similar past accounts" not in limited.pages.get(path, headers=headers).text
    what_if = limited.pages.get(f"{path}/what-if", headers=headers).text
    assert 'type="number"' in what_if
    assert "n = " not in what_if
    body = {"account_id": limited.own[0], "suggest": 3}
    suggestions = limited.request("POST", "/what-if", json=body).json()["suggestions"]
    assert {change["percentiles_moved"] for change in suggestions} == {None}


@pytest.mark.parametrize("path", [page.path for page in PAGES if page.method == "GET" and page.scope is not None])
@pytest.mark.parametrize("format_", ["html", "json", "csv"])
def test_no_page_shows_an_account_of_another_owner(limited: Limited, path: str, format_: str):
    """A new page is among them by itself."""
    headers = {"authorization": f"Bearer {limited.secret}"}
    if "{account_id" in path:
        other = path.replace("{account_id:path}", limited.others[0])
        response = limited.pages.get(f"{other}?format={format_}", headers=headers)
        assert response.status_code in {404, 422}
        assert names_no_other(limited, response.text)
        return
    response = limited.pages.get(f"{path}?format={format_}" if format_ != "html" else path, headers=headers)
    assert response.status_code in {200, 403, 422}
    assert names_no_other(limited, response.text)


def test_the_portfolio_page_counts_own_accounts_only(limited: Limited):
    headers = {"authorization": f"Bearer {limited.secret}"}
    document = limited.pages.get("/?format=json&limit=500", headers=headers).json()
    assert document["totals"]["accounts"] == len(limited.own)


def test_the_retention_is_of_own_accounts_only(limited: Limited):
    headers = {"authorization": f"Bearer {limited.secret}"}
    document = limited.pages.get("/retention?months=3&format=json", headers=headers).json()
    assert {group["group"] for group in document["groups"] if group["dimension"] == "owner"} == {OWNER}
    history = read_revenue_table(limited.context.state.revenue_table)
    own = history.cents[history.matching("owner", OWNER), -1]
    assert document["movement"]["end"] == own.sum() / 100


def test_the_retention_of_a_past_day_is_of_own_accounts_only(limited: Limited):
    headers = {"authorization": f"Bearer {limited.secret}"}
    path = "/retention?as_of=2023-03-01&months=6&format=json"
    while (response := limited.pages.get(path, headers=headers)).status_code == 202:
        continue
    everybody = build_past_revenue(limited.context.settings, limited.context.state, datetime(2023, 3, 1))
    published = read_revenue_table(limited.context.state.revenue_table)
    own = set(published.account_ids[published.matching("owner", OWNER)])
    cents = sum(
        cents
        for account_id, cents in zip(everybody.account_ids, everybody.cents[:, -1], strict=True)
        if account_id in own
    )
    assert response.json()["movement"]["end"] == cents / 100
    assert 0 < cents < everybody.cents[:, -1].sum()


def test_the_model_page_is_refused(limited: Limited):
    response = limited.pages.get("/model", headers={"authorization": f"Bearer {limited.secret}"})
    assert response.status_code == 403
    assert "the API key is limited to those of one owner" in response.text


def test_the_metrics_are_refused():
    assert not SCOPES.limits_rows("GET", "/metrics")
    assert SCOPES.limits_rows("GET", "/v1/accounts")


def test_a_key_of_scope_admin_cannot_be_limited(oarlock, trained: TrainedModel, tmp_path: Path):
    config = shutil.copy(trained.config, tmp_path / "oarlock.toml")
    result = oarlock("keys", "create", "--name", "x", "--scope", "admin", "--owner", OWNER, config=config)
    assert result.code == 2
    assert "cannot be limited" in result.err


def test_an_owner_that_no_published_account_has_is_refused(oarlock, trained: TrainedModel, tmp_path: Path):
    config = Path(shutil.copy(trained.config, tmp_path / "oarlock.toml"))
    state = open_state_dir(read_settings(config))
    write_account_table(state.account_table, EXTRACT_END, [AccountDetails("a", owner="Chloe Martin")])
    create = ("keys", "create", "--name", "x", "--scope", "read", "--owner")
    refused = oarlock(*create, "Chloe Marten", config=config)
    assert refused.code == ConfigError.exit_code
    assert "The owners are: Chloe Martin." in refused.err
    assert oarlock(*create, "Chloe Martin", config=config).code == 0


def test_an_account_that_moved_is_shown_to_its_new_owner_only(limited: Limited):
    """The portfolio and the columns of a past day are those of the table before."""
    moved, file, secret = (
        limited.own[0],
        limited.context.state.account_table,
        limited.pages.add_key("read", owner=OTHER),
    )
    limited.request("POST", "/score", json={"account_ids": [moved, limited.own[1]]})
    paths = ("/?format=json&limit=500", f"/?as_of={EXTRACT_END:%Y-%m-%d}&format=json")
    assert [moved in _listed(limited, limited.secret, path) for path in paths] == [True, True]
    content = file.read_bytes()
    table = AccountTable(file)
    rows = table.details_by_id(table.columns("account_id")["account_id"])
    rows[moved] = replace(rows[moved], owner=OTHER)
    try:
        write_account_table(file, table.as_of, rows.values())
        assert [moved in _listed(limited, limited.secret, path) for path in paths] == [False, False]
        assert moved in _listed(limited, secret, paths[1])
        assert limited.request("GET", "/accounts").json()["total"] == len(limited.own) - 1
    finally:
        file.write_bytes(content)


def _listed(limited: Limited, secret: str, path: str) -> set[str]:
    document = limited.pages.get(path, headers={"authorization": f"Bearer {secret}"}).json()
    return {account["account_id"] for account in document["accounts"]}


@dataclass(frozen=True)
class _Computing:
    """A portfolio that is being computed."""

    pending: Future[Portfolio]

    def current(self) -> Future[Portfolio]:
        return self.pending


def test_who_waits_for_a_cancelled_portfolio_is_answered(limited: Limited):
    pending: Future[Portfolio] = Future()
    owned = limit_to_owner(replace(limited.context, portfolios=_Computing(pending)), OWNER).portfolios.current()
    assert isinstance(owned, Future)
    pending.cancel()
    with pytest.raises(CancelledError):
        owned.result(2)


def test_who_waits_while_the_account_table_is_damaged_is_answered(limited: Limited, tmp_path: Path):
    limited.request("GET", "/accounts")  # computes the portfolio
    portfolio = limited.context.find_portfolio()
    assert portfolio
    damaged = tmp_path / "accounts.db"
    damaged.write_text("damaged")
    pending: Future[Portfolio] = Future()
    context = replace(limited.context, portfolios=_Computing(pending), account_table=AccountTableCache(damaged))
    owned = limit_to_owner(context, OWNER).portfolios.current()
    assert isinstance(owned, Future)
    pending.set_result(portfolio)
    with pytest.raises(DamagedState):
        owned.result(2)
