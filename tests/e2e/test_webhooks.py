"""Webhooks: from the ledger to a real receiver, signed, tried again, dead at last, and replayed."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook

from configs.clock import now
from configs.errors import ConfigError
from configs.settings import DataSettings, EndpointSettings, ServingSettings, Settings, WebhookSettings
from features.store.account_table import AccountFacts
from monitoring.alerts.outbox import enqueue_risk_events, enqueue_stale_events
from monitoring.alerts.rules import PublishedFamilies
from monitoring.alerts.webhooks import count_deliveries, requeue_deliveries, secret_of, send_due_deliveries, wait_after
from serving.ledger.ledger import Ledger
from tests.support.ledger_rows import DAY, OF, score

SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="


class Receiver:
    """A real HTTP server that keeps what it gets and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], str]] = []
        self.answers = 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.answers)
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
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request, tmp_path) -> Ledger:
    return Ledger(tmp_path / "l.db" if request.param == "sqlite" else request.getfixturevalue("postgres"))


def settings(receiver: Receiver, **rules) -> Settings:
    hooks = WebhookSettings(endpoints={"crm": EndpointSettings(url=receiver.url, secret_env="CRM_SECRET")}, **rules)
    return Settings(name="acme", data=DataSettings(dataset="d.toml"), webhooks=hooks)  # type: ignore[arg-type]


def give(ledger: Ledger, *days: dict[str, float]) -> None:
    """A day of risks after the other."""
    for number, risks in enumerate(days):
        day = DAY + timedelta(days=number)
        scores = [score(one, risk, signals_as_of=day.isoformat(), drivers=[]) for one, risk in risks.items()]
        ledger.append(scores, {**OF, "given_at": day})


def test_a_change_of_band_arrives_once_signed_and_with_what_was_before(ledger, receiver):
    asked = settings(receiver)
    give(ledger, {"a": 0.06, "b": 0.01}, {"a": 0.25, "b": 0.01})
    assert enqueue_risk_events(ledger.engine, asked, {}, DAY) == 1
    assert enqueue_risk_events(ledger.engine, asked, {}, DAY) == 0
    at = now()  # the receiver refuses a message that is minutes old
    assert send_due_deliveries(ledger.engine, asked.webhooks, lambda: at) == {"sent": 1}
    assert send_due_deliveries(ledger.engine, asked.webhooks, lambda: at) == {}
    ((headers, body),) = receiver.got
    told = Webhook(SECRET).verify(body, headers)
    assert (told["type"], told["account_id"]) == ("band_changed", "a")
    assert (told["previous"]["band"], told["current"]["band"]) == ("watch", "critical")
    assert (told["previous"]["risk"], told["current"]["risk"]) == (0.06, 0.25)


def test_what_does_not_arrive_is_tried_later_and_later_then_dead_and_replayed(ledger, receiver):
    asked, at, receiver.answers = settings(receiver, max_attempts=3), DAY, 500
    give(ledger, {"a": 0.01}, {"a": 0.25})
    enqueue_risk_events(ledger.engine, asked, {}, DAY)
    for attempt, expected in enumerate(("pending", "pending", "dead"), start=1):
        assert send_due_deliveries(ledger.engine, asked.webhooks, lambda now=at: now) == {expected: 1}
        assert send_due_deliveries(ledger.engine, asked.webhooks, lambda now=at: now) == {}
        at += wait_after(attempt)
    assert count_deliveries(ledger.engine) == {("crm", "dead"): 1}
    assert len(receiver.got) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1

    receiver.answers = 200
    assert requeue_deliveries(ledger.engine, at) == 1
    assert send_due_deliveries(ledger.engine, asked.webhooks, lambda: at) == {"sent": 1}


def test_an_endpoint_that_is_gone_gets_no_second_try(ledger, receiver):
    asked, receiver.answers = settings(receiver), 410
    give(ledger, {"a": 0.01}, {"a": 0.25})
    enqueue_risk_events(ledger.engine, asked, {}, DAY)
    assert send_due_deliveries(ledger.engine, asked.webhooks, lambda: DAY) == {"dead": 1}


def test_an_endpoint_that_is_away_is_tried_again(ledger, receiver):
    asked = settings(receiver)
    receiver.server.shutdown()
    receiver.server.server_close()
    give(ledger, {"a": 0.01}, {"a": 0.25})
    enqueue_risk_events(ledger.engine, asked, {}, DAY)
    assert send_due_deliveries(ledger.engine, asked.webhooks, lambda: DAY) == {"pending": 1}


def test_an_owner_is_not_told_more_than_the_budget_and_the_rest_is_kept_as_suppressed(ledger, receiver):
    asked = settings(receiver, budget_per_owner=2)
    give(ledger, {f"a{n}": 0.01 for n in range(5)}, {f"a{n}": 0.3 + n / 100 for n in range(5)})
    facts = {f"a{n}": AccountFacts(f"a{n}", owner="olga") for n in range(5)}
    assert enqueue_risk_events(ledger.engine, asked, facts, DAY) == 2
    assert count_deliveries(ledger.engine) == {("crm", "pending"): 2, ("crm", "suppressed"): 3}
    send_due_deliveries(ledger.engine, asked.webhooks, lambda: DAY)
    assert {json.loads(body)["account_id"] for _, body in receiver.got} == {"a3", "a4"}


def test_old_data_is_told_once_for_each_published_day_and_limit(ledger, receiver):
    asked = settings(receiver)
    asked = asked.model_copy(
        update={"serving": ServingSettings(stale_after_days=3, stale_after_days_by_family={"fit": 30})}
    )
    published = PublishedFamilies(DAY, ("adoption", "fit", "support"))
    for days, deliveries in ((3, 0), (4, 1), (5, 1), (30, 1), (31, 2)):
        enqueue_stale_events(ledger.engine, asked, published, DAY + timedelta(days=days))
        assert sum(count_deliveries(ledger.engine).values()) == deliveries
    send_due_deliveries(ledger.engine, asked.webhooks, lambda: DAY + timedelta(days=31))
    told = [json.loads(body)["current"] for _, body in receiver.got]
    assert [one["families"] for one in told] == [["adoption", "support"], ["fit"]]
    assert told[1]["stale_since"] == (DAY + timedelta(days=30)).isoformat()


def test_the_wait_doubles_up_to_six_hours():
    assert [wait_after(n).total_seconds() for n in (1, 2, 3, 20)] == [30, 60, 120, 21_600]


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "not base64!"])
def test_a_secret_that_is_none_is_refused_without_repeating_it(monkeypatch, secret):
    monkeypatch.setenv("CRM_SECRET", secret)
    with pytest.raises(ConfigError, match="CRM_SECRET in the environment holds no secret") as refused:
        secret_of(EndpointSettings(url="https://crm.example/hook", secret_env="CRM_SECRET"))
    assert not secret or secret not in str(refused.value).replace("whsec_$", "")


@pytest.mark.parametrize("url", ["http://crm.example/hook", "ftp://x", "http://127.0.0.1.evil.example"])
def test_events_are_not_sent_in_the_clear_to_another_machine(url):
    with pytest.raises(ValueError, match="url"):
        EndpointSettings(url=url, secret_env="X")
