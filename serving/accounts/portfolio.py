"""The portfolio: every account's risk of one publication and model version as small arrays to filter, sort and page.

Computed once per publication and version, in chunks, by one thread of the process whoever asks; until it is there the
one before goes on answering. Names stay on disk in the facts table: a page looks up its own rows only.
"""

import base64
import binascii
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

import numpy as np

from configs.bands import BANDS
from configs.errors import RequestError
from configs.settings import BandSettings
from features.store.account_table import FactsTable
from serving.explanations.peer_percentiles import PeerPercentiles, compute_peers, sample_rows
from serving.schemas.enums import Sort
from serving.schemas.requests import AccountsQuery

ROWS_A_CHUNK = 1_000
Survey = Callable[[list[str]], tuple[np.ndarray, np.ndarray]]
SORTS_LAST = np.inf  # where what is not known stands in any order


@dataclass(frozen=True)
class PortfolioKey:
    """What a portfolio is of: the publication, the version, its horizons, the main one's column, its inputs."""

    publication: str
    version: int
    as_of: datetime
    horizons: tuple[int, ...]
    main_column: int
    signal_names: tuple[str, ...]


@dataclass(frozen=True)
class CategoryColumn:
    """A column of words as codes; -1 for none."""

    categories: tuple[str, ...]
    codes: np.ndarray

    def equals(self, word: str) -> np.ndarray:
        code = self.categories.index(word) if word in self.categories else len(self.categories)
        return self.codes == code


@dataclass(frozen=True)
class Portfolio:
    """Every account at risk, by its place in the facts table; `risks` has the shape (accounts, horizons)."""

    key: PortfolioKey
    risks: np.ndarray
    mrr: np.ndarray
    renewal_times: np.ndarray
    owners: CategoryColumn
    segments: CategoryColumn
    bands: np.ndarray
    peers: PeerPercentiles

    @property
    def main_risks(self) -> np.ndarray:
        return self.risks[:, self.key.main_column]

    @cached_property
    def revenue_at_risk(self) -> np.ndarray:
        return self.main_risks * self.mrr

    def percentile(self, segment: str | None, risk: float) -> float | None:
        """How many of a hundred accounts of a segment have a lower risk, equals counted half; None without any."""
        peers = self.main_risks[self.segments.equals(segment)] if segment else self.main_risks
        peers = peers[~np.isnan(peers)]
        if not len(peers):
            return None
        return float(((peers < risk).sum() + (peers == risk).sum() / 2) / len(peers) * 100)

    def matching_rows(self, asked: AccountsQuery) -> np.ndarray:
        """The places of the accounts that fit the filters, in the order asked for."""
        ordered = self._ordered(asked.sort)
        return ordered[self._fits(asked)[ordered]]

    def sort_keys(self, sort: Sort) -> np.ndarray:
        """What accounts are ordered by, the smallest first; what is not known comes last."""
        values = {"risk": -self.main_risks, "at_risk": -self.revenue_at_risk, "renewal": self.renewal_times}[sort]
        return np.where(np.isnan(values), SORTS_LAST, values)

    @cached_property
    def _orders(self) -> dict[str, np.ndarray]:
        return {}

    def _ordered(self, sort: Sort) -> np.ndarray:
        if sort not in self._orders:
            self._orders[sort] = np.lexsort((np.arange(len(self.mrr)), self.sort_keys(sort)))
        return self._orders[sort]

    def _fits(self, asked: AccountsQuery) -> np.ndarray:
        fits = ~np.isnan(self.main_risks)
        if asked.segment is not None:
            fits &= self.segments.equals(asked.segment)
        if asked.owner is not None:
            fits &= self.owners.equals(asked.owner)
        if asked.band is not None:
            fits &= self.bands == BANDS.index(asked.band)
        if asked.renews_from is not None:
            fits &= self.renewal_times >= _seconds(asked.renews_from)
        if asked.renews_until is not None:
            fits &= self.renewal_times < _seconds(asked.renews_until)
        return fits


def portfolio_page(portfolio: Portfolio, asked: AccountsQuery) -> tuple[np.ndarray, int, str | None]:
    """The places on the page asked for, how many accounts fit the filters, and the cursor of the next page.

    A cursor names the last account of the page before by what it was ordered by, so that it holds across a publish.
    Raises RequestError for one that is none of ours.
    """
    places, keys = portfolio.matching_rows(asked), portfolio.sort_keys(asked.sort)
    rest = places
    if asked.cursor is not None:
        key, place = decode_cursor(asked.cursor, asked.sort)
        rest = places[(keys[places] > key) | ((keys[places] == key) & (places > place))]
    shown = rest[: asked.limit]
    more = len(rest) > len(shown)
    return shown, len(places), encode_cursor(float(keys[shown[-1]]), int(shown[-1]), asked.sort) if more else None


