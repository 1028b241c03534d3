"""API keys: scopes, rate limits, idempotency keys and logs; no secret is stored or logged."""

import asyncio
import io
import json
import logging
import os
import pwd
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Message

from configs.errors import ConfigError, NotReady, RequestError
from serving.api.middleware.auth import AuthMiddleware
from serving.api.middleware.idempotency import IdempotencyMiddleware, IdempotencyStore, KeyedRequest, StoredResponse
from serving.api.middleware.metrics_endpoint import MetricsEndpointMiddleware
from serving.api.middleware.request_id import RequestIdMiddleware
from serving.api.middleware.request_log import RequestLogMiddleware
from serving.api.scopes import ScopeTable, require_scopes
from serving.app import ENDPOINTS, PREFIX
from serving.ledger.database import open_database
from serving.load.thread_pools import ThreadPool
from serving.security.api_keys import KeyCache, create_key, revoke_key, save_key
from serving.security.audit_log import Denial, append_audit_event, prune_denied_requests, read_audit_events
from serving.security.authorization import Authorizer
from serving.security.network import is_loopback, require_key_for_public_host
from serving.security.rate_limits import RateLimits
from serving.telemetry.json_logs import configure_logging, redact
from serving.telemetry.metrics import MetricFamily, Metrics, Sample

NOW = datetime(2024, 1, 1, 12)
SCOPES = ScopeTable(ENDPOINTS, PREFIX, {"/metrics": "read"})


pytestmark = pytest.mark.usefixtures("in_memory_metrics")


