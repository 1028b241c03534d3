"""Whether the disagreement board finds accounts that look fine and are leaving, beside sorting by risk.

    python -m benchmarks.serving.disagreements [--green 16] [--draws 40] [--seed 11] [--json]

The company is that of `benchmarks.serving.trend`. Of the accounts whose usage fell by 80 % at least four weeks ago, 16
look fine: they answered an NPS survey with 9 or 10, and the owner of half of them called the risk wrong. Of all other
accounts, two in five owners gave a judgement, which agrees with the risk in four of five cases; their surveys are those
of the simulator. The share of the planted accounts within the first 20 rows of the board is printed beside that within
the first 20 by risk, as means over the draws. Accounts of declines that do not look fine are left out.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.serving.trend_panel import PLANTED, TrendPanel, simulate_panel
from serving.accounts.disagreement import SIGNALS, find_disagreements, rate_appearances

ROWS = 20
DECLINING_WEEKS = 4
JUDGED_SHARE, AGREEING_SHARE, OWNERS_OF_GREEN = 0.4, 0.8, 0.5


def main() -> None:
    """Simulate, plant, and print the two shares."""
    parser = argparse.ArgumentParser(description="Planted green-but-leaving accounts in the first rows.")
    parser.add_argument("--green", type=int, default=16)
    parser.add_argument("--draws", type=int, default=40, help="how often accounts and judgements are drawn")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        panel = simulate_panel(Path(folder), ordinary=800, constant=300, planted=120, seed=chosen.seed)
    draws = [measure(panel, chosen.green, draw) for draw in range(chosen.draws)]
    result = {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}
    if chosen.json:
        print(json.dumps(result, indent=1))
        return
    for name, value in result.items():
        print(f"{name}: {value:.2f}")


def measure(panel: TrendPanel, green: int, seed: int) -> dict[str, float]:
    """The share of planted accounts within the first rows of the board, and by risk."""
    generator = np.random.default_rng(seed)
    risks, days = panel.risks[-1], np.array(panel.days, dtype="datetime64[D]")
    began_early = panel.planted_day <= days[-1] - np.timedelta64(7 * DECLINING_WEEKS, "D")
    candidates = np.flatnonzero((panel.kinds == PLANTED) & began_early & np.isfinite(risks))
    planted = generator.choice(candidates, min(green, len(candidates)), replace=False)
    accounts = np.concatenate([planted, np.flatnonzero((panel.kinds != PLANTED) & np.isfinite(risks))])
    is_green = np.arange(len(accounts)) < len(planted)
    risks, signals = risks[accounts], panel.last_signals.iloc[accounts]
    values = {name: signals[name].to_numpy(dtype=float).copy() for name in SIGNALS}
    values["last_nps"][is_green] = generator.integers(9, 11, len(planted))
    values["last_nps_age"][is_green] = generator.integers(5, 90, len(planted))
    appearances = rate_appearances(values, _judge(is_green, generator), ~is_green & (risks < np.median(risks))).total
    disagreements = find_disagreements(risks, appearances)
    return {
        "planted accounts": float(len(planted)),
        "all accounts": float(len(accounts)),
        f"share within the first {ROWS} rows of the board": _share_first(disagreements, is_green),
        f"share within the first {ROWS} rows by risk": _share_first(risks, is_green),
    }


def _judge(is_green: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    agrees = generator.random(len(is_green)) < AGREEING_SHARE
    verdicts = np.where(agrees, "right", "wrong").astype(object)
    verdicts[is_green] = "wrong"
    judged = generator.random(len(is_green)) < np.where(is_green, OWNERS_OF_GREEN, JUDGED_SHARE)
    verdicts[~judged] = None
    return verdicts


def _share_first(values: np.ndarray, is_planted: np.ndarray) -> float:
    return float(is_planted[np.argsort(-values, kind="stable")[:ROWS]].sum() / is_planted.sum())


if __name__ == "__main__":
    main()
