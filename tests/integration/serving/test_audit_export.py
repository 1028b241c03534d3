"""The audit for other tools: an event per line, oldest first, with the feedback and outcomes that people reported."""

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest

from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from serving.accounts.feedback_store import FeedbackStore
from serving.ledger.ledger import Ledger, open_ledger
from serving.schemas.requests import FeedbackRequest, OutcomeReport
from serving.security.audit_log import append_audit_event

FIRST, SECOND, THIRD, LAST = (datetime(2026, month, 1, 12) for month in (1, 2, 7, 9))


@pytest.fixture
def config(make_company: Callable[..., Path]) -> Path:
    """The settings of a company in which somebody made a key, promoted, and two people reported."""
    config = make_company(accounts=[{"account_id": "a"}])
    ledger = ledger_of(config)
    append_audit_event(ledger.engine, LAST, "ada", "promoted", subject="acme 2", reason="better")
    append_audit_event(ledger.engine, FIRST, "ada", "key_created", subject="k1", scopes=["read"])
    reports = FeedbackStore(ledger)
    judgement = {"account_id": "a", "verdict": "wrong", "note": "call Bob on 555", "by": "eve", "mark": "do_not_chase"}
    reports.save_feedback(FeedbackRequest.model_validate(judgement), THIRD)
    outcome = {"account_id": "a", "outcome": "left", "on": date(2026, 1, 31), "voluntary": True}
    reports.save_outcomes([OutcomeReport.model_validate(outcome)], SECOND)
    ledger.engine.dispose()
    return config


def ledger_of(config: Path) -> Ledger:
    settings = read_settings(config)
    return open_ledger(settings, open_state_dir(settings))


def export(oarlock, config: Path, *options: str) -> list[dict]:
    result = oarlock("audit", "--lines", *options, config=config)
    assert result.code == 0
    return [json.loads(line) for line in result.out.splitlines()]


def test_every_event_is_a_line_oldest_first(config: Path, oarlock):
    events = export(oarlock, config)
    assert [(event["at"], event["action"]) for event in events] == [
        ("2026-01-01T12:00:00.000+00:00", "key_created"),
        ("2026-02-01T12:00:00.000+00:00", "outcome_reported"),
        ("2026-07-01T12:00:00.000+00:00", "feedback"),
        ("2026-09-01T12:00:00.000+00:00", "promoted"),
    ]
    assert events[1]["details"] == {"outcome": "left", "on": "2026-01-31", "voluntary": True}
    assert (events[2]["actor"], events[2]["subject"]) == ("eve", "a")
    assert events[2]["details"] == {"verdict": "wrong", "mark": "do_not_chase"}


def test_what_people_wrote_in_a_note_is_left_out(config: Path, oarlock):
    assert "Bob" not in json.dumps(export(oarlock, config))


def test_times_are_in_the_zone_that_is_named(config: Path, oarlock):
    times = [event["at"] for event in export(oarlock, config, "--zone", "Europe/Berlin")]
    assert (times[0], times[2]) == ("2026-01-01T13:00:00.000+01:00", "2026-07-01T14:00:00.000+02:00")


@pytest.mark.parametrize(
    ("options", "actions"),
    [
        (["--since", "2026-07-01"], ["feedback", "promoted"]),
        (["--action", "outcome_reported"], ["outcome_reported"]),
        (["--action", "promoted"], ["promoted"]),
        (["--since", "2027-01-01"], []),
    ],
)
def test_events_are_filtered(config: Path, oarlock, options: list[str], actions: list[str]):
    assert [event["action"] for event in export(oarlock, config, *options)] == actions


def test_the_reports_on_an_account_are_erased_with_it(config: Path, oarlock):
    assert oarlock("erase", "a", config=config).code == 0
    events = export(oarlock, config)
    assert [event["action"] for event in events] == ["key_created", "promoted", "erased"]
    assert all(event["subject"] != "a" for event in events)


def test_a_zone_that_does_not_exist_is_refused(config: Path, oarlock):
    result = oarlock("audit", "--lines", "--zone", "Mars/Olympus", config=config)
    assert (result.code, "'Mars/Olympus' is no time zone" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("action", "sentence"),
    [("promotd", "'promotd' is not one of"), ("feedback", "feedback is in the audit with --lines only")],
)
def test_an_action_that_is_not_in_the_audit_is_refused(config: Path, oarlock, action: str, sentence: str):
    result = oarlock("audit", "--action", action, config=config)
    assert (result.code, sentence in result.err) == (2, True)
