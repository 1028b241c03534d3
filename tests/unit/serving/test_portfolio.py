"""The portfolio: pages hold every account once and in order, and it is computed once for all requests."""

import threading
from concurrent.futures import Future
from datetime import date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import RequestError
from configs.sections.bands import BandSettings
from features.store.account_table import AccountDetails, AccountTable, write_account_table
from serving.accounts.portfolio import Portfolio, PortfolioCache, PortfolioKey, compute_portfolio, portfolio_page
from serving.schemas.requests import AccountsQuery

AS_OF = datetime(2024, 5, 15)
KEY = PortfolioKey("w", 3, AS_OF, (30, 90), 1, ("events",), ("adoption", "support"))
LEADING = {"a": 0, "b": 1, "c": 1, "d": -1, "unscored": 0}
RISKS = {"a": 0.30, "b": 0.10, "c": 0.30, "d": 0.01, "unscored": np.nan}
ACCOUNTS = [
    AccountDetails("a", owner="ada", segment="small", mrr=10.0, renews_at=datetime(2024, 7, 1)),
    AccountDetails("b", owner="ben", segment="small", mrr=500.0, renews_at=datetime(2024, 6, 1)),
    AccountDetails("c", owner="ada", segment="mid", mrr=None),
    AccountDetails("d", owner=None, segment="mid", mrr=900.0, renews_at=datetime(2024, 9, 1)),
    AccountDetails("unscored", owner="ada", segment="mid", mrr=1.0),
]


def _score_matrix_for(ids: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    risks = np.array([RISKS[account_id] for account_id in ids])
    leading = np.array([LEADING[account_id] for account_id in ids])
    points = np.column_stack([risks / 2, risks / 4])
    return np.column_stack([risks / 2, risks]), np.arange(len(ids), dtype=float)[:, None], leading, points


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory) -> Portfolio:
    file = tmp_path_factory.mktemp("accounts") / "accounts.db"
    write_account_table(file, AS_OF, ACCOUNTS)
    return compute_portfolio(KEY, AccountTable(file), _score_matrix_for, BandSettings())


def _ids(portfolio: Portfolio, **query) -> list[str]:
    return [ACCOUNTS[row].account_id for row in portfolio_page(portfolio, AccountsQuery(**query))[0]]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"sort": "risk"}, ["a", "c", "b", "d"]),
        ({}, ["b", "d", "a", "c"]),
        ({"sort": "renewal"}, ["b", "a", "d", "c"]),
        ({"owner": "ada"}, ["a", "c"]),
        ({"segment": "mid"}, ["d", "c"]),
        ({"band": "critical"}, ["a", "c"]),
        ({"renews_from": date(2024, 6, 1), "renews_until": date(2024, 7, 1)}, ["b"]),
        ({"owner": "nobody"}, []),
    ],
)
def test_accounts_are_filtered_and_sorted(portfolio, query, ids):
    assert _ids(portfolio, **query) == ids


def test_an_account_without_a_risk_is_not_listed(portfolio):
    assert "unscored" not in _ids(portfolio, sort="risk")


def test_the_family_that_raises_a_risk_most_is_known_by_row(portfolio):
    assert [portfolio.families.value(row) for row in range(4)] == ["adoption", "support", "support", None]


def test_a_percentile_is_within_the_segment(portfolio):
    assert portfolio.percentile("small", 0.30) == 75
    assert portfolio.percentile(None, 0.01) == 12.5
    assert portfolio.percentile("unknown", 0.3) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.sampled_from(["risk", "revenue_at_risk", "renewal"]))
def test_the_pages_hold_every_account_once_and_in_order(portfolio, limit, sort):
    cursor, rows = None, []
    while True:
        page, total, cursor = portfolio_page(portfolio, AccountsQuery(sort=sort, limit=limit, cursor=cursor))
        rows += page.tolist()
        if cursor is None:
            break
    assert rows == portfolio.matching_rows(AccountsQuery(sort=sort)).tolist()
    assert len(rows) == total == 4


@pytest.mark.parametrize("cursor", ["", "x", "WzFd", "bnVsbA==", "Ωμ", "WyJhIiwgMSwgInJpc2siXQ==", "eyJhIjoxfQ=="])
def test_an_invalid_cursor_is_refused(portfolio, cursor):
    with pytest.raises(RequestError, match="cursor"):
        portfolio_page(portfolio, AccountsQuery(sort="risk", cursor=cursor))


def test_a_cursor_of_another_order_is_refused(portfolio):
    _, _, cursor = portfolio_page(portfolio, AccountsQuery(sort="risk", limit=1))
    with pytest.raises(RequestError, match="sorted by risk, not by revenue_at_risk"):
        portfolio_page(portfolio, AccountsQuery(sort="revenue_at_risk", cursor=cursor))


class _SlowComputation:
    """Computes a portfolio once it may finish, and counts how often it was started."""

    def __init__(self, portfolio: Portfolio) -> None:
        self.portfolio, self.key, self.count = portfolio, "first", 0
        self.may_finish = threading.Event()

    def compute(self) -> Portfolio:
        self.count += 1
        assert self.may_finish.wait(10)
        return self.portfolio


def _wait_for(pending: Portfolio | Future[Portfolio]) -> Portfolio:
    assert isinstance(pending, Future)
    return pending.result(10)


def test_it_is_computed_once_for_all_requests(portfolio):
    slow = _SlowComputation(portfolio)
    cache = PortfolioCache(lambda: slow.key, slow.compute)
    pending = [cache.current() for _ in range(5)]
    assert len({id(future) for future in pending}) == 1
    slow.may_finish.set()
    assert _wait_for(pending[0]) is portfolio
    assert (cache.current(), slow.count) == (portfolio, 1)


def test_the_previous_portfolio_is_used_until_the_new_is_ready(portfolio):
    slow = _SlowComputation(portfolio)
    slow.may_finish.set()
    cache = PortfolioCache(lambda: slow.key, slow.compute)
    assert _wait_for(cache.current()) is portfolio
    slow.may_finish.clear()
    slow.key = "second"
    assert cache.current() is portfolio
    assert cache.current() is portfolio
    slow.may_finish.set()
    assert slow.count == 2


def test_a_failed_computation_is_reported_and_tried_again(portfolio):
    results = iter([OSError("the store is down"), portfolio])

    def compute() -> Portfolio:
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    cache = PortfolioCache(lambda: "key", compute)
    with pytest.raises(OSError, match="down"):
        _wait_for(cache.current())
    assert _wait_for(cache.current()) is portfolio
