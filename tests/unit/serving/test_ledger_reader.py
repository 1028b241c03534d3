"""The ledger's reader: past risks are read back as they were served, as are feedback and outcomes."""

from datetime import date, datetime

import pytest
from sqlalchemy import event

from configs.errors import RequestError
from serving.accounts.feedback_store import FeedbackStore
from serving.accounts.past_listing import past_accounts_page
from serving.ledger.ledger import Ledger
from serving.ledger.reader import LedgerReader, served_response
from serving.schemas.requests import AccountsQuery, FeedbackRequest, OutcomeReport
from tests.support.ledger_rows import score, source_at

JUNE, JULY = datetime(2024, 6, 1), datetime(2024, 7, 1)
NOW = datetime(2024, 7, 3, 12)


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def _append(ledger: Ledger, scored_at: datetime, version: int, as_of: datetime, **risks: float) -> None:
    scores = [score(name, risk, signals_as_of=as_of.isoformat()) for name, risk in risks.items()]
    ledger.append(scores, source_at(scored_at, version))


def test_a_risk_is_read_back_as_it_was_served(ledger):
    served = score("a", 0.1, signals_as_of=JUNE.isoformat())
    ledger.append([served], source_at(JUNE, 3))
    entries = LedgerReader(ledger).last_known(["a", "nobody"])
    assert entries.keys() == {"a"}
    assert served_response(entries["a"]) == {**served, "scored_at": "2024-06-01T00:00:00Z", "version": 3}


def test_a_past_day_is_answered_with_what_was_served_by_then(ledger):
    _append(ledger, JUNE, 1, JUNE, a=0.1)
    _append(ledger, JULY, 2, JULY, a=0.2)
    _append(ledger, NOW, 3, JUNE, a=0.3)
    reader = LedgerReader(ledger)
    for day, risk in ((date(2024, 6, 1), 0.1), (date(2024, 6, 30), 0.1), (date(2024, 7, 1), 0.2)):
        assert reader.served_by(["a"], day)["a"].risk == risk
    assert reader.served_by(["a"], date(2024, 5, 31)) == {}
    assert reader.last_known(["a"])["a"].risk == 0.2


def test_a_day_on_which_nothing_was_served_has_no_answer(ledger):
    _append(ledger, NOW, 3, JUNE, a=0.3)
    assert LedgerReader(ledger).served_by(["a"], date(2024, 6, 1)) == {}


@pytest.mark.parametrize(("purpose", "is_last_known"), [("viewed", True), ("recomputed", False)])
def test_only_what_was_served_answers_for_the_past(ledger, purpose, is_last_known):
    looked_at = score("a", 0.3, signals_as_of=JUNE.isoformat())
    ledger.append([looked_at], {**source_at(JUNE), "purpose": purpose})
    reader = LedgerReader(ledger)
    assert (reader.served_by(["a"], date(2024, 6, 2)), reader.history("a", 9)) == ({}, [])
    assert ("a" in reader.last_known(["a"])) == is_last_known
    with pytest.raises(RequestError, match="No risk had been served"):
        past_accounts_page(ledger, date(2024, 6, 2), AccountsQuery())


def test_a_risk_that_is_served_again_is_in_the_history_once(ledger):
    for scored_at in (JUNE, JULY, NOW):
        _append(ledger, scored_at, 1, JUNE, a=0.1)
    _append(ledger, NOW, 1, JULY, a=0.1)
    entries = LedgerReader(ledger).history("a", 9)
    assert [(entry.as_of, entry.scored_at) for entry in entries] == [(JULY, NOW), (JUNE, JUNE)]


def test_a_past_listing_has_the_risks_served_by_that_day(ledger):
    _append(ledger, JUNE, 1, JUNE, a=0.1, b=0.3, c=0.2)
    _append(ledger, JULY, 2, JULY, a=0.9)
    _append(ledger, NOW, 3, JUNE, b=0.8)
    first = past_accounts_page(ledger, date(2024, 6, 15), AccountsQuery(sort="risk", limit=2))
    second = past_accounts_page(ledger, date(2024, 6, 15), AccountsQuery(sort="risk", cursor=first.next_cursor))
    listed = [(entry.account_id, entry.risk) for entry in [*first.risks, *second.risks]]
    assert listed == [("b", 0.3), ("c", 0.2), ("a", 0.1)]
    assert (first.as_of, first.version, first.total, second.next_cursor) == (JUNE, 1, 3, None)
    assert [entry.risk for entry in past_accounts_page(ledger, date(2024, 7, 2), AccountsQuery()).risks] == [0.9]


