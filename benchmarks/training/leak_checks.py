"""How often the leak check of unchanging columns names an honest value, and how many planted leaks it names.

    python -m benchmarks.training.leak_checks [--companies 300]

A panel has 200 to 3,000 accounts over 12 to 36 months, with seasons, accounts that leave sooner than others, and a
sales campaign that ended and whose accounts left early. Planted: a status that is written, and a number that is
emptied, when an account leaves, in all of those that left or in 70 % of them.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product

import numpy as np
import pandas as pd

from features.rate_interval import wilson_bounds
from training.leakage.set_at_departure import AtRiskToday, SuspectValue, find_values_set_at_departure
from training.model.churn_model import ModelInput

BEGIN = datetime(2022, 1, 1)
HORIZON = 3  # months of 30 days
MONTHLY_ODDS = 0.02
SIZES = (200, 500, 1_000, 3_000)
MONTHS = (12, 18, 24, 36)
FRAILTY = (0.0, 0.7, 1.4)
LEAK_SHARES = (1.0, 0.7)
OPEN_CHANNELS = ("ads", "event", "partner", "referral", "sales")
CHANNELS = (*OPEN_CHANNELS, "campaign", "closed")


@dataclass(frozen=True)
class Design:
    """One company: its accounts, months, how much their risks differ, and the share of leavers that give it away."""

    accounts: int
    months: int
    frailty: float
    seed: int
    leak_share: float = 0.0


def main() -> None:
    """Count false alarms and planted leaks and print both with their intervals."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.leak_checks")
    parser.add_argument("--companies", type=int, default=300)
    companies = parser.parse_args().companies
    for share in (0.0, *LEAK_SHARES):
        named = sum(bool(_check(design)) for design in _designs(companies, share))
        low, high = wilson_bounds(named, companies)
        kind = f"planted in {share:.0%} of the accounts that left" if share else "honest"
        print(f"{kind}: named in {named} of {companies} companies, {named / companies:.1%} [{low:.1%}, {high:.1%}]")


def _designs(companies: int, share: float) -> Iterator[Design]:
    grid = list(product(SIZES, MONTHS, FRAILTY))
    return (Design(*grid[seed % len(grid)], seed=seed, leak_share=share) for seed in range(companies))


def _check(design: Design) -> tuple[SuspectValue, ...]:
    draw = np.random.default_rng(design.seed)
    joined = np.where(draw.random(design.accounts) < 0.6, draw.uniform(-24, 0, design.accounts), 0.0)
    joined = np.where(joined == 0, draw.uniform(0, design.months, design.accounts), joined)
    in_campaign = (joined > 2) & (joined < 6) & (draw.random(design.accounts) < 0.5)
    channel = np.where(
        in_campaign, "campaign", draw.choice(("ads", "event", "partner", "referral", "sales"), len(joined))
    )
    left = _leaving_months(design, joined, channel, draw)
    is_marked = (left < design.months) & (draw.random(design.accounts) < design.leak_share)
    columns = {
        "channel": np.where(is_marked, "closed", channel),
        "discount": np.where(is_marked, np.nan, draw.choice((0.0, 10.0, 20.0), design.accounts)),
    }
    rows = _snapshots(design, joined, left, columns)
    at_risk = np.flatnonzero((joined < design.months) & (left >= design.months))
    today = pd.DataFrame({name: column[at_risk] for name, column in columns.items()}, index=at_risk.astype(str))
    return find_values_set_at_departure(rows, INPUTS, AtRiskToday(today, _day(design.months), 30 * HORIZON))


def _leaving_months(design: Design, joined: np.ndarray, channel: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    effects = dict(zip(CHANNELS, draw.normal(0, 0.6, len(CHANNELS)), strict=True)) | {"campaign": 1.2}
    own = np.log(MONTHLY_ODDS) + np.array([effects[name] for name in channel])
    own += design.frailty * draw.normal(size=design.accounts)
    left = np.full(design.accounts, np.inf)
    for month in range(-24, design.months):
        hazard = 1 / (1 + np.exp(-own - 0.5 * np.sin(month * np.pi / 6)))
        leaves = (joined <= month) & np.isinf(left) & (draw.random(design.accounts) < hazard)
        left[leaves] = month + draw.random(leaves.sum())
    return left


def _snapshots(design: Design, joined: np.ndarray, left: np.ndarray, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    days: list[pd.DataFrame] = []
    for month in range(2, design.months - HORIZON):
        accounts = np.flatnonzero((joined < month) & (left > month))
        values = {name: column[accounts] for name, column in columns.items()}
        churned = (left[accounts] <= month + HORIZON) * 1.0
        days.append(
            pd.DataFrame({"account_id": accounts.astype(str), "as_of": _day(month), "churned": churned, **values})
        )
    return pd.concat(days, ignore_index=True)


def _day(month: int) -> datetime:
    return BEGIN + timedelta(days=30 * month)


def _input(name: str, kind: str, categories: tuple[str, ...] = ()) -> ModelInput:
    return ModelInput(name, "account", name, "", "", kind, actionable=False, categories=categories)


INPUTS = (_input("channel", "category", CHANNELS), _input("discount", "number"))

if __name__ == "__main__":
    main()
