"""Past renewals: how many accounts whose term ended stayed, by segment, what they paid, and how levels differed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.retention.periods import QUARTER_MONTHS, add_months
from features.store.revenue_table import INSTANT, RevenueHistory

MIN_QUARTERS, MIN_RENEWALS = 2, 20
PRIOR_ACCOUNTS = 20  # a segment's rate is pulled towards that of all accounts as strongly as so many of them would
PRIOR_SD, PRIOR_QUARTERS = 0.3, 4  # how far the log-odds of a quarter lie from the mean, before quarters say more
NO_SEGMENT = ""


@dataclass(frozen=True)
class RenewalTerms:
    """The accounts whose term ends in a quarter: what they paid at the origin, and at its end as far as it is known.

    `retained` is what they still paid without expansion, `paid` with it; both are 0 of those that left.
    """

    rows: np.ndarray
    segments: np.ndarray
    due: np.ndarray
    retained: np.ndarray
    paid: np.ndarray

    @property
    def stayed(self) -> np.ndarray:
        return self.paid > 0


@dataclass(frozen=True)
class RenewalRates:
    """How likely accounts of each segment are to stay, and what those that stayed paid of their revenue.

    `weights` are the shares of those that stayed in the revenue of all that did, so that a large account counts more.

    `level_sd` is how far the log-odds of all may be shifted in a quarter to come: it holds how levels differ between
    quarters and how well their mean is known; `level_degrees` are the degrees of freedom of its t distribution.
    """

    stay: float
    by_segment: dict[str, float]
    retained: np.ndarray
    paid: np.ndarray
    weights: np.ndarray
    level_sd: float
    level_degrees: float

    def stay_of(self, segments: np.ndarray) -> np.ndarray:
        """How likely an account of each segment is to stay; a new segment is like all accounts."""
        return np.array([self.by_segment.get(segment, self.stay) for segment in segments], dtype=float)


@dataclass(frozen=True)
class PastRenewals:
    """The terms of past quarters whose outcome was known at an origin, as far ahead as the quarter to forecast."""

    quarters: Sequence[RenewalTerms]

    @classmethod
    def before(cls, history: RevenueHistory, origin: int, ahead: int) -> "PastRenewals":
        """The quarters that had ended by an origin; those without a due term say nothing."""
        quarters = [select_terms(history, earlier, ahead) for earlier in range(origin - ahead + 1)]
        return cls([terms for terms in quarters if len(terms.rows)])

    def rates(self) -> RenewalRates | None:
        """The rates of these renewals; None if there are too few to say."""
        stayed, segments, due, retained, paid = self._outcomes()
        if len(self.quarters) < MIN_QUARTERS or len(stayed) < MIN_RENEWALS or not stayed.any():
            return None
        overall = float((stayed.sum() + 0.5) / (len(stayed) + 1))  # nobody or everybody is no certainty
        names, codes = np.unique(segments, return_inverse=True)
        counts, stays = np.bincount(codes), np.bincount(codes, stayed)
        rates = (stays + PRIOR_ACCOUNTS * overall) / (counts + PRIOR_ACCOUNTS)
        level_sd = self._level_sd(rates[codes], stayed)
        return RenewalRates(
            overall, dict(zip(names.tolist(), rates.tolist(), strict=True)), (retained / due)[stayed],
            (paid / due)[stayed], due[stayed] / due[stayed].sum(), level_sd, PRIOR_QUARTERS + len(self.quarters),
        )  # fmt: skip

    def _outcomes(self) -> tuple[np.ndarray, ...]:
        """Whether each account stayed, its segment, what was due, and what was kept and paid of it."""
        if not self.quarters:
            return np.zeros(0, bool), np.zeros(0, object), *np.zeros((3, 0))
        names = ("stayed", "segments", "due", "retained", "paid")
        stayed, segments, *amounts = (
            np.concatenate([getattr(terms, name) for terms in self.quarters]) for name in names
        )
        return stayed, segments.astype(str), *amounts

    def _level_sd(self, expected: np.ndarray, stayed: np.ndarray) -> float:
        """Of the shift of a quarter to come: the spread between quarters, and the error of their mean.

        The spread is that of DerSimonian & Laird (1986), shrunk towards a prior. A quarter's shift is its excess of
        accounts that stayed over the variance of that number, which is one over the shift's variance by chance alone.
        """
        quarter = np.repeat(np.arange(len(self.quarters)), [len(terms.rows) for terms in self.quarters])
        information = np.bincount(quarter, expected * (1 - expected))
        shifts, count = np.bincount(quarter, stayed - expected) / information, len(self.quarters)
        total = float(information.sum())
        beyond_chance = float((information * shifts**2).sum()) - (count - 1)
        variance = max(beyond_chance / (total - float((information**2).sum()) / total), 0.0)
        spread = (PRIOR_QUARTERS * PRIOR_SD**2 + count * variance) / (PRIOR_QUARTERS + count)
        return float(np.sqrt(spread * (1 + 1 / count) + 1 / total))


def quarter_day(history: RevenueHistory, origin: int) -> datetime:
    """The day of an origin, also of the quarters to come."""
    to_come = origin - len(history.origins) + 1
    return add_months(history.as_of, QUARTER_MONTHS * to_come) if to_come > 0 else history.origins[origin]


def select_terms(history: RevenueHistory, origin: int, ahead: int) -> RenewalTerms:
    """The terms known at an origin that end in the quarter that ends `ahead` quarters later.

    A quarter holds its last instant, not its first. What is paid at its end is 0 if that is still to come.
    """
    first, last = (np.datetime64(quarter_day(history, origin + quarters), "s") for quarters in (ahead - 1, ahead))
    ends, due = history.term_ends[:, origin].astype(INSTANT), history.due_cents[:, origin]
    rows = np.flatnonzero((ends > first) & (ends <= last) & (due > 0))
    paid = np.zeros(len(due), np.int64)
    if origin + ahead < len(history.origins):
        paid = history.cents[:, history.instants.index(history.origins[origin + ahead])]
    segments = history.attributes.get("segment", np.full(len(due), None, object))[rows]
    named = np.array([NO_SEGMENT if segment is None else segment for segment in segments], dtype=object)
    return RenewalTerms(rows, named, due[rows], np.minimum(due, paid)[rows], paid[rows])
