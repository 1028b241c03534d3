"""The renewal forecast: terms that end in each of the next four quarters, and the revenue that is expected to be kept.

Of an account whose risk reaches the end of the quarter, the risk says how likely it is to stay; of the others, the past
renewals of its segment do. What stays pays as much of its revenue as accounts that stayed did. Two things are
uncertain, and the interval carries both: which accounts leave, and the level at which accounts leave in that quarter,
which differs from quarter to quarter and is known from few past ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.retention.rates import RateInterval
from features.retention.renewal_rates import PastRenewals, RenewalRates, RenewalTerms, quarter_day, select_terms
from features.store.revenue_table import RevenueHistory

QUARTERS = 4
SAMPLES = 500
EXACT_ACCOUNTS = 200  # the largest are drawn one by one; the sum of the others is nearly normal
SEED = 20_260_701
LEVELS = 41  # at which the sum of the other accounts is computed; it is smooth between them
MIN_DUE = 20  # of fewer accounts, what one of them does decides


@dataclass(frozen=True)
class RenewalQuarter:
    """The terms that end in a quarter, with the revenue of their accounts at the origin, in hundredths.

    `from_risks` of the accounts are forecast by their risks, the others by `past_quarters` quarters of the past.
    `gross` and `net` are the shares of `due` that are expected; None if too little is known to say.
    """

    since: datetime
    until: datetime
    accounts: int
    due: int
    from_risks: int
    past_quarters: int
    gross: RateInterval | None
    net: RateInterval | None


@dataclass(frozen=True)
class RenewalCheck:
    """A forecast that was made of a past quarter, `quarters_ahead` before its end, with what was kept of `due`."""

    origin: datetime
    quarters_ahead: int
    forecast: RenewalQuarter
    gross: float
    net: float

    @property
    def covers_gross(self) -> bool:
        return _covers(self.forecast.gross, self.gross)

    @property
    def covers_net(self) -> bool:
        return _covers(self.forecast.net, self.net)


@dataclass(frozen=True)
class RenewalForecast:
    """The quarters to come, the accounts without a term that ends, with their revenue, and the checks of the past.

    `quarters` is empty if no account has a term whose end is known.
    """

    quarters: Sequence[RenewalQuarter]
    other_accounts: int
    other_revenue: int
    checks: Sequence[RenewalCheck]


def forecast_renewals(history: RevenueHistory, stays: np.ndarray) -> RenewalForecast:
    """The forecast of every quarter, and of every past quarter with what was known at its origin.

    `stays` has the shape (accounts, quarters): how likely each account is, by its risk, to pay at the end of each
    quarter; NaN if no risk reaches so far.
    """
    last = len(history.origins) - 1
    pays = history.due_cents[:, last] > 0 if last >= 0 else np.zeros(0, bool)
    is_due = pays & ~np.isnat(history.term_ends[:, last]) if last >= 0 else pays
    ahead = range(1, QUARTERS + 1)
    other = pays & ~is_due
    return RenewalForecast(
        quarters=[forecast_quarter(history, last, quarter, stays[:, quarter - 1]) for quarter in ahead if is_due.any()],
        other_accounts=int(other.sum()),
        other_revenue=int(history.due_cents[other, last].sum()),
        checks=[check for quarter in ahead for check in _check_past(history, quarter)],
    )


def forecast_quarter(history: RevenueHistory, origin: int, ahead: int, stays: np.ndarray) -> RenewalQuarter:
    """The forecast of the quarter that ends `ahead` quarters after an origin, from what was known there."""
    terms, past = select_terms(history, origin, ahead), PastRenewals.before(history, origin, ahead)
    reached, rates = stays[terms.rows], past.rates()
    has_risk = ~np.isnan(reached)
    gross = net = None
    if rates is not None and len(terms.rows) >= MIN_DUE:
        gross, net = _forecast(terms, np.where(has_risk, reached, rates.stay_of(terms.segments)), rates)
    return RenewalQuarter(
        since=quarter_day(history, origin + ahead - 1),
        until=quarter_day(history, origin + ahead),
        accounts=len(terms.rows),
        due=int(terms.due.sum()),
        from_risks=int(has_risk.sum()),
        past_quarters=len(past.quarters),
        gross=gross,
        net=net,
    )


def _check_past(history: RevenueHistory, ahead: int) -> Sequence[RenewalCheck]:
    """The forecasts of past quarters that said anything, oldest first."""
    without_risks = np.full(len(history.cents), np.nan)
    checks: list[RenewalCheck] = []
    for origin in range(len(history.origins) - ahead):
        forecast = forecast_quarter(history, origin, ahead, without_risks)
        if forecast.gross is not None:
            terms = select_terms(history, origin, ahead)
            due = float(terms.due.sum())
            gross, net = (float(amounts.sum()) / due for amounts in (terms.retained, terms.paid))
            checks.append(RenewalCheck(history.origins[origin], ahead, forecast, gross, net))
    return checks


def _forecast(terms: RenewalTerms, stays: np.ndarray, rates: RenewalRates) -> tuple[RateInterval, RateInterval]:
    """The shares of the due revenue that are kept, gross and net, with the percentiles of what could come."""
    total = float(terms.due.sum())
    shares = terms.due / total
    sampled = _sample(shares, stays, rates)
    expected = float(shares @ stays)
    bounds = np.quantile(sampled, (0.025, 0.975), axis=0)
    gross, net = (
        RateInterval(expected * float(rates.weights @ paid), *map(float, bounds[:, side]))
        for side, paid in enumerate((rates.retained, rates.paid))
    )
    return gross, net


def _sample(shares: np.ndarray, stays: np.ndarray, rates: RenewalRates) -> np.ndarray:
    """Draws of the shares that are kept, gross and net, of the shape (samples, 2)."""
    random = np.random.default_rng(SEED)
    order = np.argsort(-shares, kind="stable")
    largest, others = order[:EXACT_ACCOUNTS], order[EXACT_ACCOUNTS:]
    level = rates.level_sd * random.standard_t(rates.level_degrees, SAMPLES)
    has_stayed = random.random((SAMPLES, len(largest))) < shift_chances(stays[largest], level[:, None])
    factors = np.searchsorted(np.cumsum(rates.weights)[:-1], random.random(has_stayed.shape), side="right")
    chance = random.standard_normal(SAMPLES)
    sides = []
    for paid in (rates.retained, rates.paid):
        moments = float(rates.weights @ paid), float(rates.weights @ paid**2)
        mean, sd = _sum_of_others(shares[others], stays[others], moments, level)
        sides.append((has_stayed * paid[factors]) @ shares[largest] + mean + sd * chance)
    return np.column_stack([np.clip(sides[0], 0, 1), np.maximum(sides[1], 0)])


def _sum_of_others(
    shares: np.ndarray, stays: np.ndarray, moments: tuple[float, float], level: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the standard deviation of what the other accounts pay, at each level of the odds."""
    grid = np.linspace(level.min(), level.max(), LEVELS)
    shifted = [shift_chances(stays, shift) for shift in grid]
    first, second = moments
    means = [float(shares @ chances) * first for chances in shifted]
    variances = [float(shares**2 @ (chances * second - (chances * first) ** 2)) for chances in shifted]
    return np.interp(level, grid, means), np.sqrt(np.maximum(np.interp(level, grid, variances), 0))


def shift_chances(chances: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
    """Chances whose log-odds are all shifted; 0 and 1 stay.

    >>> shift_chances(np.array([0.5, 1.0]), np.log(3)).round(6).tolist()
    [0.75, 1.0]
    """
    odds = np.exp(log_odds)
    return chances * odds / (1 + chances * (odds - 1))


def _covers(interval: RateInterval | None, value: float) -> bool:
    if interval is None or interval.low is None or interval.high is None:
        return False
    return interval.low <= value <= interval.high
