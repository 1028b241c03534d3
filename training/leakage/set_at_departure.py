"""Set at departure: values that were written, and rows that were deleted, when accounts left.

A column without a time of its own is read as of the end of the data on every past day, so its value tells who will have
left by then. The sign of it: accounts had the value on past days, and hardly any of them is at risk today, though at
their own churn rate many would be. For an honest value, also of accounts that leave often, the two agree: an account
that was first seen k horizons ago is still at risk with the chance (1 - rate) ** k, so the number at risk is Poisson
binomial.

A source that deletes or overwrites the rows of an account that left does the same to signals that change: they are
missing or 0 on all past days. That has three signs, and a value is named if it has all of them:

- it vanishes: far fewer accounts have it today, since those that will leave are not marked yet;
- its churn rate rises: on early days the value is that of all who will have left by today, on the newest day with
  labels that of those who leave within the horizon;
- its accounts are gone: fewer of those that had it on early days are at risk today than of the others.

These signs are looked for in unchanging columns, too. A value that accounts have shortly before they leave is as common
and as telling today as on early days. One that is missing because the data began has no other accounts on early days.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import chain

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import binomtest, fisher_exact, poisson_binom

from features.rate_interval import wilson_bounds
from features.tables.contract import ACCOUNT_ID
from training.labels.definition import CHURNED
from training.model.churn_model import ModelInput, encode

MIN_ACCOUNTS = 10
# The nominal chance that a value of honest data is named, shared by all values: half for unchanging columns whose
# accounts are gone, half for values that vanish. `leak_checks.py` and `leak_companies.py` in `benchmarks/training`
# measure how often one really is.
FALSE_ALARM_CHANCE = 0.05
EMPTY_VALUES = (float("nan"), 0.0)  # what signals are without rows
VANISHED_SHARE, RISEN_RATE = 0.5, 2.0  # of the early share, and of the early churn rate
CHANCE_OF_SIGN = 0.01  # of the second and of the third sign, which are tested where the first one holds
MAX_PACE = 1_000.0
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class AtRiskToday:
    """The signals of the accounts at risk on the newest published day, by account, and how many days make a horizon."""

    signals: pd.DataFrame
    day: datetime
    horizon_days: int


@dataclass(frozen=True)
class SuspectValue:
    """A value that `accounts` had on past days: `at_risk` of them are at risk today, where `expected` would be.

    The `value` of a missing value is "". `changes` says whether the signal changes over time. `shares` are those of the
    accounts with the value on early days and today, if it vanished.
    """

    signal: str
    value: str
    accounts: int
    at_risk: int
    expected: float
    changes: bool = False
    shares: tuple[float, float] | None = None


@dataclass(frozen=True)
class PastAccounts:
    """Per account, as arrays: its snapshots and how many of them churned, and whether it is at risk today.

    `horizons` have passed since the first of them. A snapshot stands for `horizons_per_snapshot`.
    """

    snapshots: np.ndarray
    churned: np.ndarray
    horizons: np.ndarray
    is_at_risk: np.ndarray
    horizons_per_snapshot: float


@dataclass(frozen=True)
class OrderedSnapshots:
    """Past snapshots in the order of their accounts: the code of each one's account, its label and day.

    `is_at_risk` says of each account whether it is at risk today.
    """

    codes: np.ndarray
    churned: np.ndarray
    days: np.ndarray
    is_at_risk: np.ndarray
    today: AtRiskToday

    @cached_property
    def is_early(self) -> np.ndarray:
        """Whether each snapshot is of the first half of the days."""
        days = np.unique(self.days)
        return self.days <= days[(len(days) - 1) // 2]

    @cached_property
    def is_newest(self) -> np.ndarray:
        """Whether each snapshot is of the last day."""
        return self.days == self.days.max()

    def accounts(self, mask: np.ndarray) -> PastAccounts:
        """The accounts of some of the snapshots."""
        present, begins, snapshots = np.unique(self.codes[mask], return_index=True, return_counts=True)
        first_seen = self.days[mask][begins].astype("datetime64[D]").astype(float)  # days since 1970
        return PastAccounts(
            snapshots,
            np.add.reduceat(self.churned[mask], begins),
            (pd.Timestamp(self.today.day).timestamp() / DAY_SECONDS - first_seen) / self.today.horizon_days,
            self.is_at_risk[present],
            self._horizons_per_snapshot(),
        )

    def _horizons_per_snapshot(self) -> float:
        days = np.unique(self.days)
        spacing = (days[-1] - days[0]) / np.timedelta64(1, "D") / max(len(days) - 1, 1) or self.today.horizon_days
        return min(float(spacing) / self.today.horizon_days, 1.0)


@dataclass(frozen=True)
class TestedValue:
    """A value of a signal, which past snapshots had it, and whether the signal changes over time."""

    signal: ModelInput
    value: float
    mask: np.ndarray
    changes: bool


def find_values_set_at_departure(
    rows: pd.DataFrame, inputs: tuple[ModelInput, ...], today: AtRiskToday
) -> tuple[SuspectValue, ...]:
    """The values that accounts seem to get when they leave: of unchanging columns first, that of most accounts first.

    `rows` are past snapshots with labels. The churn rate of a value is taken at the upper end of its interval, so that
    honest values are rarely named; a value of fewer than 10 accounts is not tested.
    """
    ordered = rows.sort_values([ACCOUNT_ID, "as_of"], kind="stable")
    codes, account_ids = pd.factorize(ordered[ACCOUNT_ID])
    is_at_risk = np.isin(account_ids.astype(str), today.signals.index.astype(str))
    past = OrderedSnapshots(codes, ordered[CHURNED].to_numpy(), ordered.as_of.to_numpy(), is_at_risk, today)
    pace = _pace_of_departures(past.accounts(np.ones(len(codes), dtype=bool)))
    if pace is None:
        return ()
    constant, changing = _split_by_change(ordered, inputs, codes)
    values = list(_values_of_accounts(ordered, constant, codes))
    tested = [_test(past, value, pace) for value in values]
    suspects = [suspect for suspect, chance in tested if chance < FALSE_ALARM_CHANCE / 2 / len(values)]
    limit = FALSE_ALARM_CHANCE / 2 / max(len(values) + len(EMPTY_VALUES) * len(changing), 1)
    for value in chain(values, _empty_values(ordered, changing, past)):
        shares = _find_vanished_shares(value, past, limit)
        if shares and _rises(value, past) and _are_gone(value, past):
            suspects.append(replace(_test(past, value, pace)[0], shares=shares))
    by_value = {(suspect.signal, suspect.value): suspect for suspect in suspects}
    return tuple(sorted(by_value.values(), key=lambda suspect: (suspect.changes, -suspect.accounts)))


def _find_vanished_shares(value: TestedValue, past: OrderedSnapshots, limit: float) -> tuple[float, float] | None:
    """The shares of accounts with the value on early days and today, if far fewer have it today; else None."""
    is_value_today = _is_value(_encode(past.today.signals, value.signal), value.value)
    early, today = float(value.mask[past.is_early].mean()), float(is_value_today.mean())
    chance = float(binomtest(int(is_value_today.sum()), len(is_value_today), early, alternative="less").pvalue)
    return (early, today) if today <= VANISHED_SHARE * early and chance < limit else None


def _rises(value: TestedValue, past: OrderedSnapshots) -> bool:
    """Whether the churn rate of the newest day is far above that of early days.

    The early rate is that of all snapshots, and is as certain as one of as many accounts: theirs are not independent.
    """
    early, newest = value.mask & past.is_early, past.churned[value.mask & past.is_newest]
    if not early.any() or not len(newest):
        return False
    rate, accounts = float(past.churned[early].mean()), len(np.unique(past.codes[early]))
    has_risen = newest.mean() >= RISEN_RATE * rate
    return has_risen and _chance_of_more((newest.sum(), len(newest)), (rate * accounts, accounts)) < CHANCE_OF_SIGN


def _are_gone(value: TestedValue, past: OrderedSnapshots) -> bool:
    """Whether fewer of the accounts with the value on early days are still at risk than of the others."""
    codes = np.unique(past.codes[value.mask & past.is_early])
    others = np.setdiff1d(past.codes[past.is_early], codes)
    at_risk, at_risk_of_others = (float(past.is_at_risk[group].sum()) for group in (codes, others))
    return _chance_of_more((at_risk_of_others, len(others)), (at_risk, len(codes))) < CHANCE_OF_SIGN


def _split_by_change(
    ordered: pd.DataFrame, inputs: tuple[ModelInput, ...], codes: np.ndarray
) -> tuple[list[ModelInput], list[ModelInput]]:
    """The signals that are the same on all days of each account, and the others."""
    begins = np.flatnonzero(np.diff(codes, prepend=-1))
    constant: list[ModelInput] = []
    for signal in inputs:
        values = _encode(ordered, signal)
        if np.array_equal(values[begins][codes], values, equal_nan=True):
            constant.append(signal)
    return constant, [signal for signal in inputs if signal not in constant]


def _values_of_accounts(
    ordered: pd.DataFrame, constant: Sequence[ModelInput], codes: np.ndarray
) -> Iterator[TestedValue]:
    """Each value, NaN for missing, that enough accounts have, and not all."""
    begins = np.flatnonzero(np.diff(codes, prepend=-1))
    for signal in constant:
        first = _encode(ordered, signal)[begins]
        distinct, group, counts = np.unique(first, return_inverse=True, return_counts=True)
        for index in np.flatnonzero((counts >= MIN_ACCOUNTS) & (counts < len(first))):
            yield TestedValue(signal, float(distinct[index]), (group == index)[codes], changes=False)


def _empty_values(
    ordered: pd.DataFrame, changing: Sequence[ModelInput], past: OrderedSnapshots
) -> Iterator[TestedValue]:
    """Missing and 0, where enough accounts had it on past days, and not all."""
    for signal in changing:
        values = _encode(ordered, signal)
        for empty in EMPTY_VALUES[: 1 if signal.categories else None]:
            mask = _is_value(values, empty)
            if not mask.all() and np.count_nonzero(np.diff(past.codes[mask])) >= MIN_ACCOUNTS - 1:
                yield TestedValue(signal, empty, mask, changes=True)


def _chance_of_more(more: tuple[float, int], fewer: tuple[float, int]) -> float:
    """The chance of as large a share of the first accounts if both shares are equal, by Fisher's exact test."""
    table = np.array([[round(count), total - round(count)] for count, total in (more, fewer)])
    return float(fisher_exact(table, alternative="greater").pvalue)


def _encode(rows: pd.DataFrame, signal: ModelInput) -> np.ndarray:
    return encode(rows[[signal.name]], (signal,))[:, 0]


def _is_value(values: np.ndarray, value: float) -> np.ndarray:
    return np.isnan(values) if np.isnan(value) else values == value


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


def _test(past: OrderedSnapshots, tested: TestedValue, pace: float) -> tuple[SuspectValue, float]:
    """The value, and the chance that no more of its accounts are at risk today if it is honest."""
    accounts, signal, value = past.accounts(tested.mask), tested.signal, tested.value
    exposure = accounts.snapshots.sum() * accounts.horizons_per_snapshot
    highest_rate = wilson_bounds(_churn_rate(accounts) * exposure, exposure)[1]
    stays = (1 - highest_rate) ** (pace * accounts.horizons)
    at_risk = int(accounts.is_at_risk.sum())
    chance = float(poisson_binom.cdf(at_risk, stays))
    text = "" if np.isnan(value) else signal.categories[int(value)] if signal.categories else f"{value:g}"
    suspect = SuspectValue(signal.name, text, len(stays), at_risk, float(stays.sum()), changes=tested.changes)
    return suspect, chance
