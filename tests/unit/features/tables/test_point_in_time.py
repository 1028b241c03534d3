"""Point-in-time filtering: what was known just before an instant."""

from datetime import date, datetime

import ibis
import pyarrow as pa

from features.tables.contract import CONTRACT
from features.tables.derived import USAGE_BY_DAY
from features.tables.point_in_time import add_ages, as_of_view
from tests.support.companies.raw_tables import raw_tables, subscription

AS_OF = datetime(2023, 6, 1)


def _rows_as_of(name: str, rows: list[dict], days: int | None = None) -> list[dict]:
    table = raw_tables(**{name: rows})[name]
    return as_of_view(table.rows, CONTRACT[name], AS_OF, days).to_pyarrow().to_pylist()


def _usage(at: datetime, **columns: object) -> dict:
    return {"account_id": "a", "event": "login", "occurred_at": at, "quantity": 1.0, **columns}


def test_a_row_at_as_of_is_excluded():
    assert _rows_as_of("usage", [_usage(AS_OF)]) == []


def test_a_row_recorded_later_is_excluded():
    assert _rows_as_of("usage", [_usage(datetime(2023, 5, 1), recorded_at=AS_OF)]) == []


def test_a_row_has_its_age_in_days():
    assert _rows_as_of("usage", [_usage(datetime(2023, 5, 30, 12))])[0]["age"] == 1.5


def test_a_daily_row_has_its_number_of_days_ago():
    days = ibis.memtable(pa.table({"account_id": ["a", "a"], "day": [date(2023, 5, 25), date(2023, 5, 31)]}))
    assert add_ages(days, USAGE_BY_DAY, AS_OF).to_pyarrow()["days_ago"].to_pylist() == [7, 1]


def test_a_limit_of_days_excludes_older_rows():
    rows = [_usage(datetime(2023, 5, 25)), _usage(datetime(2023, 5, 24, 23))]
    assert [row["age"] for row in _rows_as_of("usage", rows, days=7)] == [7.0]


def test_an_end_in_the_future_is_hidden():
    rows = _rows_as_of("subscriptions", [subscription("a", datetime(2023, 1, 1), datetime(2023, 6, 1, 0, 0, 1))])
    assert rows[0]["ended_at"] is None


def test_a_subscription_that_ends_at_as_of_no_longer_runs():
    rows = _rows_as_of("subscriptions", [subscription("a", datetime(2023, 1, 1), AS_OF)])
    assert rows[0]["ended_at"] == AS_OF


def test_a_renewal_in_the_future_has_a_negative_age():
    rows = [subscription("a", datetime(2023, 1, 1), renews_at=datetime(2023, 6, 11))]
    assert _rows_as_of("subscriptions", rows)[0]["renews_at_age"] == -10


def test_a_survey_score_is_hidden_until_the_answer():
    survey = {"account_id": "a", "kind": "nps", "sent_at": datetime(2023, 5, 1), "answered_at": AS_OF, "score": 9.0}
    rows = _rows_as_of("surveys", [survey])
    assert (rows[0]["answered_at"], rows[0]["score"]) == (None, None)


def test_a_value_without_an_instant_is_hidden_for_two_weeks():
    rows = [
        {"account_id": "a", "at": at, "kind": "email", "responded": True}
        for at in (datetime(2023, 5, 17), datetime(2023, 5, 18))
    ]
    assert [row["responded"] for row in _rows_as_of("touches", rows)] == [True, None]


def test_csat_is_hidden_for_two_weeks_after_the_resolution():
    ticket = {"account_id": "a", "ticket_id": "t", "opened_at": datetime(2023, 4, 1), "csat": 5.0, "escalated": True}
    (row,) = _rows_as_of("tickets", [{**ticket, "resolved_at": datetime(2023, 5, 20)}])
    assert (row["escalated"], row["csat"]) == (True, None)