def test_a_past_list_refuses_what_the_ledger_does_not_record(ledger):
    with pytest.raises(RequestError, match="No risk had been served by 2024-05-31"):
        past_accounts_page(ledger, date(2024, 5, 31), AccountsQuery())
    for query in (AccountsQuery(owner="olga"), AccountsQuery(sort="renewal")):
        with pytest.raises(RequestError, match="the ledger does not record it"):
            past_accounts_page(ledger, date(2024, 6, 1), query)


def test_many_ids_are_read_at_once(ledger):
    ids = [f"{number}" for number in range(2_000)]
    _append(ledger, JUNE, 1, JUNE, **dict.fromkeys(ids, 0.1))
    assert LedgerReader(ledger).last_known([*ids, "nul\0"]).keys() == set(ids)


def test_a_history_is_paged_newest_first(ledger):
    for version in range(5):
        _append(ledger, JUNE, version, JUNE, a=version / 10, b=0.9)
    reader = LedgerReader(ledger)
    first = reader.history("a", 2)
    second = reader.history("a", 9, first[-1].id)
    assert [entry.version for entry in [*first, *second]] == [4, 3, 2, 1, 0]
    assert reader.history("nobody", 9) == reader.history("nul\0", 9) == []


def _feedback(account_id: str = "a", **fields) -> FeedbackRequest:
    return FeedbackRequest(account_id=account_id, verdict="right", **fields)


def test_the_newest_mark_holds_until_its_day(ledger):
    store = FeedbackStore(ledger)
    assert store.save_feedback(_feedback(mark="do_not_chase", mark_until=date(2024, 8, 1)), NOW) == 1
    store.save_feedback(_feedback("b", mark="saved_watch"), NOW)
    store.save_feedback(_feedback("b"), NOW)
    assert store.active_marks(date(2024, 7, 31)) == {"a": "do_not_chase", "b": "saved_watch"}
    assert store.active_marks(date(2024, 8, 1)) == {"b": "saved_watch"}
    store.save_feedback(_feedback("b", unmark=True), NOW)
    assert store.active_marks(date(2024, 8, 1)) == {}


def _report(account_id: str, outcome, **fields) -> OutcomeReport:
    return OutcomeReport(account_id=account_id, outcome=outcome, on=date(2024, 6, 30), **fields)


def test_a_reported_departure_becomes_a_notice(ledger):
    store = FeedbackStore(ledger)
    store.save_outcomes([_report("a", "left", reason="price", voluntary=True), _report("b", "stayed")], NOW)
    assert store.notice_table().to_pylist() == [
        {
            "account_id": "a",
            "notified_at": datetime(2024, 6, 30),
            "effective_at": datetime(2024, 6, 30),
            "reason": "price",
            "voluntary": True,
            "recorded_at": NOW,
        }
    ]


def test_the_newest_report_of_an_outcome_counts(ledger):
    store = FeedbackStore(ledger)
    store.save_outcomes([_report("a", "left")], NOW)
    store.save_outcomes([_report("a", "stayed")], NOW)
    assert store.notice_table().to_pylist() == []


@pytest.mark.parametrize(
    "read",
    [
        lambda reader: reader.served_by(["a", "b"], date(2024, 7, 1)),
        lambda reader: reader.bands_served_by({"a": date(2024, 7, 1), "b": date(2024, 7, 1)}),
        lambda reader: reader.last_known(["a", "b"]),
        lambda reader: reader.history("a", 10),
        lambda reader: reader.recorded_at("a", JUNE),
        lambda reader: reader.recent_risks(["a", "b"], 5, date(2024, 7, 1)),
    ],
    ids=["served by", "bands", "last known", "history", "recorded at", "recent"],
)
def test_risks_of_an_account_are_read_without_those_of_others(ledger, read):
    _append(ledger, JUNE, 1, JUNE, a=0.1, b=0.2)
    queries: list[tuple[str, object]] = []
    listen = lambda _, __, statement, parameters, *___: queries.append((statement, parameters))  # noqa: E731
    event.listen(ledger.engine, "before_cursor_execute", listen)
    assert read(LedgerReader(ledger))
    event.remove(ledger.engine, "before_cursor_execute", listen)
    with ledger.engine.connect() as connection:
        plans = [connection.exec_driver_sql(f"explain query plan {query}", values).all() for query, values in queries]
    steps = [row[3] for plan in plans for row in plan if " risks" in row[3]]
    assert steps
    for step in steps:
        assert "INDEX risks_by_account (account_id=?" in step or "INTEGER PRIMARY KEY" in step
