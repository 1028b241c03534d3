"""What a key that is limited to an owner sees: a context that knows this owner's accounts and no others.

Lists, totals, percentiles and pages are made from such a context by the same code as for everybody, so that none of
them can count an account of another owner. An account belongs to the owner that the newest publication names.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import date, datetime

import numpy as np

from features.publishing.past_revenue import PastRevenueSource
from features.store.account_table import AccountTable
from features.store.revenue_table import RevenueHistory, read_revenue_table
from serving.accounts.account_columns import AccountColumns, current_columns
from serving.accounts.account_table_cache import AccountTableCache
from serving.accounts.newest_file import NewestFile
from serving.accounts.portfolio import Portfolio, PortfolioSource
from serving.accounts.portfolio_comparison import PortfolioComparison
from serving.handlers.checks import unknown_account
from serving.handlers.context import ServiceContext


def limit_to_owner(context: ServiceContext, owner: str) -> ServiceContext:
    """The context with the accounts of this owner only."""
    accounts, revenue = _OwnedAccounts(context.account_table, owner), _OwnedRevenue(context.revenue, owner)
    return replace(
        context,
        owner=owner,
        account_table=accounts,
        revenue=revenue,
        past_revenue=_OwnedPastRevenue(context.past_revenue, revenue),
        portfolios=_OwnedPortfolios(context.portfolios, accounts),
        columns=_OwnedColumns(context, accounts),
    )


def require_owned_accounts(context: ServiceContext, account_ids: Sequence[str]) -> None:
    """Raise RequestError (404) for an account that a limited context does not know, whether or not it exists."""
    if context.owner is None or not account_ids:
        return
    owned = context.account_table.details(list(dict.fromkeys(account_ids)))
    missing = [account_id for account_id in account_ids if account_id not in owned]
    if missing:
        raise unknown_account(missing[0])


class _OwnedAccounts(AccountTableCache):
    """The account table with the rows of an owner."""

    def __init__(self, tables: AccountTableCache, owner: str) -> None:
        super().__init__(tables.file)
        self._tables, self.owner = tables, owner

    def current(self) -> AccountTable:
        return self._tables.current().owned_by(self.owner)

    def ids(self) -> frozenset[str]:
        """The ids of the owner's accounts; none if nothing was published."""
        return frozenset(self.current().columns("account_id")["account_id"] if self.file.exists() else ())


class _OwnedRevenue(NewestFile[RevenueHistory]):
    """The revenue of an owner's accounts; of nobody if the data set has no owners."""

    def __init__(self, revenue: NewestFile[RevenueHistory], owner: str) -> None:
        super().__init__(revenue.file, read_revenue_table)
        self._revenue, self._owner = revenue, owner

    def current(self) -> RevenueHistory:
        history = self._revenue.current()
        return history.take(history.matching("owner", self._owner))


class _OwnedPastRevenue:
    """The revenue of a past day of the accounts that are an owner's now."""

    def __init__(self, everybody: PastRevenueSource, owned: _OwnedRevenue) -> None:
        self._everybody, self._owned = everybody, owned

    def read(self, day: datetime, version: str) -> RevenueHistory:
        history = self._everybody.read(day, version)
        owned = frozenset(self._owned.current().account_ids)
        return history.take(np.array([account_id in owned for account_id in history.account_ids], dtype=bool))


class _OwnedPortfolios:
    """The portfolio of an owner's accounts."""

    def __init__(self, portfolios: PortfolioSource, accounts: _OwnedAccounts) -> None:
        self._portfolios, self._accounts = portfolios, accounts

    def current(self) -> "Portfolio | Future[Portfolio]":
        current = self._portfolios.current()
        if isinstance(current, Portfolio):
            return self._limit(current)
        owned: Future[Portfolio] = Future()
        current.add_done_callback(lambda computed: self._resolve(owned, computed))
        return owned

    def _resolve(self, owned: "Future[Portfolio]", computed: "Future[Portfolio]") -> None:
        try:
            portfolio = self._limit(computed.result())
        except BaseException as error:  # whoever waits gets the error, also that of a future that was cancelled
            owned.set_exception(error)
        else:
            owned.set_result(portfolio)

    def _limit(self, portfolio: Portfolio) -> Portfolio:
        return portfolio.owned_by(self._accounts.owner, self._accounts.ids())


class _OwnedColumns:
    """The columns of an owner's accounts, on any day; they are not cached, because an owner has few."""

    def __init__(self, context: ServiceContext, accounts: _OwnedAccounts) -> None:
        self._columns, self._portfolios, self._accounts = context.columns, context.portfolios, accounts

    def current(self, portfolio: Portfolio, since: date) -> PortfolioComparison:
        columns, earlier, everyone = current_columns(portfolio), self.earlier(since), self._portfolios.current()
        if not isinstance(everyone, Portfolio):  # a trend is judged among all accounts
            return PortfolioComparison(columns, earlier)
        return self._columns.current(everyone, since).limit(columns, earlier)

    def served_by(self, day: date, since: date) -> PortfolioComparison:
        compared = self._columns.served_by(day, since)
        earlier = None if compared.earlier is None else self._limit(compared.earlier)
        return compared.limit(self._limit(compared.columns), earlier)

    def earlier(self, since: date) -> AccountColumns | None:
        columns = self._columns.earlier(since)
        return None if columns is None else self._limit(columns)

    def _limit(self, columns: AccountColumns) -> AccountColumns:
        return columns.owned_by(self._accounts.owner, self._accounts.ids())
