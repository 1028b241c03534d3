"""Sign-in to the pages: sessions end with their key, and a form is only taken from a page of its session."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import httpx
import pytest
from starlette.applications import Starlette

from serving.api.middleware.request_id import RequestIdMiddleware
from serving.handlers.context import ServiceContext
from serving.ledger.schema import API_KEYS
from serving.pages.page import PageServices
from serving.pages_app import PAGES, PagesMiddleware, create_pages
from serving.security.api_keys import ApiKey, KeyCache, revoke_key
from serving.security.audit_log import read_audit_events
from serving.security.sessions import SessionSigner, read_or_create_secret
from tests.support.page_client import NOW, PageClient, open_own_context, open_page_client
from tests.support.trained_model import TrainedModel


@pytest.fixture
def context(trained: TrainedModel, tmp_path) -> ServiceContext:
    return open_own_context(trained, tmp_path)


@pytest.fixture
def client(context: ServiceContext) -> PageClient:
    return open_page_client(context)


def test_without_keys_this_machine_sees_the_pages(client: PageClient):
    assert "this machine, no key" in client.read("/")


def test_without_keys_another_machine_is_led_to_the_sign_in(context: ServiceContext):
    response = open_page_client(context, "10.0.0.9").get("/", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in?next=%2F")


def test_without_keys_a_name_that_leads_here_is_denied(client: PageClient):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403


def test_a_browser_sends_the_forms_of_a_page_as_those_of_its_own_site(client: PageClient):
    """Without any referrer Chromium sends the origin "null", which is refused while no key exists."""
    assert client.get("/").headers["referrer-policy"] == "same-origin"


def test_signing_in_leads_back_to_the_page(client: PageClient):
    secret = client.add_key("read")
    led = client.get("/?sort=risk")
    assert led.url.path == "/sign-in"
    response = client.sign_in(secret, "/?sort=risk")
    assert (response.status_code, str(response.url)) == (200, "http://localhost/?sort=risk")
    assert ">ada<" in response.text


def test_the_cookie_cannot_be_read_by_scripts_or_sent_by_other_sites(client: PageClient):
    response = client.send("/sign-in", "/sign-in", {"key": client.add_key("read")}, follow_redirects=False)
    cookie = response.headers["set-cookie"].lower()
    assert all(flag in cookie for flag in ("httponly", "samesite=strict", "max-age=43200", "path=/"))
    assert "secure" not in cookie
    client.site, client.cookies = "https://localhost", httpx.Cookies()
    assert "secure" in client.get("/sign-in").headers["set-cookie"].lower()


def test_the_audit_says_who_signed_in_and_where(client: PageClient, context: ServiceContext):
    secret = client.add_key("read")
    client.sign_in(secret, "/")
    (event,) = read_audit_events(context.feedback.ledger.engine, action="signed_in")
    (key,) = client.authorizer.key_cache.keys()
    assert (event["actor"], event["subject"], event["details"]) == (key, key, {"address": client.address})


def test_a_wrong_key_gets_the_form_again_and_is_recorded(client: PageClient, context: ServiceContext):
    client.add_key("read")
    response = client.sign_in("oarlock_ffffffffffff_x")
    assert (response.status_code, "The API key is not valid." in response.text) == (401, True)
    client.authorizer.denied_requests.flush(context.feedback.ledger.engine, NOW)
    (denied,) = read_audit_events(context.feedback.ledger.engine, action="denied")
    assert denied["details"] == {"reason": "invalid_api_key", "times": 1}


def test_a_key_without_the_scope_read_is_refused(client: PageClient):
    assert client.sign_in(client.add_key("score")).status_code == 403


def end_by_revoking(client: PageClient, secret: str) -> None:
    revoke_key(client.context.feedback.ledger.engine, secret.split("_")[1], NOW)
    client.authorizer.key_cache.refresh()


def end_by_waiting(client: PageClient, _: str) -> None:
    client.clock.now += timedelta(hours=12)


def end_by_signing_out(client: PageClient, _: str) -> None:
    client.send("/", "/sign-out", {})


@pytest.mark.parametrize("end", [end_by_revoking, end_by_waiting, end_by_signing_out])
def test_a_session_ends(client: PageClient, end: Callable[[PageClient, str], None]):
    secret = client.add_key("read")
    assert client.sign_in(secret).url.path == "/"
    end(client, secret)
    assert client.get("/").url.path == "/sign-in"


def test_a_changed_cookie_is_no_session(client: PageClient):
    client.sign_in(client.add_key("read"))
    key_id, _, signature = client.cookies["oarlock_session"].rpartition(".")
    client.cookies = httpx.Cookies({"oarlock_session": f"{key_id}x.{signature}"})
    assert client.get("/").url.path == "/sign-in"


def test_a_form_of_another_session_is_refused(client: PageClient, context: ServiceContext):
    other = open_page_client(context)
    secret = client.add_key("read")
    assert other.get("/sign-in").status_code == 200
    token = client.read("/sign-in").split('name="form_token" value="')[1].split('"')[0]
    for sent in (token, "", "x.y"):
        response = other.post("/sign-in", {"form_token": sent, "key": secret})
        assert (response.status_code, "not of this session" in response.text) == (403, True)


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:x"])
def test_the_sign_in_leads_to_no_other_site(client: PageClient, target: str):
    response = client.send("/sign-in", "/sign-in", {"key": client.add_key("read"), "next": target})
    assert response.url.host == "localhost"


def test_a_program_reads_a_page_with_its_key(client: PageClient):
    secret = client.add_key("read")
    headers = {"authorization": f"Bearer {secret}"}
    assert client.get("/?format=json", headers=headers).json()["accounts"]


@pytest.mark.parametrize("page", [page for page in PAGES if page.scope], ids=lambda page: f"{page.method} {page.path}")
def test_no_page_is_shown_to_somebody_who_is_not_signed_in(client: PageClient, page):
    client.add_key("read", "feedback")
    path = page.path.replace("{account_id:path}", "1096")
    if page.method == "GET":
        assert client.get(path).url.path == "/sign-in"
    else:
        assert client.post(path, {}).status_code == 401


@pytest.mark.parametrize("left", [b"", b"[]", bytes(31)], ids=["empty", "other", "cut"])
def test_a_damaged_secret_is_replaced_so_that_nobody_can_guess_it(tmp_path, left: bytes):
    file, clock = tmp_path / "session.key", lambda: NOW
    read_secret = partial(read_or_create_secret, file)
    signed = SessionSigner(read_secret, clock)
    assert signed.from_cookie(signed.to_cookie(signed.open("k"))) is not None
    file.write_bytes(left)
    forged = SessionSigner(lambda: left, clock)
    cookie = forged.to_cookie(forged.open("k"))
    assert SessionSigner(read_secret, clock).from_cookie(cookie) is None
    assert (file.stat().st_size, file.stat().st_mode & 0o777) == (32, 0o600)


def test_the_secret_is_read_without_a_write_and_made_without_a_change_to_its_folder(tmp_path):
    tmp_path.chmod(0o750)
    secret = read_or_create_secret(tmp_path / "session.key")
    assert (len(secret), tmp_path.stat().st_mode & 0o777) == (32, 0o750)
    (tmp_path / "session.key.lock").unlink()
    assert read_or_create_secret(tmp_path / "session.key") == secret
    assert [file.name for file in tmp_path.iterdir()] == ["session.key"]


class _DeletedAfterCheck(KeyCache):
    """The keys of a service in which every key is deleted right after a request read them."""

    def keys(self) -> dict[str, ApiKey]:
        known = super().keys()
        with self._engine().begin() as connection:
            connection.execute(API_KEYS.delete())
        self.refresh()
        return known


def test_a_key_that_is_deleted_during_a_request_opens_nothing(context: ServiceContext, client: PageClient):
    secret = client.add_key("read", owner="ada")
    cache = _DeletedAfterCheck(lambda: context.feedback.ledger.engine)
    cache.refresh()
    signer = SessionSigner(partial(read_or_create_secret, context.state.session_secret), client.clock)
    services = PageServices(context, replace(client.authorizer, key_cache=cache), signer)
    client.app = RequestIdMiddleware(PagesMiddleware(Starlette(), create_pages(lambda: services)))
    response = client.get("/", headers={"authorization": f"Bearer {secret}"}, follow_redirects=False)
    assert (response.status_code, response.headers.get("location")) == (303, "/sign-in?next=%2F")
