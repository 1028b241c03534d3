"""The portfolio: every account once, in order, whatever the page; one computation, whoever asks."""

import threading
from concurrent.futures import Future
from datetime import date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import RequestError
from configs.settings import BandSettings
from features.store.account_table import AccountFacts, FactsTable, write_facts
from serving.accounts.portfolio import Portfolio, PortfolioCache, PortfolioKey, compute_portfolio, portfolio_page
from serving.schemas.requests import AccountsQuery

AS_OF = datetime(2024, 5, 15)
OF = PortfolioKey("w", 3, AS_OF, (30, 90), 1, ("events",))
RISKS = {"a": 0.30, "b": 0.10, "c": 0.30, "d": 0.01, "gone": np.nan}
FACTS = [
    AccountFacts("a", owner="ada", segment="small", mrr=10.0, renews_at=datetime(2024, 7, 1)),
    AccountFacts("b", owner="ben", segment="small", mrr=500.0, renews_at=datetime(2024, 6, 1)),
    AccountFacts("c", owner="ada", segment="mid", mrr=None),
    AccountFacts("d", owner=None, segment="mid", mrr=900.0, renews_at=datetime(2024, 9, 1)),
    AccountFacts("gone", owner="ada", segment="mid", mrr=1.0),
]


def _survey(ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
    risks = np.array([RISKS[one] for one in ids])
    return np.column_stack([risks / 2, risks]), np.arange(len(ids), dtype=float)[:, None]


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory) -> Portfolio:
    file = tmp_path_factory.mktemp("facts") / "facts.db"
    write_facts(file, AS_OF, FACTS)
    return compute_portfolio(OF, FactsTable(file), _survey, BandSettings())


def _ids(portfolio: Portfolio, **asked) -> list[str]:
    return [FACTS[place].account_id for place in portfolio_page(portfolio, AccountsQuery(**asked))[0]]


@pytest.mark.parametrize(
    ("asked", "ids"),
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
def test_it_filters_and_sorts(portfolio, asked, ids):
    assert _ids(portfolio, **asked) == ids


def test_an_account_without_a_risk_is_in_no_list(portfolio):
    assert "gone" not in _ids(portfolio, sort="risk")


def test_a_percentile_is_that_of_the_segment(portfolio):
    assert portfolio.percentile("small", 0.30) == 75
    assert portfolio.percentile(None, 0.01) == 12.5
    assert portfolio.percentile("unheard of", 0.3) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.sampled_from(["risk", "at_risk", "renewal"]))
def test_the_pages_hold_every_account_once_and_in_order(portfolio, limit, sort):
    cursor, found = None, []
    while True:
        shown, total, cursor = portfolio_page(portfolio, AccountsQuery(sort=sort, limit=limit, cursor=cursor))
        found += shown.tolist()
        if cursor is None:
            break
    assert found == portfolio.places(AccountsQuery(sort=sort)).tolist()
    assert len(found) == total == 4


@pytest.mark.parametrize("cursor", ["", "x", "WzFd", "bnVsbA==", "Ωμ", "WyJhIiwgMSwgInJpc2siXQ==", "eyJhIjoxfQ=="])
def test_a_cursor_that_is_none_of_ours_is_refused(portfolio, cursor):
    with pytest.raises(RequestError, match="cursor"):
        portfolio_page(portfolio, AccountsQuery(sort="risk", cursor=cursor))


def test_a_cursor_of_another_order_is_refused(portfolio):
    _, _, cursor = portfolio_page(portfolio, AccountsQuery(sort="risk", limit=1))
    with pytest.raises(RequestError, match="sorted by risk, not by at_risk"):
        portfolio_page(portfolio, AccountsQuery(sort="at_risk", cursor=cursor))


class _Counted:
    """Computes a portfolio when it is let, and counts how often it was asked to."""

    def __init__(self, portfolio: Portfolio) -> None:
        self.portfolio, self.of, self.made = portfolio, "first", 0
        self.let = threading.Event()

    def make(self) -> Portfolio:
        self.made += 1
        assert self.let.wait(10)
        return self.portfolio


def _awaited(coming: Portfolio | Future[Portfolio]) -> Portfolio:
    assert isinstance(coming, Future)
    return coming.result(10)


def test_it_is_computed_once_whoever_asks(portfolio):
    counted = _Counted(portfolio)
    portfolios = PortfolioCache(lambda: counted.of, counted.make)
    coming = [portfolios.current() for _ in range(5)]
    assert len({id(one) for one in coming}) == 1
    counted.let.set()
    assert _awaited(coming[0]) is portfolio
    assert (portfolios.current(), counted.made) == (portfolio, 1)


def test_after_a_publish_the_one_before_answers_until_the_new_one_is_there(portfolio):
    counted = _Counted(portfolio)
    counted.let.set()
    portfolios = PortfolioCache(lambda: counted.of, counted.make)
    assert _awaited(portfolios.current()) is portfolio
    counted.let.clear()
    counted.of = "second"
    assert portfolios.current() is portfolio
    assert portfolios.current() is portfolio
    counted.let.set()
    assert counted.made == 2


def test_a_computation_that_failed_is_told_and_tried_again(portfolio):
    tries = iter([OSError("the store is gone"), portfolio])

    def make() -> Portfolio:
        one = next(tries)
        if isinstance(one, Exception):
            raise one
        return one

    portfolios = PortfolioCache(lambda: "of", make)
    with pytest.raises(OSError, match="gone"):
        _awaited(portfolios.current())
    assert _awaited(portfolios.current()) is portfolio
