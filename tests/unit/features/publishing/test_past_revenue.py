"""The revenue of past days in the background: once per publication, few at a time, and again after a failure."""

from datetime import datetime, timedelta

import pytest

from configs.errors import BeingComputed, OarlockError
from features.publishing.past_revenue import MAX_WAITING, PastRevenue, build_past_revenue
from features.store.revenue_table import RevenueHistory
from tests.support.companies.growing_company import TODAY, Company

EARLIER = TODAY - timedelta(days=60)


def read(past: PastRevenue, day: datetime, version: str = "1") -> RevenueHistory:
    """The revenue of a day, asked for until it is there."""
    while True:
        try:
            return past.read(day, version)
        except BeingComputed:
            continue


def test_a_day_is_built_once_for_each_publication(published_company: Company):
    past = PastRevenue(published_company.settings, published_company.state)
    first = read(past, EARLIER)
    assert read(past, EARLIER) is first
    assert read(past, EARLIER, "2") is not first


def test_it_is_what_the_tables_were_on_the_day(published_company: Company):
    past = read(PastRevenue(published_company.settings, published_company.state), EARLIER)
    built = build_past_revenue(published_company.settings, published_company.state, EARLIER)
    assert past.as_of == EARLIER
    assert past.cents.tolist() == built.cents.tolist()
    assert past.account_ids.tolist() == built.account_ids.tolist()


def test_with_many_days_waiting_no_other_is_taken(published_company: Company):
    past = PastRevenue(published_company.settings, published_company.state, wait_seconds=0)
    days = [TODAY - timedelta(days=back) for back in range(MAX_WAITING + 1)]
    for day in days:
        with pytest.raises(BeingComputed):
            past.read(day, "1")
    assert [read(past, day).as_of for day in days] == days


def test_a_day_that_failed_is_tried_again(published_company: Company):
    file = published_company.folder / "subscriptions.parquet"
    past = PastRevenue(published_company.settings, published_company.state)
    moved = file.rename(file.with_suffix(".moved"))
    with pytest.raises(OarlockError, match="subscriptions"):
        read(past, EARLIER)
    moved.rename(file)
    assert read(past, EARLIER).as_of == EARLIER
