"""Access: who may ask for what, how often, and that no secret is ever kept or logged."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from configs.errors import ConfigError, NotReady
from serving.api.middleware.auth import AuthMiddleware
from serving.api.middleware.idempotency import IdempotencyMiddleware, IdempotencyStore
from serving.api.middleware.metrics_endpoint import MetricsEndpointMiddleware
from serving.api.middleware.request_log import RequestLogMiddleware
from serving.ledger.database import open_database
from serving.security.api_keys import KeyCache, create_key, revoke_key, save_key
from serving.security.audit_log import read_audit_events
from serving.security.authorization import Authorizer, scope_of
from serving.security.network import is_loopback, require_key_for_public_host
from serving.telemetry.json_logs import configure_logging, redact
from serving.telemetry.metrics import GaugeSample, Metrics

NOW = datetime(2024, 1, 1, 12)


pytestmark = pytest.mark.usefixtures("counted_in_this_process")


class Service:
    """The middleware as the service has it, around routes that count how often they are asked."""

    def __init__(self, database) -> None:
        self.at, self.asked, self.answers = NOW, 0, 200
        self.engine = open_database(database)
        self.gate = Authorizer(KeyCache(lambda: self.engine), lambda: self.at)
        ages = GaugeSample("oarlock_signals_age_seconds", "Age.", ("family",), {("support",): 60.0})
        self.metrics = Metrics(lambda: [ages])

    @property
    def app(self):
        async def answer(request) -> JSONResponse:
            self.asked += 1
            body = (await request.body()).decode()
            return JSONResponse({"asked": self.asked, "body": body}, self.answers)

        paths = ["/v1/score", "/v1/feedback", "/v1/model", "/v1/ready", "/v1/accounts/{account_id}/risk", "/v1/keys"]
        routes = [Route(path, answer, methods=["GET", "POST", "DELETE"]) for path in paths]
        replies = IdempotencyStore(lambda: self.engine, lambda: self.at)
        app = IdempotencyMiddleware(Starlette(routes=routes), lambda: replies, lambda: 10_000)
        return RequestLogMiddleware(
            AuthMiddleware(MetricsEndpointMiddleware(app, lambda: self.metrics), lambda: self.gate),
            lambda: self.metrics,
        )

    def key(self, *scopes: str, **more) -> str:
        """Make a key that the service knows."""
        from dataclasses import replace

        secret, key = create_key("crm", scopes, more.pop("per_minute", 600), NOW)
        save_key(self.engine, replace(key, **more))
        self.gate.key_cache.refresh()
        return secret

    def ask(self, method: str, path: str, key: str = "", client: str = "127.0.0.1", **content) -> httpx.Response:
        """One request."""
        headers = {**({"authorization": f"Bearer {key}"} if key else {}), **content.pop("headers", {})}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, client=(client, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as asking:
                return await asking.request(method, path, headers=headers, **content)

        return asyncio.run(send())


@pytest.fixture
def service(tmp_path) -> Service:
    return Service(tmp_path / "ledger.db")


def code(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"] if reply.status_code >= 400 else ""


def test_before_any_key_this_machine_is_answered_and_others_are_not(service):
    assert service.ask("POST", "/v1/score").status_code == 200
    assert code(service.ask("POST", "/v1/score", client="10.0.0.9")) == (401, "key_needed")


def test_once_a_key_was_made_nothing_but_readiness_is_open_even_after_it_is_revoked(service):
    secret = service.key("score")
    revoke_key(service.engine, secret.split("_")[1], NOW)
    service.gate.ring.refresh()
    assert service.ask("GET", "/v1/ready").status_code == 200
    for path in ("/v1/score", "/v1/model", "/metrics", "/", "/docs.json"):
        assert code(service.ask("GET", path)) == (401, "key_needed")


@pytest.mark.parametrize("header", [{"authorization": "bearer {}"}, {"x-api-key": "{}"}])
def test_a_key_opens_what_it_is_for(service, header):
    secret = service.key("score")
    headers = {name: value.format(secret) for name, value in header.items()}
    assert service.ask("POST", "/v1/score", headers=headers).status_code == 200
    assert code(service.ask("GET", "/v1/model", headers=headers)) == (403, "scope_needed")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/score", "score"),
        ("POST", "/v1/what_if", "score"),
        ("POST", "/v1/feedback", "feedback"),
        ("GET", "/v1/accounts/7/risk", "read"),
        ("GET", "/metrics", "read"),
        ("DELETE", "/v1/keys", "admin"),
        ("POST", "/v1/anything", "admin"),
    ],
)
def test_a_request_needs_a_scope(method, path, scope):
    assert scope_of(method, path) == scope


def test_an_admins_key_opens_everything(service):
    assert service.ask("DELETE", "/v1/keys", key=service.key("admin")).status_code == 200


@pytest.mark.parametrize("wrong", ["", "x", "oarlock_", "oarlock_ffffffffffff_x", "Ω" * 50, "a_b_c_d"])
def test_what_is_no_key_is_refused(service, wrong):
    service.key("score")
    reply = service.ask("POST", "/v1/score", headers={"x-api-key": wrong.encode()})
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == "Bearer"


def test_the_id_of_a_key_without_its_secret_is_refused(service):
    secret = service.key("score")
    assert code(service.ask("POST", "/v1/score", key=secret[:-1] + "~")) == (401, "not_a_key")


def test_an_expired_key_is_refused_and_a_revoked_one_within_a_refresh(service):
    lasting, short = service.key("score"), service.key("score", expires_at=NOW + timedelta(days=1))
    service.at = NOW + timedelta(days=1)
    assert code(service.ask("POST", "/v1/score", key=short)) == (401, "key_expired")
    assert service.ask("POST", "/v1/score", key=lasting).status_code == 200
    assert revoke_key(service.engine, lasting.split("_")[1], service.at)
    assert not revoke_key(service.engine, lasting.split("_")[1], service.at)
    service.gate.ring.refresh()
    assert code(service.ask("POST", "/v1/score", key=lasting)) == (401, "key_revoked")


def test_a_key_is_held_to_its_rate_and_another_is_not_held_up(service):
    one, other = service.key("score", per_minute=3), service.key("score", per_minute=3)
    assert [service.ask("POST", "/v1/score", key=one).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = service.ask("POST", "/v1/score", key=one)
    assert (code(refused), refused.headers["retry-after"]) == ((429, "rate_limited"), "60")
    assert service.ask("POST", "/v1/score", key=other).status_code == 200


def test_keys_that_cannot_be_read_keep_the_door_shut_and_known_ones_stay(service, tmp_path):
    secret = service.key("score")
    away = open_database(tmp_path / "other.db")
    with away.begin() as connection:
        connection.exec_driver_sql("drop table api_keys")
    service.engine = away
    service.gate.ring.refresh()
    assert service.ask("POST", "/v1/score", key=secret).status_code == 200
    with pytest.raises(NotReady, match="cannot be read"):
        KeyCache(lambda: away).keys()


def test_the_database_holds_no_secret(service, tmp_path):
    secret = service.key("score")
    with service.engine.connect() as connection:
        connection.exec_driver_sql("pragma wal_checkpoint(full)")
    assert secret.split("_", 2)[2].encode() not in (tmp_path / "ledger.db").read_bytes()


def test_denied_requests_are_counted_in_the_audit_by_who_and_why(service):
    secret = service.key("score")
    for _ in range(5):
        service.ask("GET", "/v1/accounts/7/risk", key=secret)
    service.ask("GET", "/v1/model", client="10.0.0.9")
    service.gate.denials.write(service.engine, NOW)
    service.gate.denials.write(service.engine, NOW)
    found = [
        (one["actor"], one["subject"], one["detail"]) for one in read_audit_events(service.engine, action="denied")
    ]
    assert found == [
        (secret.split("_")[1], "/v1/accounts", {"reason": "scope_needed", "times": 5}),
        ("10.0.0.9", "/v1/model", {"reason": "key_needed", "times": 1}),
    ]


def test_every_reply_has_headers_that_browsers_obey(service):
    for reply in (service.ask("POST", "/v1/score"), service.ask("POST", "/v1/score", client="10.0.0.9")):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in reply.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("address", "only_here"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("a.org", False),
    ],
)
def test_an_address_is_public_unless_it_is_this_machines(address, only_here):
    assert is_loopback(address) is only_here


def test_listening_in_public_without_a_key_is_refused(service):
    with pytest.raises(ConfigError, match="there is no key yet"):
        require_key_for_public_host("0.0.0.0", service.gate.ring)
    service.key("score")
    require_key_for_public_host("0.0.0.0", service.gate.ring)


def test_the_same_idempotency_key_is_answered_the_same_and_done_once(service):
    first, again = (service.ask("POST", "/v1/score", headers={"idempotency-key": "k"}, content=b"a") for _ in range(2))
    assert (first.json(), again.json(), service.asked) == (again.json(), {"asked": 1, "body": "a"}, 1)
    assert again.headers["idempotency-replayed"] == "true"


def test_the_same_idempotency_key_with_another_body_is_a_conflict(service):
    service.ask("POST", "/v1/score", headers={"idempotency-key": "k"}, content=b"a")
    reply = service.ask("POST", "/v1/score", headers={"idempotency-key": "k"}, content=b"b")
    assert code(reply) == (409, "idempotency_conflict")


def test_an_idempotency_key_belongs_to_who_asks_and_is_kept_for_a_day(service):
    one, other = service.key("score"), service.key("score")
    for secret in (one, other, one):
        service.ask("POST", "/v1/score", key=secret, headers={"idempotency-key": "k"})
    assert service.asked == 2
    service.at = NOW + timedelta(days=1, seconds=1)
    service.ask("POST", "/v1/score", key=one, headers={"idempotency-key": "k"})
    assert service.asked == 3


def test_a_request_that_failed_may_be_tried_again_with_its_idempotency_key(service):
    service.answers = 503
    assert service.ask("POST", "/v1/score", headers={"idempotency-key": "k"}).status_code == 503
    service.answers = 200
    assert service.ask("POST", "/v1/score", headers={"idempotency-key": "k"}).json()["asked"] == 2


def test_an_idempotency_key_in_use_is_refused_until_its_process_must_be_dead(service):
    replies = IdempotencyStore(lambda: service.engine, lambda: service.at)
    assert replies.begin("", "k", "hash") is None
    assert code(service.ask("POST", "/v1/score", headers={"idempotency-key": "k"}))[0] == 409
    service.at = NOW + timedelta(minutes=2)
    assert service.ask("POST", "/v1/score", headers={"idempotency-key": "k"}).status_code == 200


def test_metrics_count_by_route_and_never_by_path(service):
    for n in range(20):
        service.ask("GET", f"/v1/accounts/{n}/risk")
        service.ask("GET", f"/nothing/{n}")
    told = service.ask("GET", "/metrics").text
    assert 'oarlock_requests_total{method="GET",route="/v1/accounts/{account_id}/risk",status="200"} 20.0' in told
    assert 'oarlock_requests_total{method="GET",route="none",status="404"} 20.0' in told
    assert 'oarlock_request_seconds_count{method="GET",route="/v1/accounts/{account_id}/risk"} 20.0' in told
    assert 'oarlock_signals_age_seconds{family="support"} 60.0' in told
    assert "nothing" not in told


@pytest.mark.parametrize(("given", "kept"), [("abc-1", True), ("x" * 65, False), ("a b", False), ('"}{', False)])
def test_a_request_keeps_its_id_if_it_is_one(service, given, kept):
    reply = service.ask("POST", "/v1/score", headers={"x-request-id": given})
    assert (reply.headers["x-request-id"] == given) is kept


@pytest.fixture
def logged() -> Iterator[Callable[[], list[dict]]]:
    stream = io.StringIO()
    logger = logging.getLogger("oarlock")
    before = vars(logger).copy()
    configure_logging(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    vars(logger).update(before)


def test_a_request_is_one_line_of_json_with_its_id(service, logged):
    service.ask("GET", "/v1/accounts/7/risk", headers={"x-request-id": "abc"})
    (line,) = logged()
    assert (line["logger"], line["request_id"], line["status"]) == ("oarlock.request", "abc", 200)
    assert line["route"] == "/v1/accounts/{account_id}/risk"


def test_no_secret_is_ever_logged(service, logged):
    secret = service.key("score")
    for shown in (secret, secret[:-2] + "zz"):
        service.ask("POST", "/v1/score", key=shown, headers={"x-request-id": shown})
        service.ask("GET", f"/v1/accounts/{shown}/risk?key={shown}", headers={"x-api-key": shown})
    log = logging.getLogger("oarlock.test")
    try:
        raise ValueError(f"could not reach postgresql://oarlock:hunter2@db/x with Bearer {secret}")
    except ValueError:
        log.exception("with %s", {"authorization": f"Bearer {secret}", "secret": "whsec_c2VjcmV0LXNlY3JldA=="})
    said = json.dumps(logged())
    assert len(logged()) == 5
    for hidden in (secret.split("_", 2)[2][:-2], "hunter2", "c2VjcmV0"):
        assert hidden not in said


def test_blotting_leaves_what_is_no_secret():
    text = "account A0000302 of http://127.0.0.1:3000/v1/score?x=1 has key 3f9a01c2b7de"
    assert redact(text) == text


def test_keys_are_created_listed_revoked_and_audited(oarlock, company):
    config = company(accounts=[{"account_id": "a"}])
    made = json.loads(
        oarlock(
            "keys", "create", "--name", "crm", "--scope", "score,read", "--expires", "90d", "--json", config=config
        ).out
    )
    assert made["scopes"] == ["read", "score"]
    (listed,) = json.loads(oarlock("keys", "list", "--json", config=config).out)
    assert (listed["id"], listed["status"]) == (made["id"], "active")
    assert made["key"] not in oarlock("keys", "list", config=config).out
    assert oarlock("keys", "revoke", made["id"], config=config).code == 0
    assert oarlock("keys", "revoke", made["id"], config=config).refusal[0] == 2
    audited = json.loads(oarlock("audit", "--json", config=config).out)
    assert [one["action"] for one in audited] == ["key_created", "key_revoked"]
    assert {one["subject"] for one in audited} == {made["id"]}


def test_serving_in_public_without_a_key_is_refused_with_its_exit_code(oarlock, company):
    exit_code, line = oarlock("serve", "--host", "0.0.0.0", config=company(accounts=[{"account_id": "a"}])).refusal
    assert (exit_code, "there is no key yet" in line) == (2, True)
