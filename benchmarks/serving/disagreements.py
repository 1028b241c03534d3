"""Whether the disagreement board finds accounts that look fine and are leaving, beside sorting by risk.

    python -m benchmarks.serving.disagreements [--green 16] [--draws 40] [--seeds 11 12 13] [--json]

Each company is that of `benchmarks.serving.trend`. Of the accounts whose usage fell by 80 % at least four weeks ago, 16
look fine: they answered an NPS survey with 9 or 10, and the owner of half of them called the risk wrong. Of all other
accounts, two in five owners gave a judgement, which agrees with the risk in four of five cases; their surveys are those
of the simulator. The share of the planted accounts within the first 20 rows of the board is printed beside that within
the first 20 by risk, as means over the draws, and over all companies with a 95 % interval for as many accounts as were
ever planted. Accounts of declines that do not look fine are left out.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.serving.trend_panel import PLANTED, TrendPanel, simulate_panel
from configs.sections.bands import BandSettings
from features.rate_interval import wilson_bounds
from serving.accounts.disagreement import SIGNALS, find_disagreements, find_evidence, rate_appearances
from serving.scoring.scores import band_thresholds

ROWS = 20
ON_BOARD, BY_RISK = f"share within the first {ROWS} rows of the board", f"share within the first {ROWS} rows by risk"
DECLINING_WEEKS = 4
JUDGED_SHARE, AGREEING_SHARE, OWNERS_OF_GREEN = 0.4, 0.8, 0.5


def main() -> None:
    """Simulate, plant, and print the two shares."""
    parser = argparse.ArgumentParser(description="Planted green-but-leaving accounts in the first rows.")
    parser.add_argument("--green", type=int, default=16)
    parser.add_argument("--draws", type=int, default=40, help="how often accounts and judgements are drawn")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    companies = [_measure_company(seed, chosen.green, chosen.draws) for seed in chosen.seeds]
    results = {f"seed {seed}": company for seed, company in zip(chosen.seeds, companies, strict=True)}
    results["all"] = pool_companies(companies)
    if chosen.json:
        print(json.dumps(results, indent=1))
        return
    for company, result in results.items():
        print(company, *(f"  {name}: {value:.2f}" for name, value in result.items()), sep="\n")


def _measure_company(seed: int, green: int, draws: int) -> dict[str, float]:
    """The means of the draws of one company."""
    with tempfile.TemporaryDirectory() as folder:
        panel = simulate_panel(Path(folder), ordinary=800, constant=300, planted=120, seed=seed)
    drawn = [measure(panel, green, draw) for draw in range(draws)]
    means = {name: float(np.mean([draw[name] for draw in drawn])) for name in drawn[0]}
    return {"accounts that could be planted": float(len(find_candidates(panel))), **means}


def pool_companies(companies: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The shares of all companies, with Wilson intervals for as many accounts as could be planted."""
    count = int(sum(company["accounts that could be planted"] for company in companies))
    pooled: dict[str, float] = {"accounts that could be planted": count}
    for name in (ON_BOARD, BY_RISK):
        share = float(np.mean([company[name] for company in companies]))
        low, high = wilson_bounds(round(share * count), count)
        pooled |= {name: share, f"{name}, from": low, f"{name}, to": high}
    return pooled


def find_candidates(panel: TrendPanel) -> np.ndarray:
    """The accounts whose usage fell at least four weeks ago and that are still there."""
    began_early = panel.planted_day <= np.datetime64(panel.days[-1], "D") - np.timedelta64(7 * DECLINING_WEEKS, "D")
    return np.flatnonzero((panel.kinds == PLANTED) & began_early & np.isfinite(panel.risks[-1]))


def measure(panel: TrendPanel, green: int, seed: int) -> dict[str, float]:
    """The share of planted accounts within the first rows of the board, and by risk."""
    generator = np.random.default_rng(seed)
    risks, candidates = panel.risks[-1], find_candidates(panel)
    planted = generator.choice(candidates, min(green, len(candidates)), replace=False)
    accounts = np.concatenate([planted, np.flatnonzero((panel.kinds != PLANTED) & np.isfinite(risks))])
    is_green = np.arange(len(accounts)) < len(planted)
    risks, signals = risks[accounts], panel.last_signals.iloc[accounts]
    values = {name: signals[name].to_numpy(dtype=float).copy() for name in SIGNALS}
    values["last_nps"][is_green] = generator.integers(9, 11, len(planted))
    values["last_nps_age"][is_green] = generator.integers(5, 90, len(planted))
    appearances = rate_appearances(values, _judge(is_green, generator), ~is_green & (risks < np.median(risks))).total
    is_low = risks < band_thresholds(panel.bundle, BandSettings()).watch
    disagreements = find_disagreements(find_evidence(risks, values), appearances, is_low=is_low)
    return {
        "planted accounts": float(len(planted)),
        "all accounts": float(len(accounts)),
        ON_BOARD: _share_first(disagreements, is_green),
        BY_RISK: _share_first(risks, is_green),
    }


def _judge(is_green: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    agrees = generator.random(len(is_green)) < AGREEING_SHARE
    verdicts = np.where(agrees, "right", "wrong").astype(object)
    verdicts[is_green] = "wrong"
    judged = generator.random(len(is_green)) < np.where(is_green, OWNERS_OF_GREEN, JUDGED_SHARE)
    verdicts[~judged] = None
    return verdicts


def _share_first(values: np.ndarray, is_planted: np.ndarray) -> float:
    """The share of the planted accounts in the first rows; an account at 0 is in none."""
    first = np.argsort(-values, kind="stable")[:ROWS]
    return float((is_planted & (values > 0))[first].sum() / is_planted.sum())


if __name__ == "__main__":
    main()
