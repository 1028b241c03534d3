"""The cut in time: what was known just before an instant."""

from datetime import date, datetime

import ibis
import pyarrow as pa

from features.tables.contract import CONTRACT
from features.tables.derived import BY_DAY
from features.tables.point_in_time import aged, as_known
from tests.conftest import raw_tables, subscription

AS_OF = datetime(2023, 6, 1)


def _known(name: str, rows: list[dict], days: int | None = None) -> list[dict]:
    table = raw_tables(**{name: rows})[name]
    return as_known(table.rows, CONTRACT[name], AS_OF, days).to_pyarrow().to_pylist()


def _usage(at: datetime, **more: object) -> dict:
    return {"account_id": "a", "event": "login", "occurred_at": at, "quantity": 1.0, **more}


def test_a_row_of_the_instant_itself_is_not_known():
    assert _known("usage", [_usage(AS_OF)]) == []


def test_a_row_recorded_later_is_not_known():
    assert _known("usage", [_usage(datetime(2023, 5, 1), recorded_at=AS_OF)]) == []


def test_a_row_has_its_age_in_days():
    assert _known("usage", [_usage(datetime(2023, 5, 30, 12))])[0]["age"] == 1.5


def test_a_row_of_a_day_says_how_many_days_ago_it_was():
    days = ibis.memtable(pa.table({"account_id": ["a", "a"], "day": [date(2023, 5, 25), date(2023, 5, 31)]}))
    assert aged(days, BY_DAY, AS_OF).to_pyarrow()["days_ago"].to_pylist() == [7, 1]


def test_only_rows_of_the_last_days_stay_where_days_are_given():
    rows = [_usage(datetime(2023, 5, 25)), _usage(datetime(2023, 5, 24, 23))]
    assert [row["age"] for row in _known("usage", rows, days=7)] == [7.0]


def test_an_end_that_lies_ahead_is_not_known_yet():
    known = _known("subscriptions", [subscription("a", datetime(2023, 1, 1), AS_OF)])
    assert known[0]["ended_at"] is None


def test_a_renewal_that_lies_ahead_is_known_and_has_a_negative_age():
    rows = [subscription("a", datetime(2023, 1, 1), renews_at=datetime(2023, 6, 11))]
    assert _known("subscriptions", rows)[0]["renews_at_age"] == -10


def test_a_score_is_hidden_until_it_was_answered():
    survey = {"account_id": "a", "kind": "nps", "sent_at": datetime(2023, 5, 1), "answered_at": AS_OF, "score": 9.0}
    known = _known("surveys", [survey])
    assert (known[0]["answered_at"], known[0]["score"]) == (None, None)


def test_a_value_without_an_instant_of_its_own_is_known_once_its_row_is_two_weeks_old():
    rows = [
        {"account_id": "a", "at": at, "kind": "email", "responded": True}
        for at in (datetime(2023, 5, 17), datetime(2023, 5, 18))
    ]
    assert [row["responded"] for row in _known("touches", rows)] == [True, None]


def test_a_value_that_settles_after_another_counts_from_that_one():
    ticket = {"account_id": "a", "ticket_id": "t", "opened_at": datetime(2023, 4, 1), "csat": 5.0, "escalated": True}
    (row,) = _known("tickets", [{**ticket, "resolved_at": datetime(2023, 5, 20)}])
    assert (row["escalated"], row["csat"]) == (True, None)
