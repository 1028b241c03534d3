"""Set at departure: columns without a time of their own whose value was written when accounts left.

Such a column is read as of the end of the data on every past day, so its value tells who will have left by then. The
sign of it: accounts had the value on past days, and hardly any of them is at risk today, though at their own churn rate
many would be. For an honest value, also of accounts that leave often, the two agree: an account that was first seen k
horizons ago is still at risk with the chance (1 - rate) ** k, so the number at risk is Poisson binomial.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import poisson_binom

from features.rate_interval import wilson_bounds
from features.tables.contract import ACCOUNT_ID
from training.labels.definition import CHURNED
from training.model.churn_model import ModelInput, encode

MIN_ACCOUNTS = 10
# The nominal chance that a value of honest data is named, shared by all values. Over 300 honest panels of 200 to 3,000
# accounts, with seasons, cohorts and an ended campaign, none was (`benchmarks/training/leak_checks.py`).
FALSE_ALARM_CHANCE = 0.05
MAX_PACE = 1_000.0


@dataclass(frozen=True)
class AtRiskToday:
    """The accounts at risk on the newest published day, and how many days make a horizon."""

    account_ids: np.ndarray
    day: datetime
    horizon_days: int


@dataclass(frozen=True)
class SuspectValue:
    """A value that `accounts` had on past days: `at_risk` of them are at risk today, where `expected` would be.

    The `value` of a missing value is "".
    """

    signal: str
    value: str
    accounts: int
    at_risk: int
    expected: float


@dataclass(frozen=True)
class PastAccounts:
    """Per account, as arrays: its snapshots and how many of them churned, and whether it is at risk today.

    `horizons` have passed since it was first seen. A snapshot stands for `horizons_per_snapshot`.
    """

    snapshots: np.ndarray
    churned: np.ndarray
    horizons: np.ndarray
    is_at_risk: np.ndarray
    horizons_per_snapshot: float

    def subset(self, mask: np.ndarray) -> "PastAccounts":
        """Some of the accounts."""
        return replace(
            self,
            snapshots=self.snapshots[mask],
            churned=self.churned[mask],
            horizons=self.horizons[mask],
            is_at_risk=self.is_at_risk[mask],
        )


def find_values_set_at_departure(
    rows: pd.DataFrame, inputs: tuple[ModelInput, ...], today: AtRiskToday
) -> tuple[SuspectValue, ...]:
    """The values of unchanging columns that accounts seem to get when they leave, that of most accounts first.

    `rows` are past snapshots with labels. The churn rate of a value is taken at the upper end of its interval, so that
    honest values are rarely named; a value of fewer than 10 accounts is not tested.
    """
    ordered = rows.sort_values([ACCOUNT_ID, "as_of"], kind="stable")
    accounts = _summarize_accounts(ordered, today)
    groups = list(_groups_of_one_value(ordered, inputs))
    pace = _pace_of_departures(accounts)
    if pace is None or not groups:
        return ()
    suspects = (_test(accounts.subset(mask), signal, value, pace) for signal, value, mask in groups)
    limit = FALSE_ALARM_CHANCE / len(groups)
    named = [suspect for suspect, chance in suspects if chance < limit]
    return tuple(sorted(named, key=lambda suspect: -suspect.accounts))


def _summarize_accounts(ordered: pd.DataFrame, today: AtRiskToday) -> PastAccounts:
    by_account = ordered.groupby(ACCOUNT_ID, sort=False, observed=True)
    table = by_account.agg(snapshots=(CHURNED, "size"), churned=(CHURNED, "sum"), first_seen=("as_of", "min"))
    days = np.sort(ordered.as_of.unique())
    spacing = (days[-1] - days[0]) / np.timedelta64(1, "D") / max(len(days) - 1, 1) or today.horizon_days
    return PastAccounts(
        snapshots=table.snapshots.to_numpy(),
        churned=table.churned.to_numpy(),
        horizons=((today.day - table.first_seen) / pd.Timedelta(days=today.horizon_days)).to_numpy(),
        is_at_risk=table.index.isin(today.account_ids),
        horizons_per_snapshot=min(spacing / today.horizon_days, 1.0),
    )


def _groups_of_one_value(
    ordered: pd.DataFrame, inputs: tuple[ModelInput, ...]
) -> Iterator[tuple[ModelInput, float, np.ndarray]]:
    """Each unchanging signal with each value of enough accounts, NaN for missing, and which accounts have it."""
    account_codes = pd.factorize(ordered[ACCOUNT_ID])[0]
    begins = np.flatnonzero(np.diff(account_codes, prepend=-1))
    for signal in inputs:
        values = encode(ordered[[signal.name]], (signal,))[:, 0]
        first = values[begins]
        if not np.array_equal(first[account_codes], values, equal_nan=True):
            continue
        distinct, group, counts = np.unique(first, return_inverse=True, return_counts=True)
        for index in np.flatnonzero((counts >= MIN_ACCOUNTS) & (counts < len(first))):
            yield signal, float(distinct[index]), group == index


def _pace_of_departures(accounts: PastAccounts) -> float | None:
    """By how much faster all accounts leave than at their churn rate on past days; None if all have left, or none."""
    rate, at_risk = _churn_rate(accounts), int(accounts.is_at_risk.sum())
    if not 0 < rate < 1 or not 0 < at_risk < len(accounts.horizons):
        return None

    def excess(pace: float) -> float:
        return float(((1 - rate) ** (pace * accounts.horizons)).sum() - at_risk)

    return float(brentq(excess, 0.0, MAX_PACE)) if excess(MAX_PACE) < 0 else None


def _churn_rate(accounts: PastAccounts) -> float:
    return float(accounts.churned.sum() / accounts.snapshots.sum())


def _test(accounts: PastAccounts, signal: ModelInput, value: float, pace: float) -> tuple[SuspectValue, float]:
    """The value, and the chance that no more of its accounts are at risk today if it is honest."""
    exposure = accounts.snapshots.sum() * accounts.horizons_per_snapshot
    highest_rate = wilson_bounds(_churn_rate(accounts) * exposure, exposure)[1]
    stays = (1 - highest_rate) ** (pace * accounts.horizons)
    at_risk = int(accounts.is_at_risk.sum())
    chance = float(poisson_binom.cdf(at_risk, stays))
    text = "" if np.isnan(value) else signal.categories[int(value)] if signal.categories else f"{value:g}"
    return SuspectValue(signal.name, text, len(stays), at_risk, float(stays.sum())), chance
