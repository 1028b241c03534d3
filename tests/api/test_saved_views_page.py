"""Saved views on the portfolio: forms that name, find, choose, rename and delete them, without scripts."""

import html
import re

import httpx
import pytest

from serving.handlers.context import ServiceContext
from serving.ledger.saved_views import Viewer, read_views
from serving.security.audit_log import read_audit_events
from tests.support.page_client import PageClient, open_own_context, open_page_client
from tests.support.trained_model import TrainedModel

LINK = re.compile(r'<a href="([^"]+)"( aria-current="page")?><bdi>([^<]+)</bdi>')
ID = re.compile(r'name="view" value="(\d+)"')
ALL = "/?show=all"


@pytest.fixture
def context(trained: TrainedModel, tmp_path) -> ServiceContext:
    return open_own_context(trained, tmp_path)


@pytest.fixture
def client(context: ServiceContext) -> PageClient:
    return open_page_client(context)


def save(client: PageClient, name: str, query: str = "", **options: str) -> httpx.Response:
    return client.send(ALL, "/views", {"action": "save", "name": name, "query": query, **options})


def change(client: PageClient, action: str, **fields: str) -> httpx.Response:
    """Send the form of the only view that may be changed."""
    (view,) = ID.findall(client.read(ALL))
    return client.send(ALL, "/views", {"action": action, "view": view, **fields})


def views(page: str) -> list[tuple[str, str, bool]]:
    """Each view on the page: its name, its address, and whether it is the one that is shown."""
    listed = page.partition('aria-label="Saved views"')[2].partition("</nav>")[0]
    return [(name, html.unescape(href), bool(current)) for href, current, name in LINK.findall(listed)]


def signed_in(context: ServiceContext, *scopes: str, **fields) -> PageClient:
    """A browser that is signed in with a new key."""
    client = open_page_client(context, "10.0.0.9")
    client.sign_in(client.add_key(*scopes, **fields))
    return client


def test_a_view_is_saved_with_its_filters_and_found_again(client: PageClient):
    response = save(client, "Small by MRR", "segment=small&sort=mrr&as_of=2023-06-01&cursor=x")
    assert (response.status_code, str(response.url.query, "ascii")) == (200, "segment=small&sort=mrr")
    assert views(response.text) == [("Small by MRR", "/?segment=small&sort=mrr", True)]
    assert views(client.read("/?segment=mid")) == [("Small by MRR", "/?segment=small&sort=mrr", False)]


def test_json_lists_the_views_that_a_key_sees(context: ServiceContext):
    client = open_page_client(context)
    own, other = ({"authorization": f"Bearer {client.add_key('read', 'feedback')}"} for _ in range(2))
    ada = signed_in(context, "read", "feedback")
    save(ada, "Ours", "sort=mrr", is_shared="true")
    save(ada, "Mine", "sort=name", is_default="true")
    for headers in (own, other):
        (listed,) = client.get("/?format=json", headers=headers).json()["saved_views"]
        assert (listed["name"], listed["href"]) == ("Ours", "/?sort=mrr")
        assert (listed["is_shared"], listed["is_own"], listed["may_change"]) == (True, False, False)


def test_the_form_saves_the_view_that_is_shown(client: PageClient):
    assert 'name="query" value="segment=small&amp;sort=mrr"' in client.read("/?sort=mrr&segment=small&since=2023-06-01")


def test_the_default_view_opens_first_and_all_accounts_stay_one_click_away(client: PageClient):
    save(client, "Small", "segment=small", is_default="true")
    assert str(client.get("/").url.query, "ascii") == "segment=small"
    page = client.read(ALL)
    assert f'<a href="{ALL}" aria-current="page">All accounts</a>' in page
    change(client, "clear_default")
    assert client.get("/").url.query == b""
    change(client, "set_default")
    assert str(client.get("/").url.query, "ascii") == "segment=small"


def test_a_view_is_renamed_and_deleted(client: PageClient):
    save(client, "Small", "segment=small")
    response = change(client, "rename", name="  Small accounts ", query="segment=mid")
    assert views(response.text) == [("Small accounts", "/?segment=small", False)]
    assert str(response.url.query, "ascii") == "segment=mid"
    assert views(change(client, "delete").text) == []


def test_every_change_is_in_the_audit_log(client: PageClient):
    save(client, "Small", "segment=small", is_shared="true")
    change(client, "rename", name="Tiny")
    change(client, "delete")
    events = read_audit_events(client.context.feedback.ledger.engine)
    assert [(event["actor"], event["action"], event["subject"]) for event in events] == [
        ("this machine", "view_saved", "Small"),
        ("this machine", "view_changed", "Small"),
        ("this machine", "view_deleted", "Tiny"),
    ]


def test_a_view_for_everyone_can_be_opened_by_all_and_changed_by_its_key(context: ServiceContext):
    ada, kim = signed_in(context, "read", "feedback"), signed_in(context, "read")
    save(ada, "Ours", "sort=mrr", is_shared="true")
    save(ada, "Mine", "sort=name")
    page = kim.read(ALL)
    assert [name for name, _, _ in views(page)] == ["Ours"]
    assert ID.findall(page) == []
    (ours,) = read_views(context.feedback.ledger.engine, Viewer("anybody"))
    refused = kim.send(ALL, "/views", {"action": "delete", "view": str(ours.id)})
    assert (refused.status_code, "is of another key" in refused.text) == (403, True)
    admin = signed_in(context, "admin")
    assert admin.send(ALL, "/views", {"action": "delete", "view": str(ours.id)}).status_code == 200
    assert views(kim.read(ALL)) == []


def test_a_key_that_may_only_read_saves_views_for_itself(context: ServiceContext):
    kim = signed_in(context, "read")
    assert 'name="is_shared"' not in kim.read(ALL)
    assert save(kim, "Ours", is_shared="true").status_code == 403
    assert [name for name, _, _ in views(save(kim, "Mine").text)] == ["Mine"]


def test_a_view_of_another_key_is_not_there(context: ServiceContext):
    ada, kim = signed_in(context, "read"), signed_in(context, "read")
    save(ada, "Mine")
    (view,) = ID.findall(ada.read(ALL))
    assert kim.send(ALL, "/views", {"action": "rename", "view": view, "name": "Yours"}).status_code == 404


def test_a_form_of_another_site_is_refused(client: PageClient):
    assert client.post("/views", {"action": "save", "name": "x", "form_token": "forged"}).status_code == 403


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "a\nb"])
def test_a_name_that_cannot_be_shown_is_refused(client: PageClient, name: str):
    response = save(client, name)
    assert response.status_code == 422
    assert views(client.read(ALL)) == []


def test_a_filter_that_does_not_exist_is_refused(client: PageClient):
    assert save(client, "x", "colour=red").status_code == 422


def test_a_name_is_shown_as_text(client: PageClient):
    assert "<b>bold</b>" not in save(client, "<b>bold</b>").text
