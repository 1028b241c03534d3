"""Accounts beside an earlier day: who carries half of the revenue at risk, who is new there, and how totals moved."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from configs.sections.bands import BANDS
from serving.accounts.account_columns import AccountColumns
from serving.accounts.portfolio import decode_cursor, encode_cursor, epoch_seconds
from serving.accounts.trends.risk_trend import TRENDS, ModelDoubt, RiskPair, judge_trends
from serving.accounts.trends.usage_trend import USAGE_TRENDS, UsageChange, judge_usage
from serving.schemas.enums import Trend, UsageTrend
from serving.schemas.page_queries import PortfolioQuery, PortfolioSort

Z_95 = 1.96


class PortfolioTotals(NamedTuple):
    """Sums over accounts; `mrr` and `revenue_at_risk` are None if no account's revenue is known.

    `churn_low` and `churn_high` bound the number that will leave, in 95 % of cases: by chance, and with the doubt about
    the level of churn if the model knows it (`has_level_doubt`).
    """

    accounts: int
    mrr: float | None
    revenue_at_risk: float | None
    expected_churn: float
    churn_low: float
    churn_high: float
    has_level_doubt: bool


class SelectedPage(NamedTuple):
    """The rows on a page, how many match in all, and the cursor of the next page."""

    rows: np.ndarray
    total: int
    next_cursor: str | None


@dataclass(frozen=True)
class PortfolioComparison:
    """The accounts of a day, and those of an earlier day if one was served.

    `trends` has each account's place in `TRENDS`; None without an earlier day. `usage_trends` has that in
    `USAGE_TRENDS`. They are judged among all accounts, also if only some are in here; None until all are known.
    `level_sd` is the doubt about the level of churn, in log-odds, if the model knows it.
    """

    columns: AccountColumns
    earlier: AccountColumns | None
    trends: np.ndarray | None = None
    level_sd: float | None = None
    usage_trends: np.ndarray | None = None
    _orders: dict[tuple[str, bool], np.ndarray] = field(default_factory=dict[tuple[str, bool], np.ndarray], repr=False)

    @cached_property
    def earlier_risks(self) -> np.ndarray:
        """The earlier risk of each account; NaN if it had none."""
        if self.earlier is None:
            return np.full(len(self.columns), np.nan)
        return np.append(self.earlier.risks, np.nan)[_rows_in(self.earlier, self.columns)]

    def trend_of(self, account_id: str) -> Trend | None:
        """The trend of an account; None without an earlier day, or if it has no risk."""
        row = self.columns.row_of.get(account_id)
        return None if row is None or self.trends is None else TRENDS[self.trends[row]]

    def usage_trend_of(self, account_id: str) -> UsageTrend | None:
        """The trend of an account's usage; None if it has no risk, or until all accounts are known."""
        row = self.columns.row_of.get(account_id)
        return None if row is None or self.usage_trends is None else USAGE_TRENDS[self.usage_trends[row]]

    def limit(self, columns: AccountColumns, earlier: AccountColumns | None) -> "PortfolioComparison":
        """The comparison of some of its accounts, with the trends that they have among all."""
        rows = _rows_in(self.columns, columns)
        trends = None if self.trends is None else np.append(self.trends, TRENDS.index("not_known"))[rows]
        usage = self.usage_trends
        usage = None if usage is None else np.append(usage, USAGE_TRENDS.index("not_known"))[rows]
        return PortfolioComparison(columns, earlier, trends, self.level_sd, usage)

    @property
    def is_same_currency(self) -> bool:
        """Whether the amounts of both days can be compared; one that is not declared is taken for the other."""
        codes = {self.columns.currency, self.earlier and self.earlier.currency}
        return len(codes - {None}) < 2

    @property
    def changes(self) -> np.ndarray:
        """The change of each risk since the earlier day; NaN if it had none."""
        return self.columns.risks - self.earlier_risks

    def filter_rows(self, query: PortfolioQuery) -> np.ndarray:
        """Whether each account passes the filters, without `show`."""
        return _matches(self.columns, query) & _matches_now(self.columns, query)

    def shown_rows(self, query: PortfolioQuery, matches: np.ndarray) -> np.ndarray:
        """Whether each account is shown, of those that pass the filters."""
        if query.show == "all":
            return matches
        shown = np.zeros(len(matches), dtype=bool)
        shown[rows_of_half(self.columns, matches) if query.show == "half" else self.new_rows(query, matches)] = True
        return shown

    def new_rows(self, query: PortfolioQuery, matches: np.ndarray) -> np.ndarray:
        """Those of the accounts that carry half that did not on the earlier day; none if there is no earlier day."""
        if self.earlier is None:
            return np.empty(0, dtype=int)
        before = frozenset(self.earlier.account_ids[rows_of_half(self.earlier, _matches(self.earlier, query))])
        rows = rows_of_half(self.columns, matches)
        return rows[[account_id not in before for account_id in self.columns.account_ids[rows]]]

    def earlier_totals(self, query: PortfolioQuery) -> PortfolioTotals | None:
        """The totals of the earlier day under the same filters; None if it does not know one of them."""
        if self.earlier is None or query.has_current_only_filter:
            return None
        totals = sum_accounts(self.earlier, _matches(self.earlier, query), self.level_sd)
        # Amounts in another currency cannot be compared.
        return totals if self.is_same_currency else totals._replace(mrr=None, revenue_at_risk=None)

    def page(self, query: PortfolioQuery, shown: np.ndarray) -> SelectedPage:
        """The page that the query asks for; raises RequestError for a cursor of another order."""
        order, keys = self._ordered(query), self._sort_keys(query.sort, query.is_descending)
        rows = matching = order[shown[order]]
        cursor_sort = f"{query.sort} {'desc' if query.is_descending else 'asc'}"
        if query.cursor is not None:
            key, row = decode_cursor(query.cursor, cursor_sort)
            rows = matching[(keys[matching] > key) | ((keys[matching] == key) & (matching > row))]
        page = rows[: query.limit]
        is_last = len(page) == len(rows)
        cursor = None if is_last else encode_cursor(float(keys[page[-1]]), int(page[-1]), cursor_sort)
        return SelectedPage(page, len(matching), cursor)

    def _ordered(self, query: PortfolioQuery) -> np.ndarray:
        key = query.sort, query.is_descending
        if key not in self._orders:
            self._orders[key] = np.argsort(self._sort_keys(*key), kind="stable")
        return self._orders[key]

    def _sort_keys(self, sort: PortfolioSort, is_descending: bool) -> np.ndarray:
        """The values to sort by, smallest first; missing values come last in both directions."""
        values = self._values(sort)
        return np.where(np.isnan(values), np.inf, -values if is_descending else values)

    def _values(self, sort: PortfolioSort) -> np.ndarray:
        columns = self.columns
        if sort in ("owner", "segment", "family"):
            column = {"owner": columns.owners, "segment": columns.segments, "family": columns.families}[sort]
            ranks = np.append(np.argsort(np.argsort(column.categories)).astype(float), np.nan)
            return ranks[column.codes]
        values = {
            "revenue_at_risk": columns.revenue_at_risk,
            "risk": columns.risks,
            "change": self.changes,
            "mrr": columns.mrr,
            "renewal": columns.renewal_times,
            "name": columns.name_ranks,
        }
        return values[sort]


