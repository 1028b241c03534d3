"""Time to value: five new accounts whose days are counted by hand."""

from datetime import datetime, timedelta

from features.publishing.revenue_table_builder import build_revenue_history
from features.retention.time_to_value import MiddleDays, measure_time_to_value
from tests.support.companies.raw_tables import Rows, account, raw_tables, subscription

DAY, BEGAN = datetime(2026, 7, 1), datetime(2026, 1, 1)
# account   days to first value   pays
TO_VALUE = {"soon": 10, "later": 40, "late": 100, "waits": None, "left": None}


def measure(milestones: Rows):
    subscriptions = [
        subscription(
            name, BEGAN, datetime(2026, 3, 1) if name == "left" else None, renews_at=datetime(2027, 1, 1),
            term_months=12.0,
        )
        for name in TO_VALUE
    ]  # fmt: skip
    tables = raw_tables(
        accounts=[account(name, BEGAN) for name in TO_VALUE], subscriptions=subscriptions, milestones=milestones
    )
    history = build_revenue_history(tables, DAY, datetime(2024, 1, 1), 4)
    assert history is not None
    return measure_time_to_value(history)


def milestone(name: str, days: int | None, kind: str = "first_value") -> dict:
    return {"account_id": name, "milestone": kind, "reached_at": days and BEGAN + timedelta(days=days)}


def test_the_days_to_first_value_are_those_counted_by_hand():
    (everybody,) = measure([milestone(name, days) for name, days in TO_VALUE.items()])
    assert (everybody.accounts, everybody.reached.rate) == (5, 2 / 5)  # the third took longer than 90 days
    assert everybody.days == MiddleDays(100.0, None, None, 5)  # two have not reached it, so the third is the median
    assert everybody.contract_left == MiddleDays(365.0 - 40, None, None, 3)
    assert (everybody.waiting, everybody.waiting_revenue) == (1, 100_00)


def test_other_milestones_are_no_value():
    assert measure([milestone("soon", 10, "kickoff")]) == ()