def compute_portfolio(of: PortfolioKey, facts: FactsTable, survey: Survey, cuts: BandSettings) -> Portfolio:
    """The portfolio of every account that has facts; `survey` reads and scores a chunk of them.

    It gives their risks within every horizon, NaN where there is none, and the model's matrix they came from.
    """
    known = facts.columns("account_id", "mrr", "renews_at", "owner", "segment")
    ids, segments = known["account_id"], known["segment"]
    chosen = sample_rows(segments)
    risks = np.full((len(ids), len(of.horizons)), np.nan)
    sample = np.full((len(chosen), len(of.signal_names)), np.nan)
    for start in range(0, len(ids), ROWS_A_CHUNK):
        found, matrix = survey(ids[start : start + ROWS_A_CHUNK])
        risks[start : start + len(found)] = found
        within = (chosen >= start) & (chosen < start + ROWS_A_CHUNK)
        sample[within] = matrix[chosen[within] - start]
    return Portfolio(
        key=of,
        risks=risks,
        mrr=np.array([np.nan if one is None else one for one in known["mrr"]], dtype=float),
        renewal_times=np.array([_stamp(one) for one in known["renews_at"]], dtype=float),
        owners=_column(known["owner"]),
        segments=_column(segments),
        bands=np.searchsorted([cuts.watch, cuts.high, cuts.critical], risks[:, of.main_column], side="right"),
        peers=compute_peers(sample, of.signal_names, [segments[place] for place in chosen]),
    )


class PortfolioCache:
    """The portfolio of this process: computed by one thread at a time, the one before answering meanwhile."""

    def __init__(self, wanted: Callable[[], Any], make: Callable[[], Portfolio]) -> None:
        """`wanted` says of what the portfolio should be now, as something that can be compared; `make` computes it."""
        self._wanted, self._make = wanted, make
        self._there: tuple[Any, Portfolio] | None = None
        self._coming: Future[Portfolio] | None = None
        self._lock = threading.Lock()

    def current(self) -> "Portfolio | Future[Portfolio]":
        """The newest portfolio there is, or the one that is being computed where there is none yet."""
        wanted = self._wanted()
        with self._lock:
            if self._coming is None and (self._there is None or self._there[0] != wanted):
                self._coming = Future()
                threading.Thread(target=self._run, args=(wanted, self._coming), name="portfolio", daemon=True).start()
            if self._there is not None:
                return self._there[1]
            assert self._coming is not None
            return self._coming

    def _run(self, wanted: Any, coming: "Future[Portfolio]") -> None:
        try:
            made = self._make()
        except BaseException as problem:  # whoever waits is told; the next request tries again
            with self._lock:
                self._coming = None
            coming.set_exception(problem)
        else:
            with self._lock:
                self._there, self._coming = (wanted, made), None
            coming.set_result(made)


def _column(words: Sequence[str | None]) -> CategoryColumn:
    distinct = sorted({one for one in words if one is not None})
    code = {word: place for place, word in enumerate(distinct)}
    return CategoryColumn(
        tuple(distinct), np.array([-1 if one is None else code[one] for one in words], dtype=np.int32)
    )


def _stamp(text: str | None) -> float:
    return np.nan if text is None else (datetime.fromisoformat(text) - datetime(1970, 1, 1)).total_seconds()


def _seconds(day: date) -> float:
    return (datetime(day.year, day.month, day.day) - datetime(1970, 1, 1)).total_seconds()


def encode_cursor(key: float, place: int, sort: Sort) -> str:
    """Where a page ended: at this place of an order, which is by this key."""
    return base64.urlsafe_b64encode(json.dumps([key, place, sort]).encode()).decode()


def decode_cursor(text: str, sort: Sort) -> tuple[float, int]:
    """The key and place in a cursor; raises RequestError for one that is none of ours or of another order."""
    try:
        key, place, of = json.loads(base64.urlsafe_b64decode(text.encode()))
        found = float(key), int(place)
    except (binascii.Error, ValueError, TypeError, UnicodeError):
        raise RequestError("The cursor is none of ours.", "Begin without one.", code="cursor", status=422) from None
    if of != sort:
        message = f"The cursor is of a list sorted by {of}, not by {sort}."
        raise RequestError(message, "Begin without one.", code="cursor", status=422)
    return found
