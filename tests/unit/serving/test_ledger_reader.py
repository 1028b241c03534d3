"""The past: what was said on a day is read back as it was, and what people said about it is kept."""

from datetime import date, datetime

import pytest

from configs.errors import RequestError
from serving.accounts.feedback_store import FeedbackStore
from serving.accounts.past_listing import past_accounts_page
from serving.ledger.ledger import Ledger
from serving.ledger.reader import LedgerReader, served_response
from serving.schemas.requests import AccountsQuery, FeedbackRequest, OutcomeReport

JUNE, JULY = datetime(2024, 6, 1), datetime(2024, 7, 1)
NOW = datetime(2024, 7, 3, 12)


def _score(account_id: str, as_of: datetime, risk: float) -> dict:
    told = {"account_id": account_id, "risk": risk, "base": 0.03, "band": "low", "status": "scored", "drivers": []}
    return {**told, "revenue": {"mrr": 100.0}, "signals_as_of": as_of.isoformat()}


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def _give(ledger: Ledger, given_at: datetime, version: int, *scores: dict) -> None:
    of = {"given_at": given_at, "request_id": "r", "model": "m", "version": version}
    ledger.append(scores, {**of, "label_hash": "l", "signal_set": "s"})


def test_a_risk_is_read_back_as_it_was_served(ledger):
    served = _score("a", JUNE, 0.1)
    _give(ledger, JUNE, 3, served)
    found = LedgerReader(ledger).latest(["a", "nobody"])
    assert served_response(found["a"]) == {**served, "given_at": "2024-06-01T00:00:00", "version": 3}
    assert set(found) == {"a"}


def test_a_past_day_is_answered_with_what_was_said_by_then(ledger):
    _give(ledger, JUNE, 1, _score("a", JUNE, 0.1))
    _give(ledger, JULY, 2, _score("a", JULY, 0.2))
    _give(ledger, NOW, 3, _score("a", JUNE, 0.3))
    past = LedgerReader(ledger)
    assert [past.latest(["a"], day)["a"].risk for day in (date(2024, 6, 1), date(2024, 6, 30))] == [0.1, 0.1]
    assert past.latest(["a"], date(2024, 7, 1))["a"].risk == 0.2
    assert past.latest(["a"])["a"].risk == 0.2
    assert past.latest(["a"], date(2024, 5, 31)) == {}


def test_a_day_that_was_only_scored_later_is_answered_with_that(ledger):
    _give(ledger, NOW, 3, _score("a", JUNE, 0.3))
    assert LedgerReader(ledger).latest(["a"], date(2024, 6, 1))["a"].given_at == NOW


def test_the_list_of_a_past_day_is_what_was_served_by_its_end(ledger):
    _give(ledger, JUNE, 1, *(_score(one, JUNE, risk) for one, risk in (("a", 0.1), ("b", 0.3), ("c", 0.2))))
    _give(ledger, JULY, 2, _score("a", JULY, 0.9))
    _give(ledger, NOW, 3, _score("b", JUNE, 0.8))
    first = past_accounts_page(ledger, date(2024, 6, 15), AccountsQuery(sort="risk", limit=2))
    rest = past_accounts_page(ledger, date(2024, 6, 15), AccountsQuery(sort="risk", cursor=first.next_cursor))
    assert [(one.account_id, one.risk) for one in [*first.risks, *rest.risks]] == [("b", 0.3), ("c", 0.2), ("a", 0.1)]
    assert (first.as_of, first.version, first.total, rest.next_cursor) == (JUNE, 1, 3, None)
    assert [one.risk for one in past_accounts_page(ledger, date(2024, 7, 2), AccountsQuery()).risks] == [0.9]


def test_a_past_list_says_what_the_ledger_does_not_hold(ledger):
    with pytest.raises(RequestError, match="No risk had been given by 2024-05-31"):
        past_accounts_page(ledger, date(2024, 5, 31), AccountsQuery())
    for asked in (AccountsQuery(owner="olga"), AccountsQuery(sort="renewal")):
        with pytest.raises(RequestError, match="the ledger does not hold what it was then"):
            past_accounts_page(ledger, date(2024, 6, 1), asked)


def test_many_ids_are_read_at_once(ledger):
    ids = [f"{number}" for number in range(2_000)]
    _give(ledger, JUNE, 1, *(_score(one, JUNE, 0.1) for one in ids))
    assert set(LedgerReader(ledger).latest([*ids, "nul\0"])) == set(ids)


def test_a_history_is_paged_from_the_newest_on(ledger):
    for number in range(5):
        _give(ledger, JUNE, number, _score("a", JUNE, number / 10), _score("b", JUNE, 0.9))
    past = LedgerReader(ledger)
    first = past.history("a", 2)
    rest = past.history("a", 9, first[-1].id)
    assert [one.version for one in [*first, *rest]] == [4, 3, 2, 1, 0]
    assert past.history("nobody", 9) == past.history("nul\0", 9) == []


def _feedback(account_id: str = "a", **more) -> FeedbackRequest:
    return FeedbackRequest(account_id=account_id, verdict="right", **more)


def test_the_last_mark_holds_until_its_day(ledger):
    said = FeedbackStore(ledger)
    assert said.save_feedback(_feedback(mark="do_not_chase", mark_until=date(2024, 8, 1)), NOW) == 1
    said.save_feedback(_feedback("b", mark="saved_watch"), NOW)
    said.save_feedback(_feedback("b"), NOW)
    assert said.active_marks(date(2024, 7, 31)) == {"a": "do_not_chase", "b": "saved_watch"}
    assert said.active_marks(date(2024, 8, 1)) == {"b": "saved_watch"}
    said.save_feedback(_feedback("b", unmark=True), NOW)
    assert said.active_marks(date(2024, 8, 1)) == {}


def _report(account_id: str, outcome, on: date = date(2024, 6, 30), **more) -> OutcomeReport:
    return OutcomeReport(account_id=account_id, outcome=outcome, on=on, **more)


def test_who_left_becomes_a_notice_that_was_known_when_it_was_told(ledger):
    said = FeedbackStore(ledger)
    said.save_outcomes([_report("a", "left", reason="price", voluntary=True), _report("b", "stayed")], NOW)
    assert said.notice_table().to_pylist() == [
        {
            "account_id": "a",
            "notified_at": datetime(2024, 6, 30),
            "effective_at": datetime(2024, 6, 30),
            "reason": "price",
            "voluntary": True,
            "recorded_at": NOW,
        }
    ]


def test_told_again_the_later_outcome_counts(ledger):
    said = FeedbackStore(ledger)
    said.save_outcomes([_report("a", "left")], NOW)
    said.save_outcomes([_report("a", "stayed")], NOW)
    assert said.notice_table().to_pylist() == []
