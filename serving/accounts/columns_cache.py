"""Keeps the columns of the newest portfolio and of a few past days, so that a page costs no pass over all accounts."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import date
from typing import Protocol, TypeVar

from configs.errors import NotReady, RequestError
from serving.accounts.account_columns import AccountColumns, current_columns, past_columns
from serving.accounts.account_table_cache import AccountTableCache
from serving.accounts.portfolio import Portfolio
from serving.accounts.portfolio_comparison import PortfolioComparison, compare_accounts
from serving.accounts.trends.risk_trend import ModelDoubt
from serving.accounts.trends.usage_trend import UsageChange
from serving.ledger.ledger import Ledger

MAX_ENTRIES = 8
MAX_AGE_SECONDS = 300.0  # an erasure in another process has to take effect here too
Entry = TypeVar("Entry")
FindDoubt = Callable[[int], ModelDoubt]
FindUsage = Callable[[AccountColumns], UsageChange]


class ColumnsSource(Protocol):
    """Where pages get columns from: those of everybody, or those of an owner."""

    def current(self, portfolio: Portfolio, since: date) -> PortfolioComparison:
        """The accounts of the portfolio, beside those of an earlier day."""
        ...

    def served_by(self, day: date, since: date) -> PortfolioComparison:
        """The accounts as they were served by the end of a day, beside those of an earlier day."""
        ...

    def earlier(self, since: date) -> AccountColumns | None:
        """The accounts as they were served by the end of an earlier day; None if nothing had been served."""
        ...


class ColumnsCache:
    """The columns of this process; what is asked for first is computed by its request."""

    def __init__(
        self, ledger: Ledger, tables: AccountTableCache, *, find_doubt: FindDoubt, find_usage: FindUsage
    ) -> None:
        """`find_doubt` says what a model version does not know, `find_usage` how usage changed by the columns' day."""
        self._ledger, self._tables = ledger, tables
        self._find_doubt, self._find_usage = find_doubt, find_usage
        self._entries: OrderedDict[Hashable, tuple[float, object]] = OrderedDict()
        self._lock = threading.Lock()

    def current(self, portfolio: Portfolio, since: date) -> PortfolioComparison:
        """The accounts of the portfolio, beside those of an earlier day."""
        key = ("current", portfolio.key)
        return self._compare(key, lambda: current_columns(portfolio), since)

    def served_by(self, day: date, since: date) -> PortfolioComparison:
        """The accounts as they were served by the end of a day, beside those of an earlier day.

        Raises RequestError (404) if nothing had been served.
        """
        return self._compare(("day", day), lambda: self._past(day), since)

    def earlier(self, since: date) -> AccountColumns | None:
        """The accounts as they were served by the end of an earlier day; None if nothing had been served."""
        with self._lock:
            return self._get(("since", since), self._earlier(since))

    def _compare(self, key: Hashable, load: Callable[[], AccountColumns], since: date) -> PortfolioComparison:
        def compare() -> PortfolioComparison:
            columns, earlier = self._get(key, load), self._get(("since", since), self._earlier(since))
            usage = self._get(("usage", key), lambda: self._find_usage(columns))  # the same for every earlier day
            return compare_accounts(columns, earlier, doubt=self._find_doubt(columns.version), usage=usage)

        with self._lock:
            return self._get((key, since), compare)

    def _earlier(self, since: date) -> Callable[[], AccountColumns | None]:
        def load() -> AccountColumns | None:
            try:
                return self._past(since)
            except RequestError:
                return None

        return load

    def _past(self, day: date) -> AccountColumns:
        try:
            table = self._tables.current()
        except NotReady:
            table = None
        return past_columns(self._ledger, day, table)

    def _get(self, key: Hashable, load: Callable[[], Entry]) -> Entry:
        now, key = time.monotonic(), (self._tables.written_at(), key)  # names, owners and segments are of its table
        at, entry = self._entries.get(key, (float("-inf"), None))
        if now - at > MAX_AGE_SECONDS:
            entry = load()
            self._entries[key] = now, entry
            while len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)
        return entry  # type: ignore[return-value] - what is stored under a key has the type of its loader