class Service:
    """The service's middleware around routes that count their calls."""

    def __init__(self, database) -> None:
        self.now, self.calls, self.status = NOW, 0, 200
        self.engine = open_database(database)
        rate_limits = RateLimits(database.with_name("rate_limits.bin"))
        self.authorizer = Authorizer(KeyCache(lambda: self.engine), lambda: self.now, rate_limits)
        self.authorizer.key_cache.refresh()
        ages = Sample(MetricFamily("oarlock_signals_age_seconds", "Age.", ("family",)), {("support",): 60.0})
        self.metrics = Metrics(lambda: [ages])

    @property
    def app(self):
        async def handle(request) -> JSONResponse:
            self.calls += 1
            request.scope["route_template"] = request.scope["route"].path
            body = (await request.body()).decode()
            return JSONResponse({"asked": self.calls, "body": body}, self.status)

        paths = ["/v1/score", "/v1/feedback", "/v1/model", "/v1/ready", "/v1/accounts/{account_id}/risk", "/v1/keys"]
        routes = [Route(path, handle, methods=["GET", "POST", "DELETE"]) for path in paths]
        pool = ThreadPool("test", 1)
        stored_responses = IdempotencyStore(lambda: self.engine, lambda: self.now)
        app = IdempotencyMiddleware(Starlette(routes=routes), lambda: stored_responses, lambda: pool, lambda: 10_000)
        measured = MetricsEndpointMiddleware(app, lambda: self.metrics, lambda: pool)
        secured = AuthMiddleware(measured, SCOPES, lambda: self.authorizer)
        return RequestIdMiddleware(RequestLogMiddleware(secured, lambda: self.metrics))

    def add_key(self, *scopes: str, **fields) -> str:
        """Create a key and save it in the service's database."""
        from dataclasses import replace

        secret, key = create_key("crm", scopes, fields.pop("per_minute", 600), NOW)
        save_key(self.engine, replace(key, **fields))
        self.authorizer.key_cache.refresh()
        return secret

    def send(self, method: str, path: str, key: str = "", client: str = "127.0.0.1", **content) -> httpx.Response:
        """Send a request."""
        headers = {**({"authorization": f"Bearer {key}"} if key else {}), **content.pop("headers", {})}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, client=(client, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                return await http.request(method, path, headers=headers, **content)

        return asyncio.run(send())


@pytest.fixture
def service(tmp_path) -> Service:
    return Service(tmp_path / "ledger.db")


def error_code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"] if response.status_code >= 400 else ""


def test_without_keys_only_loopback_is_allowed(service: Service):
    assert service.send("POST", "/v1/score").status_code == 200
    assert error_code(service.send("POST", "/v1/score", client="10.0.0.9")) == (401, "api_key_required")


@pytest.mark.parametrize("host", ["localhost", "localhost:3000", "127.0.0.1:3000", "[::1]:3000", "[::1]"])
def test_without_keys_this_machine_is_answered_by_its_names(service: Service, host: str):
    assert service.send("POST", "/v1/feedback", headers={"host": host}).status_code == 200
    assert service.send("POST", "/v1/feedback", headers={"host": host, "origin": f"http://{host}"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3000", "localhost.evil.example", "", "10.0.0.9"])
def test_without_keys_a_name_that_leads_here_is_denied(service: Service, host: str):
    assert error_code(service.send("POST", "/v1/feedback", headers={"host": host})) == (403, "wrong_host")
    assert service.calls == 0


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:8000", "https://localhost.evil"])
def test_without_keys_a_page_of_another_site_is_denied(service: Service, origin: str):
    headers = {"host": "localhost:3000", "origin": origin}
    assert error_code(service.send("POST", "/v1/feedback", headers=headers)) == (403, "cross_site")
    assert service.calls == 0


def test_with_a_key_any_name_of_the_service_is_answered(service: Service):
    secret = service.add_key("score")
    assert service.send("POST", "/v1/score", key=secret, headers={"host": "churn.example"}).status_code == 200


def test_once_a_key_was_made_only_readiness_is_open(service: Service):
    secret = service.add_key("score")
    revoke_key(service.engine, secret.split("_")[1], NOW)
    service.authorizer.key_cache.refresh()
    assert service.send("GET", "/v1/ready").status_code == 200
    for path in ("/v1/score", "/v1/model", "/metrics", "/", "/docs.json"):
        assert error_code(service.send("GET", path)) == (401, "api_key_required")


@pytest.mark.parametrize("header", [{"authorization": "bearer {}"}, {"x-api-key": "{}"}])
def test_a_key_allows_only_its_scopes(service: Service, header):
    secret = service.add_key("score")
    headers = {name: value.format(secret) for name, value in header.items()}
    assert service.send("POST", "/v1/score", headers=headers).status_code == 200
    assert error_code(service.send("GET", "/v1/model", headers=headers)) == (403, "scope_required")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/score", "score"),
        ("POST", "/v1/what-if", "score"),
        ("POST", "/v1/feedback", "feedback"),
        ("GET", "/v1/accounts/7/risk", "read"),
        ("GET", "/metrics", "read"),
        ("GET", "/v1/ready", "public"),
        ("POST", "/v1/anything", None),
        ("DELETE", "/keys", "admin"),
    ],
)
def test_each_route_needs_one_scope(method, path, scope):
    assert SCOPES.scope_of(method, path) == scope


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
@pytest.mark.parametrize("granted", ["score", "read", "feedback", "admin"])
def test_every_endpoint_is_decided_by_its_declared_scope(service: Service, endpoint, granted):
    secret = service.add_key(granted).encode()
    path = PREFIX + endpoint.path.replace("{account_id}", "7")
    required = SCOPES.scope_of(endpoint.method, path)
    assert required == endpoint.scope
    try:
        service.authorizer.authorize(required, path, {b"x-api-key": secret}, "10.0.0.9")
    except RequestError as error:
        assert (error.code, endpoint.scope in (granted, "public"), granted) == ("scope_required", False, granted)
        assert granted != "admin"
    else:
        assert endpoint.scope in ("public", granted) or granted == "admin"


def test_a_route_without_a_scope_is_refused_by_name():
    with pytest.raises(ConfigError, match="declares no scope"):
        require_scopes([Route("/v1/anything", lambda _: None)])


def test_an_admin_key_allows_everything(service: Service):
    assert service.send("GET", "/v1/model", key=service.add_key("admin")).status_code == 200


@pytest.mark.parametrize("invalid_key", ["", "x", "oarlock_", "oarlock_ffffffffffff_x", "Ω" * 50, "a_b_c_d"])
def test_an_invalid_key_is_refused(service: Service, invalid_key):
    service.add_key("score")
    response = service.send("POST", "/v1/score", headers={"x-api-key": invalid_key.encode()})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_key_with_a_wrong_secret_is_refused(service: Service):
    secret = service.add_key("score")
    assert error_code(service.send("POST", "/v1/score", key=secret[:-1] + "~")) == (401, "invalid_api_key")


def test_expired_and_revoked_keys_are_refused(service: Service):
    lasting, short = service.add_key("score"), service.add_key("score", expires_at=NOW + timedelta(days=1))
    service.now = NOW + timedelta(days=1)
    assert error_code(service.send("POST", "/v1/score", key=short)) == (401, "key_expired")
    assert service.send("POST", "/v1/score", key=lasting).status_code == 200
    assert revoke_key(service.engine, lasting.split("_")[1], service.now)
    assert not revoke_key(service.engine, lasting.split("_")[1], service.now)
    service.authorizer.key_cache.refresh()
    assert error_code(service.send("POST", "/v1/score", key=lasting)) == (401, "key_revoked")


def test_the_rate_limit_counts_each_key_separately(service: Service):
    first_key, second_key = service.add_key("score", per_minute=3), service.add_key("score", per_minute=3)
    assert [service.send("POST", "/v1/score", key=first_key).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = service.send("POST", "/v1/score", key=first_key)
    assert error_code(refused) == (429, "rate_limited")
    # At 12:00:00 the three requests leave the sliding minute at 12:01:20, when a third of it is left.
    assert (refused.headers["retry-after"], refused.headers["ratelimit"]) == ("80", '"key";r=0;t=60')
    allowed = service.send("POST", "/v1/score", key=second_key)
    assert (allowed.status_code, allowed.headers["ratelimit"]) == (200, '"key";r=2;t=60')
    assert allowed.headers["ratelimit-policy"] == '"key";q=3;w=60'
    service.now += timedelta(seconds=80)
    assert service.send("POST", "/v1/score", key=first_key).status_code == 200


def test_cached_keys_work_while_the_database_is_down(service: Service, tmp_path):
    secret = service.add_key("score")
    broken = open_database(tmp_path / "other.db")
    with broken.begin() as connection:
        connection.exec_driver_sql("drop table api_keys")
    service.engine = broken
    service.authorizer.key_cache.refresh()
    assert service.send("POST", "/v1/score", key=secret).status_code == 200
    unread = KeyCache(lambda: broken)
    for read in (unread.refresh, unread.keys):
        with pytest.raises(NotReady, match="Cannot read the API keys"):
            read()


def test_the_database_contains_no_secret(service: Service, tmp_path):
    secret = service.add_key("score")
    with service.engine.connect() as connection:
        connection.exec_driver_sql("pragma wal_checkpoint(full)")
    assert secret.split("_", 2)[2].encode() not in (tmp_path / "ledger.db").read_bytes()


def test_the_audit_log_counts_denied_requests(service: Service):
    secret = service.add_key("score")
    for _ in range(5):
        service.send("GET", "/v1/accounts/7/risk", key=secret)
    service.send("GET", "/v1/model", client="10.0.0.9")
    service.authorizer.denied_requests.flush(service.engine, NOW)
    service.authorizer.denied_requests.flush(service.engine, NOW)
    denied = [
        (event["actor"], event["subject"], event["details"])
        for event in read_audit_events(service.engine, action="denied")
    ]
    assert denied == [
        (secret.split("_")[1], "/v1/accounts", {"reason": "scope_required", "times": 5}),
        ("10.0.0.9", "/v1/model", {"reason": "api_key_required", "times": 1}),
    ]


def test_a_flood_of_denied_requests_makes_few_rows(service: Service):
    service.add_key("score")
    for n in range(300):
        service.send("GET", f"/v1/nothing/{n}", key=f"oarlock_{n:012x}_secret")
    service.authorizer.denied_requests.flush(service.engine, NOW)
    (event,) = read_audit_events(service.engine, action="denied")
    assert (event["actor"], event["subject"], event["details"]["times"]) == (
        "127.0.0.1",
        "a path that is not served",
        300,
    )


def test_denied_requests_are_pruned_and_what_people_did_is_not(service: Service):
    append_audit_event(service.engine, NOW, "kim", "erased")
    service.authorizer.denied_requests.add(Denial("10.0.0.9", "api_key_required", "/v1/model"))
    service.authorizer.denied_requests.flush(service.engine, NOW)
    assert prune_denied_requests(service.engine, NOW) == 0
    assert prune_denied_requests(service.engine, NOW + timedelta(days=1)) == 1
    assert [event["action"] for event in read_audit_events(service.engine)] == ["erased"]


def test_every_response_has_security_headers(service: Service):
    for response in (service.send("POST", "/v1/score"), service.send("POST", "/v1/score", client="10.0.0.9")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in response.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("a.org", False),
    ],
)
def test_only_addresses_of_this_machine_are_loopback(address, expected):
    assert is_loopback(address) is expected


def test_a_public_host_needs_a_key(service: Service):
    with pytest.raises(ConfigError, match="there is no API key yet"):
        require_key_for_public_host("0.0.0.0", service.authorizer.key_cache)
    service.add_key("score")
    require_key_for_public_host("0.0.0.0", service.authorizer.key_cache)


def test_an_idempotency_key_replays_the_first_response(service: Service):
    first, again = (service.send("POST", "/v1/score", headers={"idempotency-key": "k"}, content=b"a") for _ in range(2))
    assert (first.json(), again.json(), service.calls) == (again.json(), {"asked": 1, "body": "a"}, 1)
    assert again.headers["idempotency-replayed"] == "true"


def test_an_idempotency_key_with_another_body_conflicts(service: Service):
    service.send("POST", "/v1/score", headers={"idempotency-key": "k"}, content=b"a")
    response = service.send("POST", "/v1/score", headers={"idempotency-key": "k"}, content=b"b")
    assert error_code(response) == (409, "idempotency_conflict")


@pytest.mark.parametrize("key", ["", "k" * 201])
def test_an_empty_or_long_idempotency_key_is_refused(service: Service, key: str):
    response = service.send("POST", "/v1/score", headers={"idempotency-key": key})
    assert (error_code(response), service.calls) == ((422, "invalid"), 0)


def test_idempotency_keys_are_per_caller_and_last_a_day(service: Service):
    first_key, second_key = service.add_key("score"), service.add_key("score")
    for secret in (first_key, second_key, first_key):
        service.send("POST", "/v1/score", key=secret, headers={"idempotency-key": "k"})
    assert service.calls == 2
    service.now = NOW + timedelta(days=1, seconds=1)
    service.send("POST", "/v1/score", key=first_key, headers={"idempotency-key": "k"})
    assert service.calls == 3


def test_a_failed_request_may_reuse_its_idempotency_key(service: Service):
    service.status = 503
    assert service.send("POST", "/v1/score", headers={"idempotency-key": "k"}).status_code == 503
    service.status = 200
    assert service.send("POST", "/v1/score", headers={"idempotency-key": "k"}).json()["asked"] == 2


def test_an_idempotency_key_in_use_is_refused_for_minutes(service: Service):
    stored_responses = IdempotencyStore(lambda: service.engine, lambda: service.now)
    assert stored_responses.begin(KeyedRequest("", "k", "hash")) is None
    assert error_code(service.send("POST", "/v1/score", headers={"idempotency-key": "k"}))[0] == 409
    service.now = NOW + timedelta(minutes=2)
    assert service.send("POST", "/v1/score", headers={"idempotency-key": "k"}).status_code == 200


def _answer(store: IdempotencyStore, key: str, size: int) -> None:
    request = KeyedRequest("", key, "hash")
    assert store.begin(request) is None
    store.end(request, StoredResponse(200, "application/json", b"x" * size))


def _is_stored(store: IdempotencyStore, key: str) -> bool:
    return store.begin(KeyedRequest("", key, "hash")) is not None


def test_stored_responses_are_bounded_by_age_and_by_size(service: Service):
    store = IdempotencyStore(lambda: service.engine, lambda: service.now, max_bytes=1_000)
    _answer(store, "day old", 10)
    service.now = NOW + timedelta(hours=23)
    for n in range(5):
        service.now += timedelta(seconds=1)
        _answer(store, f"k{n}", 400)
    assert [_is_stored(store, f"k{n}") for n in (4, 3, 2)] == [True, True, False]
    service.now = NOW + timedelta(days=2)
    assert store.prune() == 3  # with the one in use, which nobody ended
    with service.engine.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from idempotent_responses").scalar() == 0


def test_an_upload_that_was_cut_off_leaves_its_key_free(service: Service):
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> dict:
        return messages.pop(0)

    async def send(_: Message) -> None:
        raise AssertionError("nobody listens any more")

    headers = [(b"host", b"localhost"), (b"idempotency-key", b"k"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/score", "headers": headers, "client": ("127.0.0.1", 1)}
    with pytest.raises(ClientDisconnect):
        asyncio.run(service.app(scope, receive, send))
    assert service.send("POST", "/v1/score", headers={"idempotency-key": "k"}, content=b"{}").json()["asked"] == 1


def test_metrics_of_made_up_methods_are_one_series(service: Service):
    for n in range(20):
        service.send(f"M{n}", "/v1/model")
    text = service.send("GET", "/metrics").text
    assert (text.count('method="other"') > 0, 'method="M' in text) == (True, False)


def test_metrics_count_routes_not_paths(service: Service):
    for n in range(20):
        service.send("GET", f"/v1/accounts/{n}/risk")
        service.send("GET", f"/nothing/{n}")
    text = service.send("GET", "/metrics").text
    assert 'oarlock_http_requests_total{method="GET",route="/v1/accounts/{account_id}/risk",status="200"} 20.0' in text
    assert 'oarlock_http_requests_total{method="GET",route="none",status="404"} 20.0' in text
    assert (
        'oarlock_http_request_duration_seconds_count{method="GET",route="/v1/accounts/{account_id}/risk"} 20.0' in text
    )
    assert 'oarlock_signals_age_seconds{family="support"} 60.0' in text
    assert "nothing" not in text


@pytest.mark.parametrize(
    ("request_id", "is_kept"), [("abc-1", True), ("x" * 65, False), ("a b", False), ('"}{', False)]
)
def test_a_valid_request_id_is_returned(service: Service, request_id, is_kept):
    response = service.send("POST", "/v1/score", headers={"x-request-id": request_id})
    assert (response.headers["x-request-id"] == request_id) is is_kept


@pytest.fixture
def read_log() -> Iterator[Callable[[], list[dict]]]:
    stream = io.StringIO()
    logger = logging.getLogger("oarlock")
    before = vars(logger).copy()
    configure_logging(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    vars(logger).update(before)


def test_a_request_is_logged_as_one_json_line(service: Service, read_log):
    service.send("GET", "/v1/accounts/7/risk", headers={"x-request-id": "abc"})
    (line,) = read_log()
    assert (line["logger"], line["request_id"], line["status"]) == ("oarlock.request", "abc", 200)
    assert line["route"] == "/v1/accounts/{account_id}/risk"


def test_no_secret_is_logged(service: Service, read_log):
    secret = service.add_key("score")
    for key in (secret, secret[:-2] + "zz"):
        service.send("POST", "/v1/score", key=key, headers={"x-request-id": key})
        service.send("GET", f"/v1/accounts/{key}/risk?key={key}", headers={"x-api-key": key})
    log = logging.getLogger("oarlock.test")
    try:
        raise ValueError(f"could not reach postgresql://oarlock:hunter2@db/x with Bearer {secret}")
    except ValueError:
        log.exception("with %s", {"authorization": f"Bearer {secret}", "secret": "whsec_c2VjcmV0LXNlY3JldA=="})
    text = json.dumps(read_log())
    assert len(read_log()) == 5
    for secret_part in (secret.split("_", 2)[2][:-2], "hunter2", "c2VjcmV0"):
        assert secret_part not in text


def test_redact_keeps_text_without_secrets():
    text = "account A0000302 of http://127.0.0.1:3000/v1/score?x=1 has key 3f9a01c2b7de"
    assert redact(text) == text


def test_keys_are_created_listed_revoked_and_audited(oarlock, make_company):
    config = make_company(accounts=[{"account_id": "a"}])
    created = json.loads(
        oarlock(
            "keys", "create", "--name", "crm", "--scope", "score,read", "--expires", "90d", "--json", config=config
        ).out
    )
    assert created["scopes"] == ["read", "score"]
    (listed,) = json.loads(oarlock("keys", "list", "--json", config=config).out)
    assert (listed["id"], listed["status"]) == (created["id"], "active")
    assert created["key"] not in oarlock("keys", "list", config=config).out
    assert oarlock("keys", "revoke", created["id"], config=config).code == 0
    assert oarlock("keys", "revoke", created["id"], config=config).failure[0] == 2
    events = json.loads(oarlock("audit", "--json", config=config).out)
    assert [event["action"] for event in events] == ["key_created", "key_revoked"]
    assert {event["subject"] for event in events} == {created["id"]}


def test_the_audit_names_the_user_of_the_process_whatever_its_environment_says(oarlock, make_company, monkeypatch):
    config = make_company(accounts=[{"account_id": "a"}])
    create = ("keys", "create", "--name", "crm", "--scope", "read")
    monkeypatch.setenv("LOGNAME", "somebody else")
    assert oarlock(*create, config=config).code == 0
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    assert oarlock(*create, config=config).code == 0
    events = json.loads(oarlock("audit", "--json", config=config).out)
    assert {event["actor"] for event in events} == {pwd.getpwuid(os.geteuid()).pw_name, "uid 4000000000"}
    assert len(json.loads(oarlock("keys", "list", "--json", config=config).out)) == 2


def test_serve_on_a_public_host_without_a_key_exits_with_2(oarlock, make_company):
    exit_code, line = oarlock("serve", "--host", "0.0.0.0", config=make_company(accounts=[{"account_id": "a"}])).failure
    assert (exit_code, "there is no API key yet" in line) == (2, True)
