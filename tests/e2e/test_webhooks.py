"""Webhooks: from the ledger to a real receiver, signed, retried, given up in the end, and replayed."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import event as database_event
from standardwebhooks import Webhook

from configs.clock import now
from configs.errors import ConfigError
from configs.sections.monitoring import EndpointSettings, WebhookSettings
from configs.sections.publishing import DataSettings
from configs.sections.serving import ServingSettings
from configs.settings import Settings
from features.store.account_table import AccountDetails
from monitoring.alerts.outbox import KnownAccounts, enqueue_risk_events, enqueue_stale_events, enqueue_verdict_events
from monitoring.alerts.rules import PublishedFamilies
from monitoring.alerts.verdict_changes import verdict_events
from monitoring.alerts.webhooks import count_deliveries, requeue_deliveries, send_due_deliveries, signer_for, wait_after
from serving.ledger.ledger import Ledger
from serving.ledger.monitor_runs import MonitorRun, RunStore
from tests.support.ledger_rows import DAY, score, source_at

SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="


class Receiver:
    """A real HTTP server that stores its requests and answers with `status`."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], str]] = []
        self.status = 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                receiver.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is Python's
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def receiver(monkeypatch) -> Iterator[Receiver]:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request, tmp_path) -> Ledger:
    return Ledger(tmp_path / "l.db" if request.param == "sqlite" else request.getfixturevalue("postgres"))


def settings(receiver: Receiver, **rules) -> Settings:
    hooks = WebhookSettings(endpoints={"crm": EndpointSettings(url=receiver.url, secret_env="CRM_SECRET")}, **rules)
    return Settings(name="acme", data=DataSettings(dataset="d.toml"), webhooks=hooks)  # type: ignore[arg-type]


def append_days(ledger: Ledger, *days: dict[str, float]) -> None:
    """Append the risks of one day after another."""
    for number, risks in enumerate(days):
        day = DAY + timedelta(days=number)
        scores = [score(name, risk, signals_as_of=day.isoformat(), drivers=[]) for name, risk in risks.items()]
        ledger.append(scores, source_at(day))


def test_a_change_of_band_arrives_once_and_signed(ledger, receiver):
    company = settings(receiver)
    append_days(ledger, {"a": 0.06, "b": 0.01}, {"a": 0.25, "b": 0.01})
    assert enqueue_risk_events(ledger.engine, company, KnownAccounts(), DAY) == 1
    assert enqueue_risk_events(ledger.engine, company, KnownAccounts(), DAY) == 0
    at = now()  # the receiver refuses a message that is minutes old
    assert send_due_deliveries(ledger.engine, company.webhooks, lambda: at) == {"sent": 1}
    assert send_due_deliveries(ledger.engine, company.webhooks, lambda: at) == {}
    ((headers, body),) = receiver.requests
    event = Webhook(SECRET).verify(body, headers)
    assert set(event) == {"type", "timestamp", "data"}
    assert (event["type"], event["timestamp"]) == ("band_changed", "2024-01-01T00:00:00Z")
    data = event["data"]
    assert (data["account_id"], data["previous"]["band"], data["current"]["band"]) == ("a", "watch", "critical")
    assert (data["previous"]["risk"], data["current"]["risk"]) == (0.06, 0.25)
    assert data["current"]["as_of"] == "2024-01-02T00:00:00Z"


def test_what_is_sent_meanwhile_does_not_change_how_many_are_queued(ledger, receiver):
    company = settings(receiver)
    append_days(ledger, {"a": 0.01, "b": 0.01}, {"a": 0.25, "b": 0.01})
    enqueue_risk_events(ledger.engine, company, KnownAccounts(), DAY)
    append_days(ledger, {}, {}, {"a": 0.25, "b": 0.25})

    @database_event.listens_for(ledger.engine, "before_cursor_execute")
    def send(*arguments) -> None:
        _, cursor, statement, *_ = arguments
        if "INTO webhook_deliveries" in statement:
            cursor.execute("update webhook_deliveries set status = 'sent'")

    assert enqueue_risk_events(ledger.engine, company, KnownAccounts(), DAY) == 1


