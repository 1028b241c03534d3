"""How good the risks are: Oarlock against its rivals, on the same snapshots and origins, each figure with its interval.

    python -m benchmarks.accuracy crm5 online_retail ravenstack --data FOLDER
    python -m benchmarks.accuracy simulated --accounts 10000 --seed 2 --steps
    python -m benchmarks.accuracy --data FOLDER --json          # everything

FOLDER holds a folder per outside data set. `--keep` names a folder in which histories are used again. Training seconds
are those of all origins, tuning included; CPU seconds bear comparison on a machine that does other things too.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.datasets import MONTHS, OUTSIDE, SIMULATED, Ground, Progress, outside, simulated
from benchmarks.accuracy.models import RIVALS
from benchmarks.accuracy.oracle import (
    CEILING,
    Reached,
    held_out,
    of_shown,
    reached,
    read_truth,
    steps,
    truth_of,
    with_truth,
)
from benchmarks.accuracy.runner import LOW_IS_GOOD, METRICS, OARLOCK, Contest, Standing, beyond_noise, hold, standings
from features.simulator.model.parameters import Company
from training.evaluation.backtest import rows_on
from training.evaluation.scorecard import Interval
from training.labels.definition import CHURNED
from training.model.fit import build_inputs

WIDTH = 190  # in a file no figure is cut off


@dataclass(frozen=True)
class DatasetResult:
    """What one ground showed: standings over all origins and on the newest, and how near the limit everyone came."""

    contest: Contest
    pooled: list[Standing]
    newest: list[Standing]
    limit: dict[str, Reached]


def main() -> None:
    """Hold a contest on each ground that is asked for, and print it."""
    arguments = _parse_arguments()
    console = Console(stderr=True)
    for result in _contests(arguments, lambda step: console.print(step, style="dim")):
        if arguments.json:
            print(json.dumps(_document(result)))
        else:
            _show(result)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("grounds", nargs="*", metavar="GROUND", help=f"{', '.join((*OUTSIDE, SIMULATED))}; all of them")
    parser.add_argument("--data", type=Path, help="folder of the outside data sets")
    parser.add_argument("--keep", type=Path, help="folder for histories that are used again")
    parser.add_argument("--rivals", nargs="*", choices=list(RIVALS), default=list(RIVALS), metavar="RIVAL")
    parser.add_argument("--accounts", type=int, default=10_000, help="of the simulated company")
    parser.add_argument("--seed", type=int, default=2, help="of the simulated company")
    parser.add_argument("--steps", action="store_true", help="say where the rest of the limit is lost")
    parser.add_argument("--json", action="store_true", help="one document a line for each ground")
    arguments = parser.parse_args()
    arguments.grounds = arguments.grounds or [*OUTSIDE, SIMULATED]
    unknown = set(arguments.grounds) - {*OUTSIDE, SIMULATED}
    if unknown:
        parser.error(f"no ground is called {', '.join(sorted(unknown))}")
    if set(arguments.grounds) & set(OUTSIDE) and not arguments.data:
        parser.error("--data names the folder of the outside data sets")
    return arguments


def _contests(arguments: argparse.Namespace, say: Progress) -> Iterator[DatasetResult]:
    for name in arguments.grounds:
        with tempfile.TemporaryDirectory() as scratch:
            ground = _ground(name, arguments, Path(scratch), say)
            contest = hold(ground, arguments.rivals, say)
            pooled, newest = standings(contest), standings(contest, newest_only=True)
            yield DatasetResult(contest, pooled, newest, _limit(contest, arguments.steps) if ground.company else {})


def _ground(name: str, arguments: argparse.Namespace, scratch: Path, say: Progress) -> Ground:
    if name != SIMULATED:
        return outside(name, arguments.data / name, arguments.keep / name if arguments.keep else scratch, say)
    company = Company(accounts=arguments.accounts, months=MONTHS, seed=arguments.seed)
    saved_company = arguments.keep / f"simulated_{arguments.accounts}_{arguments.seed}" if arguments.keep else scratch
    return simulated(company, saved_company, say)


def _limit(contest: Contest, with_steps: bool) -> dict[str, Reached]:
    """How near the limit each contestant came, and where the rest was lost."""
    ground = contest.ground
    assert ground.company is not None
    training_rows = rows_on(ground.panel.rows, ground.splits[0].train)
    true = read_truth(ground.company, ground.settings.label.horizon_days)
    test = with_truth(contest.test, true)
    truth = truth_of(test, float(training_rows[CHURNED].mean()))
    shares_of_gain = {entry.name: reached(truth, entry.risks) for entry in contest.entries}
    if not with_steps:
        return shares_of_gain
    judged = held_out(test)
    oracle_risks = steps(
        with_truth(training_rows, true), test[judged], build_inputs(ground.panel.history.signals, training_rows)
    )
    same = truth.part(judged)
    shares = {entry.name: of_shown(same, entry.risks[judged], oracle_risks[CEILING]) for entry in contest.entries}
    shares_of_gain = {name: replace(share, of_shown=shares[name]) for name, share in shares_of_gain.items()}
    return shares_of_gain | {name: reached(same, risks) for name, risks in oracle_risks.items()}


def _document(result: DatasetResult) -> dict[str, Any]:
    contest = result.contest
    return {
        "ground": contest.ground.name,
        "snapshots": len(contest.test),
        "churned": int(contest.test[CHURNED].sum()),
        "signals": len(contest.ground.panel.history.signals),
        "origins": [f"{split.test[-1]:%Y-%m-%d}" for split in contest.ground.splits],
        "day_spread": contest.day_spread,
        "ahead_beyond_noise": {"pooled": beyond_noise(result.pooled), "newest": beyond_noise(result.newest)},
        "pooled": [asdict(standing) for standing in result.pooled],
        "newest": [asdict(standing) for standing in result.newest],
        "limit": {name: asdict(standing) for name, standing in result.limit.items()},
    }


def _show(result: DatasetResult) -> None:
    console, contest = Console(), result.contest
    if not console.is_terminal:
        console.width = WIDTH
    for title, standing in _views(result):
        console.print(_table(f"{contest.ground.name}, {title}", standing))
        ahead = [
            f"{standing_row.name} ({metric})"
            for standing_row in standing[1:]
            for metric in METRICS
            if standing_row.is_ahead(metric)
        ]
        console.print(f"ahead of {OARLOCK} on these days, each by itself: {', '.join(ahead) or 'nobody'}")
        console.print(f"ahead of {OARLOCK} beyond noise: {', '.join(beyond_noise(standing)) or 'nobody'}\n")
    if result.limit:
        console.print(_limit_table(result.limit))


def _views(result: DatasetResult) -> list[tuple[str, list[Standing]]]:
    test, newest = result.contest.test, result.contest.ground.splits[0].test
    last = test[test.as_of.isin(newest)]
    views = [(_with_counts(f"test day {newest[-1]:%Y-%m-%d}", last), result.newest)]
    origins = len(result.contest.ground.splits)
    return views + ([(_with_counts(f"{origins} origins pooled", test), result.pooled)] if origins > 1 else [])


def _with_counts(title: str, rows: pd.DataFrame) -> str:
    return f"{title}: {len(rows):,} snapshots, {int(rows[CHURNED].sum()):,} churned"


def _table(title: str, standing: list[Standing]) -> Table:
    figures = ("AUC", "average precision", "lift at 10 %", "log loss", f"less {OARLOCK}'s", "on days drawn again")
    table = Table("", *figures, "CPU s", title=title)
    for entry in standing:
        worse = (
            ("", "")
            if entry.name == OARLOCK
            else map(_signed, (entry.less_oarlock["log_loss"], entry.to_come["log_loss"]))
        )
        table.add_row(
            entry.name, *(_format_figure(entry, metric) for metric in METRICS), *worse, f"{entry.cpu_seconds:.0f}"
        )
    return table


def _format_figure(standing: Standing, metric: str) -> str:
    figure, decimals = standing.figures[metric], 2 if metric.startswith("lift") else 4 if metric in LOW_IS_GOOD else 3
    return f"{figure.value:.{decimals}f} [{figure.low:.{decimals}f}, {figure.high:.{decimals}f}]"


def _signed(interval: Interval) -> str:
    return f"{interval.value:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]"


def _limit_table(limit: dict[str, Reached]) -> Table:
    titles = ("share of the limit's gain", "of what the signals show", "on the answers drawn", "mean gap to the truth")
    table = Table("", *titles, title="the limit")
    for name, share in limit.items():
        of_ceiling = _shares(share.of_shown) if share.of_shown else ""
        table.add_row(
            name, _shares(share.share), of_ceiling, f"{share.realised_share:.1%}", f"{share.gap_to_truth:.4f}"
        )
    return table


def _shares(interval: Interval) -> str:
    return f"{interval.value:.1%} [{interval.low:.1%}, {interval.high:.1%}]"


if __name__ == "__main__":
    main()
