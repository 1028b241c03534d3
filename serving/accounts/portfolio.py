"""The portfolio: every account's risk of one publication and model version, as arrays to filter, sort and page.

It is computed once per publication and version, in chunks, by one thread of the process. Until it is there, the
previous one answers.
"""

import base64
import binascii
import json
import threading
from collections.abc import Callable, Collection, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import Protocol

import numpy as np

from configs.errors import RequestError
from configs.sections.bands import BANDS, BandSettings
from features.store.account_table import AccountTable
from serving.explanations.peer_percentiles import PeerPercentiles, compute_peers, sample_rows
from serving.schemas.enums import Sort
from serving.schemas.requests import AccountsQuery

ROWS_PER_CHUNK = 1_000
SORTS_LAST = np.inf
ScoreMatrix = Callable[[list[str]], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class PortfolioKey:
    """What a portfolio is of: a publication and a version, with its horizons, the main one's column, and its inputs.

    `families` are those of the version, in the order of its columns; `currency` is that of all amounts, if declared.
    """

    publication: str
    version: int
    as_of: datetime
    horizons: tuple[int, ...]
    main_column: int
    signal_names: tuple[str, ...]
    families: tuple[str, ...] = ()
    currency: str | None = None


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories as codes; -1 for missing."""

    categories: tuple[str, ...]
    codes: np.ndarray

    def equals(self, category: str) -> np.ndarray:
        code = self.categories.index(category) if category in self.categories else len(self.categories)
        return self.codes == code

    def value(self, row: int) -> str | None:
        """The category of a row."""
        code = int(self.codes[row])
        return None if code < 0 else self.categories[code]

    def take(self, rows: np.ndarray) -> "CategoryColumn":
        """The column of these rows."""
        return CategoryColumn(self.categories, self.codes[rows])

    def restrict(self, rows: np.ndarray) -> "CategoryColumn":
        """The column of these rows, without the categories that none of them has."""
        return encode_categories([self.value(int(row)) for row in rows])


@dataclass(frozen=True)
class Portfolio:
    """Every account at risk, by its row in the account table; `risks` has the shape (accounts, horizons).

    `families` are those that raise each risk most; `family_points` are the points of all of the version's families
    within the main horizon, of the shape (accounts, families).
    """

    key: PortfolioKey
    account_ids: np.ndarray
    names: np.ndarray
    risks: np.ndarray
    mrr: np.ndarray
    renewal_times: np.ndarray
    owners: CategoryColumn
    segments: CategoryColumn
    families: CategoryColumn
    family_points: np.ndarray
    bands: np.ndarray
    peers: PeerPercentiles

    @property
    def main_risks(self) -> np.ndarray:
        return self.risks[:, self.key.main_column]

    @cached_property
    def revenue_at_risk(self) -> np.ndarray:
        return self.main_risks * self.mrr

    def owned_by(self, owner: str, account_ids: Collection[str]) -> "Portfolio":
        """The accounts of an owner that are still among these.

        The peers of their signals stay those of the segment, without their number.
        """
        rows = owned_rows(self.owners, self.account_ids, owner, account_ids)
        arrays = ("account_ids", "names", "risks", "mrr", "renewal_times", "family_points", "bands")
        return replace(
            self,
            **{name: getattr(self, name)[rows] for name in arrays},
            owners=self.owners.restrict(rows),
            segments=self.segments.restrict(rows),
            families=self.families.take(rows),
            peers=replace(self.peers, counts=np.zeros_like(self.peers.counts)),
        )

    def percentile(self, segment: str | None, risk: float) -> float | None:
        """The percentage of a segment's accounts with a lower risk, ties counted half; None if there are none."""
        peers = self._peer_risks(segment)
        if not len(peers):
            return None
        return float(((peers < risk).sum() + (peers == risk).sum() / 2) / len(peers) * 100)

    def count_peers(self, segment: str | None) -> int:
        """How many accounts of a segment have a risk; all accounts if it is None."""
        return len(self._peer_risks(segment))

    def matching_rows(self, query: AccountsQuery) -> np.ndarray:
        """The rows that match the filters, in the order of the query."""
        rows = self._sorted_rows(query.sort)
        return rows[self._matches(query)[rows]]

    def sort_keys(self, sort: Sort) -> np.ndarray:
        """The values to sort by, smallest first; missing values come last."""
        columns = {"risk": -self.main_risks, "revenue_at_risk": -self.revenue_at_risk, "renewal": self.renewal_times}
        return np.where(np.isnan(columns[sort]), SORTS_LAST, columns[sort])

    def _peer_risks(self, segment: str | None) -> np.ndarray:
        peers = self.main_risks[self.segments.equals(segment)] if segment else self.main_risks
        return peers[~np.isnan(peers)]

    @cached_property
    def _orders(self) -> dict[str, np.ndarray]:
        return {}

    def _sorted_rows(self, sort: Sort) -> np.ndarray:
        if sort not in self._orders:
            self._orders[sort] = np.lexsort((np.arange(len(self.mrr)), self.sort_keys(sort)))
        return self._orders[sort]

    def _matches(self, query: AccountsQuery) -> np.ndarray:
        matches = ~np.isnan(self.main_risks)
        if query.segment is not None:
            matches &= self.segments.equals(query.segment)
        if query.owner is not None:
            matches &= self.owners.equals(query.owner)
        if query.band is not None:
            matches &= self.bands == BANDS.index(query.band)
        if query.renews_from is not None:
            matches &= self.renewal_times >= epoch_seconds(query.renews_from)
        if query.renews_until is not None:
            matches &= self.renewal_times < epoch_seconds(query.renews_until)
        return matches


def portfolio_page(portfolio: Portfolio, query: AccountsQuery) -> tuple[np.ndarray, int, str | None]:
    """The rows of a page, the number of accounts that match, and the cursor of the next page.

    A cursor holds the sort key of the last account on the page, so it stays valid across a publish. Raises RequestError
    for an invalid cursor.
    """
    matching, keys = portfolio.matching_rows(query), portfolio.sort_keys(query.sort)
    rows = matching
    if query.cursor is not None:
        key, row = decode_cursor(query.cursor, query.sort)
        rows = matching[(keys[matching] > key) | ((keys[matching] == key) & (matching > row))]
    page = rows[: query.limit]
    if len(rows) == len(page):
        return page, len(matching), None
    return page, len(matching), encode_cursor(float(keys[page[-1]]), int(page[-1]), query.sort)


def compute_portfolio(
    key: PortfolioKey, table: AccountTable, score_matrix_for: ScoreMatrix, bands: BandSettings
) -> Portfolio:
    """The portfolio of every account in the account table; `score_matrix_for` reads and scores a chunk of them.

    It returns their risks within every horizon, NaN if there is none, the matrix of the model's inputs, and the column
    of the family that raises each risk most, -1 if none does, and the points of every family.
    """
    columns = table.columns("account_id", "name", "mrr", "renews_at", "owner", "segment")
    ids, segments = columns["account_id"], columns["segment"]
    sampled = sample_rows(segments)
    risks = np.full((len(ids), len(key.horizons)), np.nan)
    sample = np.full((len(sampled), len(key.signal_names)), np.nan)
    leading = np.full(len(ids), -1, dtype=np.int32)
    points = np.full((len(ids), len(key.families)), np.nan)
    for start in range(0, len(ids), ROWS_PER_CHUNK):
        chunk_risks, matrix, chunk_leading, chunk_points = score_matrix_for(ids[start : start + ROWS_PER_CHUNK])
        risks[start : start + len(chunk_risks)] = chunk_risks
        leading[start : start + len(chunk_risks)] = chunk_leading
        points[start : start + len(chunk_risks)] = chunk_points
        in_chunk = (sampled >= start) & (sampled < start + ROWS_PER_CHUNK)
        sample[in_chunk] = matrix[sampled[in_chunk] - start]
    return Portfolio(
        key=key,
        account_ids=np.array(ids, dtype=object),
        names=np.array(columns["name"], dtype=object),
        risks=risks,
        mrr=np.array([np.nan if mrr is None else mrr for mrr in columns["mrr"]], dtype=float),
        renewal_times=np.array([_parse_epoch_seconds(text) for text in columns["renews_at"]], dtype=float),
        owners=encode_categories(columns["owner"]),
        segments=encode_categories(segments),
        families=CategoryColumn(key.families, leading),
        family_points=points,
        bands=np.searchsorted(bands.thresholds, risks[:, key.main_column], side="right"),
        peers=compute_peers(sample, key.signal_names, [segments[row] for row in sampled]),
    )


class PortfolioSource(Protocol):
    """Where requests get the portfolio from: that of everybody, or that of an owner."""

    def current(self) -> "Portfolio | Future[Portfolio]":
        """The newest portfolio, or if there is none yet, the one that is being computed."""
        ...


class PortfolioCache:
    """The portfolio of this process. One thread computes it while the previous one answers."""

    def __init__(self, current_key: Callable[[], Hashable], compute: Callable[[], Portfolio]) -> None:
        """`current_key` says what the portfolio should be of now; `compute` computes it."""
        self._current_key, self._compute = current_key, compute
        self._cached: tuple[Hashable, Portfolio] | None = None
        self._pending: Future[Portfolio] | None = None
        self._lock = threading.Lock()

    def current(self) -> "Portfolio | Future[Portfolio]":
        """The newest portfolio, or if there is none yet, the one that is being computed."""
        key = self._current_key()
        with self._lock:
            if self._pending is None and (self._cached is None or self._cached[0] != key):
                self._pending = Future()
                threading.Thread(target=self._run, args=(key, self._pending), name="portfolio", daemon=True).start()
            if self._cached is not None:
                return self._cached[1]
            assert self._pending is not None
            return self._pending

    def _run(self, key: Hashable, pending: "Future[Portfolio]") -> None:
        try:
            portfolio = self._compute()
        except BaseException as error:  # whoever waits gets the error; the next request tries again
            with self._lock:
                self._pending = None
            pending.set_exception(error)
        else:
            with self._lock:
                self._cached, self._pending = (key, portfolio), None
            pending.set_result(portfolio)


def encode_cursor(key: float, row: int, sort: str) -> str:
    """A cursor for the rows after this one, in an order by `key`."""
    return base64.urlsafe_b64encode(json.dumps([key, row, sort]).encode()).decode()


def decode_cursor(text: str, sort: str) -> tuple[float, int]:
    """The key and the row in a cursor; raises RequestError if it is invalid or of another order."""
    hint = "Request the first page, without a cursor."
    try:
        key, row, cursor_sort = json.loads(base64.urlsafe_b64decode(text.encode()))
        position = float(key), int(row)
    except (binascii.Error, ValueError, TypeError, UnicodeError):
        raise RequestError("The cursor is not valid.", hint, code="cursor", status=422) from None
    if cursor_sort != sort:
        message = f"The cursor is of a list sorted by {cursor_sort}, not by {sort}."
        raise RequestError(message, hint, code="cursor", status=422)
    return position


def encode_categories(values: Sequence[str | None]) -> CategoryColumn:
    """The values as codes; the categories are sorted."""
    categories = sorted({value for value in values if value is not None})
    codes = {category: code for code, category in enumerate(categories)}
    return CategoryColumn(
        tuple(categories), np.array([-1 if value is None else codes[value] for value in values], dtype=np.int32)
    )


def owned_rows(owners: CategoryColumn, account_ids: np.ndarray, owner: str, still_owned: Collection[str]) -> np.ndarray:
    """The rows of an owner's accounts, without those that a newer account table gives to another or does not know."""
    rows = np.flatnonzero(owners.equals(owner))
    return rows[np.array([account_id in still_owned for account_id in account_ids[rows]], dtype=bool)]


def _parse_epoch_seconds(text: str | None) -> float:
    return np.nan if text is None else epoch_seconds(datetime.fromisoformat(text))


def epoch_seconds(day: date) -> float:
    """An instant, or the midnight at which a day begins, as seconds since 1970."""
    instant = day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)
    return (instant - datetime(1970, 1, 1)).total_seconds()