def test_an_event_says_who_the_account_is_and_what_to_do(ledger, receiver):
    company = settings(receiver)
    signals = [{"name": "open_tickets", "points": 0.2, "value": 7.0, "typical": 1.0, "unit": "tickets"}]
    driver = {"family": "support", "points": 0.2, "text": "7 open tickets (similar accounts: 1)", "signals": signals}
    for number, risk in enumerate((0.01, 0.25)):
        day = DAY + timedelta(days=number)
        ledger.append([score("a", risk, signals_as_of=f"{day.isoformat()}Z", drivers=[driver])], source_at(day))
    details = {"a": AccountDetails("a", name="Acme", owner="olga")}
    enqueue_risk_events(ledger.engine, company, KnownAccounts(details), DAY)
    send_due_deliveries(ledger.engine, company.webhooks, lambda: DAY)
    data = next(json.loads(body)["data"] for _, body in receiver.requests)
    shown = [data[key] for key in ("name", "owner", "mrr", "revenue_at_risk", "main_driver")]
    assert shown == ["Acme", "olga", 100.0, 25.0, "7 open tickets (similar accounts: 1)"]
    assert (data["play"]["family"], data["play"]["suggested"]) == ("support", True)
    assert data["play"]["rationale"] == "7 open tickets (similar accounts: 1): 20.0 points"


def test_a_failing_delivery_is_retried_then_dead_then_replayed(ledger, receiver):
    company, at, receiver.status = settings(receiver, max_attempts=3), DAY, 500
    append_days(ledger, {"a": 0.01}, {"a": 0.25})
    enqueue_risk_events(ledger.engine, company, KnownAccounts(), DAY)
    for attempt, expected in enumerate(("pending", "pending", "dead"), start=1):
        assert send_due_deliveries(ledger.engine, company.webhooks, lambda at=at: at) == {expected: 1}
        assert send_due_deliveries(ledger.engine, company.webhooks, lambda at=at: at) == {}
        at += wait_after(attempt)
    assert count_deliveries(ledger.engine) == {("crm", "dead"): 1}
    assert len(receiver.requests) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1

    receiver.status = 200
    assert requeue_deliveries(ledger.engine, at) == 1
    assert send_due_deliveries(ledger.engine, company.webhooks, lambda: at) == {"sent": 1}


def test_an_endpoint_that_answers_410_gets_no_retry(ledger, receiver):
    company, receiver.status = settings(receiver), 410
    append_days(ledger, {"a": 0.01}, {"a": 0.25})
    enqueue_risk_events(ledger.engine, company, KnownAccounts(), DAY)
    assert send_due_deliveries(ledger.engine, company.webhooks, lambda: DAY) == {"dead": 1}


def test_an_endpoint_that_is_down_is_tried_again(ledger, receiver):
    company = settings(receiver)
    receiver.server.shutdown()
    receiver.server.server_close()
    append_days(ledger, {"a": 0.01}, {"a": 0.25})
    enqueue_risk_events(ledger.engine, company, KnownAccounts(), DAY)
    assert send_due_deliveries(ledger.engine, company.webhooks, lambda: DAY) == {"pending": 1}


def test_events_over_an_owners_budget_are_suppressed(ledger, receiver):
    company = settings(receiver, budget_per_owner=2)
    append_days(ledger, {f"a{n}": 0.01 for n in range(5)}, {f"a{n}": 0.3 + n / 100 for n in range(5)})
    facts = {f"a{n}": AccountDetails(f"a{n}", owner="olga") for n in range(5)}
    assert enqueue_risk_events(ledger.engine, company, KnownAccounts(facts), DAY) == 2
    assert count_deliveries(ledger.engine) == {("crm", "pending"): 2, ("crm", "suppressed"): 3}
    send_due_deliveries(ledger.engine, company.webhooks, lambda: DAY)
    assert {json.loads(body)["data"]["account_id"] for _, body in receiver.requests} == {"a3", "a4"}


