"""How often an arrow of the risk or of usage is wrong, and how soon it shows a decline, on simulated accounts.

    python -m benchmarks.serving.trend [--ordinary 800] [--constant 300] [--planted 120]
        [--training 1200] [--seeds 11 12 13] [--json]

A model is trained on one simulated company and scores another one every week of a year, each week compared with the
one before, as the pages do. Accounts of constant hazard must show an arrow in at most 5 % of account-years, whichever
way it points, of the risk and of usage together. Of the accounts whose usage falls by 80 % on one day, 80 % must have
one within four weeks: the risk rising, or usage falling. With several seeds the accounts of all companies are pooled,
and the share of accounts of constant hazard with an arrow is printed for each company.

Beside that stands what one threshold for all risks could reach: it is chosen on the accounts of constant hazard
themselves, so that exactly 5 % of their years have an arrow.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.serving.trend_panel import (
    CONSTANT,
    ORDINARY,
    PLANTED,
    TRAINING_ACCOUNTS,
    TrendPanel,
    simulate_panel,
)
from features.rate_interval import wilson_bounds
from serving.accounts.trends.risk_trend import (
    FALSE_ARROWS_A_YEAR,
    TRENDS,
    RiskPair,
    find_refit_spread,
    judge_trends,
    to_log_odds,
)
from serving.accounts.trends.usage_trend import USAGE_TRENDS, judge_usage

WEEKS_TO_SHOW = 4
MIN_WEEKS = 50  # of an account-year
EITHER = "constant hazard: an arrow of risk or usage, against a week before"
WEEK = np.timedelta64(7, "D")


def main() -> None:
    """Simulate, train, score every week, and print how often arrows were wrong and how soon they came."""
    parser = argparse.ArgumentParser(description="False arrows and found declines on simulated accounts.")
    parser.add_argument("--ordinary", type=int, default=800)
    parser.add_argument("--constant", type=int, default=300)
    parser.add_argument("--planted", type=int, default=120)
    parser.add_argument("--training", type=int, default=TRAINING_ACCOUNTS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11])
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    companies = [_measure_company(chosen, seed) for seed in chosen.seeds]
    results = {name: _share(np.concatenate([company[name] for company in companies])) for name in companies[0]}
    for seed, company in zip(chosen.seeds, companies, strict=True):
        results[f"seed {seed}, {EITHER}"] = _share(company[EITHER])
    if chosen.json:
        print(json.dumps(results, indent=1))
        return
    table = Table("", "share", "95 % interval", "n")
    for name, result in results.items():
        table.add_row(
            name, f"{result['share']:.3f}", f"{result['low']:.3f} to {result['high']:.3f}", f"{result['n']:,}"
        )
    Console().print(table)


def _measure_company(chosen: argparse.Namespace, seed: int) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        panel = simulate_panel(
            Path(folder),
            ordinary=chosen.ordinary,
            constant=chosen.constant,
            planted=chosen.planted,
            training=chosen.training,
            seed=seed,
        )
    return measure(panel)


def measure(panel: TrendPanel) -> dict[str, np.ndarray]:
    """Whether each account had an arrow, by the name of what is measured."""
    constant, ordinary = (_whole_years(panel, kind) for kind in (CONSTANT, ORDINARY))
    usage = usage_trends(panel)
    falling = usage == USAGE_TRENDS.index("falling")
    usage_arrows = falling | (usage == USAGE_TRENDS.index("rising"))
    cases = {
        "constant hazard: account-years with an arrow of usage": usage_arrows[:, constant].any(axis=0),
        "ordinary accounts: the same": usage_arrows[:, ordinary].any(axis=0),
        "usage falls by 80 %: shown as falling in four weeks": _shown(panel, falling),
    }
    for weeks, before in ((1, "a week before"), (4, "four weeks before")):
        trends = weekly_trends(panel, weeks)
        rising = trends == TRENDS.index("rising")
        arrows = rising | (trends == TRENDS.index("falling"))
        either = arrows | usage_arrows
        cases |= {
            f"constant hazard: account-years with an arrow, against {before}": arrows[:, constant].any(axis=0),
            f"ordinary accounts: the same, against {before}": arrows[:, ordinary].any(axis=0),
            f"usage falls by 80 %: shown as rising in four weeks, against {before}": _shown(panel, rising),
            f"of those whose risk doubled, against {before}": _shown(panel, rising, doubled=True),
            f"with the best threshold, against {before}": _shown(panel, best_possible(panel, weeks)),
            f"constant hazard: an arrow of risk or usage, against {before}": either[:, constant].any(axis=0),
            f"usage falls by 80 %: an arrow of risk or usage, against {before}": _shown(panel, rising | falling),
        }
    return cases


def usage_trends(panel: TrendPanel) -> np.ndarray:
    """The trend of every account's usage from the second week on, as places in `USAGE_TRENDS`."""
    return np.array([judge_usage(change) for change in panel.usage[1:]])


def weekly_trends(panel: TrendPanel, weeks: int = 1) -> np.ndarray:
    """The trend of every account since so many weeks before, as places in `TRENDS`, shape (weeks - 1, accounts).

    A row is a week from the second one on; the first rows say "not known" if they have no week to compare with.
    """
    spread, compared = find_refit_spread(panel.bundle), zip(panel.risks, panel.risks[weeks:], strict=False)
    same = np.ones(panel.risks.shape[1], dtype=bool)
    trends = [judge_trends(RiskPair(now, before, same), spread) for before, now in compared]
    return np.array([np.full(len(same), TRENDS.index("not_known"))] * (weeks - 1) + trends)


def best_possible(panel: TrendPanel, weeks: int) -> np.ndarray:
    """Whether each risk rose since so many weeks before by more than the best threshold, shape (weeks - 1, accounts).

    The threshold is one that only the truth gives: of the accounts of constant hazard 5 % exceed it within a year.
    """
    log_odds = to_log_odds(panel.risks)
    changes = np.full_like(log_odds, np.nan)
    changes[weeks:] = log_odds[weeks:] - log_odds[:-weeks]
    largest = np.nanmax(np.abs(changes[:, _whole_years(panel, CONSTANT)]), axis=0)
    return changes[1:] > np.quantile(largest, 1 - FALSE_ARROWS_A_YEAR)


def _whole_years(panel: TrendPanel, kind: int) -> np.ndarray:
    """Whether each account is of a kind and has a risk in nearly every week."""
    return (panel.kinds == kind) & (np.isfinite(panel.risks).sum(axis=0) >= MIN_WEEKS)


def _shown(panel: TrendPanel, rising: np.ndarray, *, doubled: bool = False) -> np.ndarray:
    """Whether each planted decline was shown as rising in a week that ends up to four weeks after it began."""
    days = np.array(panel.days, dtype="datetime64[D]")
    shown: list[bool] = []
    for account in np.flatnonzero(panel.kinds == PLANTED):
        began = panel.planted_day[account]
        weeks = np.flatnonzero((days > began) & (days <= began + WEEKS_TO_SHOW * WEEK))
        before = weeks[0] - 1
        if not np.isfinite(panel.risks[[before, *weeks], account]).all():
            continue
        odds = to_log_odds(panel.risks[[before, weeks[-1]], account])
        if not doubled or odds[1] - odds[0] >= np.log(2):
            shown.append(bool(rising[weeks - 1, account].any()))
    return np.array(shown)


def _share(holds: np.ndarray) -> dict[str, float]:
    low, high = wilson_bounds(int(holds.sum()), len(holds))
    return {"share": float(holds.mean()) if len(holds) else float("nan"), "low": low, "high": high, "n": len(holds)}


if __name__ == "__main__":
    main()