def compare_accounts(
    columns: AccountColumns, earlier: AccountColumns | None, *, doubt: ModelDoubt, usage: UsageChange
) -> PortfolioComparison:
    """All accounts of a day beside those of an earlier day, with their trends; `doubt` is that of their model."""
    compared = PortfolioComparison(columns, earlier, level_sd=doubt.level_sd, usage_trends=judge_usage(usage))
    if earlier is None:
        return compared
    versions = np.append(earlier.versions, -1)[_rows_in(earlier, columns)]
    pair = RiskPair(columns.risks, compared.earlier_risks, versions == columns.versions)
    return replace(compared, trends=judge_trends(pair, doubt.refits))


def _rows_in(others: AccountColumns, columns: AccountColumns) -> np.ndarray:
    """The row that each account has among others; -1 if it has none."""
    return np.array([others.row_of.get(account_id, -1) for account_id in columns.account_ids], dtype=int)


def rows_of_half(columns: AccountColumns, matches: np.ndarray) -> np.ndarray:
    """The fewest of these accounts that carry half of their revenue at risk, the most revenue first."""
    rows = np.flatnonzero(matches & (columns.revenue_at_risk > 0))
    rows = rows[np.argsort(-columns.revenue_at_risk[rows], kind="stable")]
    carried = np.cumsum(columns.revenue_at_risk[rows])
    return rows[: int(np.searchsorted(carried, carried[-1] / 2)) + 1] if len(rows) else rows


def sum_accounts(columns: AccountColumns, matches: np.ndarray, level_sd: float | None) -> PortfolioTotals:
    """The totals of these accounts; a move of the level moves the log-odds of all of them."""
    risks, mrr = columns.risks[matches], columns.mrr[matches]
    is_known = bool(np.isfinite(mrr).any())
    low, high = bound_churn(risks, level_sd or 0.0)
    return PortfolioTotals(
        accounts=len(risks),
        mrr=float(np.nansum(mrr)) if is_known else None,
        revenue_at_risk=float(np.nansum(columns.revenue_at_risk[matches])) if is_known else None,
        expected_churn=float(risks.sum()),
        churn_low=low,
        churn_high=high,
        has_level_doubt=level_sd is not None,
    )


def bound_churn(risks: np.ndarray, level_sd: float) -> tuple[float, float]:
    """The number of accounts that will leave, in 95 % of cases.

    Two variances add up: that of independent chance, and that of a level (log-odds) which moves all risks together.

    >>> low, high = bound_churn(np.full(100, 0.5), 0.4)
    >>> round(low, 1), round(high, 1)
    (28.1, 71.9)
    """
    expected, by_chance = float(risks.sum()), float((risks * (1 - risks)).sum())
    spread = Z_95 * float(np.hypot(np.sqrt(by_chance), level_sd * by_chance))
    return max(expected - spread, 0.0), min(expected + spread, float(len(risks)))


def _matches(columns: AccountColumns, query: PortfolioQuery) -> np.ndarray:
    """The filters that hold for every day."""
    matches = np.ones(len(columns), dtype=bool)
    if query.segment is not None:
        matches &= columns.segments.equals(query.segment)
    if query.owner is not None:
        matches &= columns.owners.equals(query.owner)
    if query.q is not None:
        matches &= columns.matching_text(query.q)
    return matches


def _matches_now(columns: AccountColumns, query: PortfolioQuery) -> np.ndarray:
    """The filters that hold for the day itself."""
    matches = np.ones(len(columns), dtype=bool)
    if query.band is not None:
        matches &= columns.bands == BANDS.index(query.band)
    if query.family is not None:
        matches &= columns.families.equals(query.family)
    if query.renews_from is not None:
        matches &= columns.renewal_times >= epoch_seconds(query.renews_from)
    if query.renews_until is not None:
        matches &= columns.renewal_times < epoch_seconds(query.renews_until)
    return matches