def test_stale_signals_are_reported_once_for_each_day_and_limit(ledger, receiver):
    company = settings(receiver)
    serving = ServingSettings(stale_after_days=3, stale_after_days_by_family={"fit": 30})
    company = company.model_copy(update={"serving": serving})
    published = PublishedFamilies(DAY, ("adoption", "fit", "support"))
    for days, deliveries in ((3, 0), (4, 1), (5, 1), (30, 1), (31, 2)):
        enqueue_stale_events(ledger.engine, company, published, DAY + timedelta(days=days))
        assert sum(count_deliveries(ledger.engine).values()) == deliveries
    send_due_deliveries(ledger.engine, company.webhooks, lambda: DAY + timedelta(days=31))
    events = [json.loads(body)["data"]["current"] for _, body in receiver.requests]
    assert [event["families"] for event in events] == [["adoption", "support"], ["fit"]]
    assert events[1]["stale_since"] == "2024-01-31T00:00:00Z"


def test_the_wait_doubles_up_to_six_hours():
    assert [wait_after(n).total_seconds() for n in (1, 2, 3, 20)] == [30, 60, 120, 21_600]


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "not base64!"])
def test_an_invalid_secret_is_refused_without_repeating_it(monkeypatch, secret):
    monkeypatch.setenv("CRM_SECRET", secret)
    with pytest.raises(ConfigError, match="CRM_SECRET in the environment holds no secret") as refused:
        signer_for(EndpointSettings(url="https://crm.example/hook", secret_env="CRM_SECRET"))
    assert not secret or secret not in str(refused.value).replace("whsec_$", "")


@pytest.mark.parametrize("url", ["http://crm.example/hook", "ftp://x", "http://127.0.0.1.evil.example"])
def test_events_are_sent_to_other_machines_by_https_only(url):
    with pytest.raises(ValueError, match="url"):
        EndpointSettings(url=url, secret_env="X")


RUN = MonitorRun(DAY, DAY, 1, "ok", "", "as expected", None, None, {})
ALARM = replace(
    RUN,
    run_at=DAY + timedelta(days=1),
    verdict="level moved: recalibrate",
    subject="level",
    cause="more leave",
    began_before=DAY,
    waiting="0.004 of log loss",
    command="oarlock recalibrate",
)


def test_a_change_of_the_verdict_is_sent_once_with_what_to_do(ledger, receiver):
    company, store, at = settings(receiver), RunStore(ledger.engine), now()
    store.save(replace(RUN, run_at=at - timedelta(days=2)))
    store.save(replace(ALARM, run_at=at - timedelta(days=1)))
    store.save(replace(ALARM, run_at=at))  # it stays
    assert enqueue_verdict_events(ledger.engine, company, at) == 1
    assert enqueue_verdict_events(ledger.engine, company, at) == 0
    assert send_due_deliveries(ledger.engine, company.webhooks, lambda: at) == {"sent": 1}
    assert enqueue_verdict_events(ledger.engine, company, at) == 0
    ((headers, body),) = receiver.requests
    event = Webhook(SECRET).verify(body, headers)
    assert (event["type"], event["data"]["previous"]["verdict"]) == ("verdict_changed", "ok")
    assert event["data"]["current"] == {
        "verdict": "level moved: recalibrate",
        "as_of": "2024-01-01T00:00:00Z",
        "version": 1,
        "cause": "more leave",
        "subject": "level",
        "began_before": "2024-01-01T00:00:00Z",
        "waiting": "0.004 of log loss",
        "command": "oarlock recalibrate",
    }


def test_a_change_of_the_verdict_is_not_sent_weeks_later(ledger, receiver):
    store = RunStore(ledger.engine)
    store.save(RUN)
    store.save(ALARM)
    assert enqueue_verdict_events(ledger.engine, settings(receiver), ALARM.run_at + timedelta(days=8)) == 0


@pytest.mark.parametrize(
    ("before", "runs", "reported"),
    [
        (None, [], []),
        (None, [RUN], []),
        (None, [ALARM], ["level moved: recalibrate"]),
        (ALARM, [ALARM], []),
        (RUN, [ALARM, ALARM, RUN], ["level moved: recalibrate", "ok"]),
        (ALARM, [replace(ALARM, subject="slope")], ["level moved: recalibrate"]),
    ],
)
def test_only_another_verdict_is_reported(before, runs, reported):
    assert [event.current["verdict"] for event in verdict_events(before, runs)] == reported
