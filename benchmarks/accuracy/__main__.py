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
from training.data.training_set import CHURNED
from training.evaluation.backtest import on
from training.evaluation.scorecard import Interval
from training.model.fit import inputs_of

WIDTH = 190  # in a file no figure is cut off


@dataclass(frozen=True)
class Found:
    """What one ground showed: standings over all origins and on the newest, and how near the limit everyone came."""

    contest: Contest
    pooled: list[Standing]
    newest: list[Standing]
    limit: dict[str, Reached]


def main() -> None:
    """Hold a contest on each ground that is asked for, and print it."""
    asked = _asked()
    console = Console(stderr=True)
    for found in _contests(asked, lambda what: console.print(what, style="dim")):
        if asked.json:
            print(json.dumps(_document(found)))
        else:
            _show(found)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("grounds", nargs="*", metavar="GROUND", help=f"{', '.join((*OUTSIDE, SIMULATED))}; all of them")
    parser.add_argument("--data", type=Path, help="folder of the outside data sets")
    parser.add_argument("--keep", type=Path, help="folder for histories that are used again")
    parser.add_argument("--rivals", nargs="*", choices=list(RIVALS), default=list(RIVALS), metavar="RIVAL")
    parser.add_argument("--accounts", type=int, default=10_000, help="of the simulated company")
    parser.add_argument("--seed", type=int, default=2, help="of the simulated company")
    parser.add_argument("--steps", action="store_true", help="say where the rest of the limit is lost")
    parser.add_argument("--json", action="store_true", help="one document a line for each ground")
    asked = parser.parse_args()
    asked.grounds = asked.grounds or [*OUTSIDE, SIMULATED]
    unknown = set(asked.grounds) - {*OUTSIDE, SIMULATED}
    if unknown:
        parser.error(f"no ground is called {', '.join(sorted(unknown))}")
    if set(asked.grounds) & set(OUTSIDE) and not asked.data:
        parser.error("--data names the folder of the outside data sets")
    return asked


def _contests(asked: argparse.Namespace, say: Progress) -> Iterator[Found]:
    for name in asked.grounds:
        with tempfile.TemporaryDirectory() as scratch:
            ground = _ground(name, asked, Path(scratch), say)
            contest = hold(ground, asked.rivals, say)
            pooled, newest = standings(contest), standings(contest, newest_only=True)
            yield Found(contest, pooled, newest, _limit(contest, asked.steps) if ground.company else {})


def _ground(name: str, asked: argparse.Namespace, scratch: Path, say: Progress) -> Ground:
    if name != SIMULATED:
        return outside(name, asked.data / name, asked.keep / name if asked.keep else scratch, say)
    company = Company(accounts=asked.accounts, months=MONTHS, seed=asked.seed)
    kept = asked.keep / f"simulated_{asked.accounts}_{asked.seed}" if asked.keep else scratch
    return simulated(company, kept, say)


def _limit(contest: Contest, with_steps: bool) -> dict[str, Reached]:
    """How near the limit each contestant came, and where the rest was lost."""
    ground = contest.ground
    assert ground.company is not None
    known = on(ground.panel.rows, ground.splits[0].known)
    true = read_truth(ground.company, ground.settings.label.horizon_days)
    test = with_truth(contest.test, true)
    truth = truth_of(test, float(known[CHURNED].mean()))
    found = {entry.name: reached(truth, entry.risks) for entry in contest.entries}
    if not with_steps:
        return found
    judged = held_out(test)
    told = steps(with_truth(known, true), test[judged], inputs_of(ground.panel.place.signals, known))
    same = truth.part(judged)
    shares = {entry.name: of_shown(same, entry.risks[judged], told[CEILING]) for entry in contest.entries}
    found = {name: replace(one, of_shown=shares[name]) for name, one in found.items()}
    return found | {name: reached(same, risks) for name, risks in told.items()}


def _document(found: Found) -> dict[str, Any]:
    contest = found.contest
    return {
        "ground": contest.ground.name,
        "snapshots": len(contest.test),
        "churned": int(contest.test[CHURNED].sum()),
        "signals": len(contest.ground.panel.place.signals),
        "origins": [f"{split.test[-1]:%Y-%m-%d}" for split in contest.ground.splits],
        "day_spread": contest.day_spread,
        "ahead_beyond_noise": {"pooled": beyond_noise(found.pooled), "newest": beyond_noise(found.newest)},
        "pooled": [asdict(one) for one in found.pooled],
        "newest": [asdict(one) for one in found.newest],
        "limit": {name: asdict(one) for name, one in found.limit.items()},
    }


def _show(found: Found) -> None:
    console, contest = Console(), found.contest
    if not console.is_terminal:
        console.width = WIDTH
    for what, standing in _views(found):
        console.print(_table(f"{contest.ground.name}, {what}", standing))
        ahead = [f"{one.name} ({metric})" for one in standing[1:] for metric in METRICS if one.is_ahead(metric)]
        console.print(f"ahead of {OARLOCK} on these days, each by itself: {', '.join(ahead) or 'nobody'}")
        console.print(f"ahead of {OARLOCK} beyond noise: {', '.join(beyond_noise(standing)) or 'nobody'}\n")
    if found.limit:
        console.print(_limit_table(found.limit))


def _views(found: Found) -> list[tuple[str, list[Standing]]]:
    test, newest = found.contest.test, found.contest.ground.splits[0].test
    last = test[test.as_of.isin(newest)]
    views = [(_counted(f"test day {newest[-1]:%Y-%m-%d}", last), found.newest)]
    origins = len(found.contest.ground.splits)
    return views + ([(_counted(f"{origins} origins pooled", test), found.pooled)] if origins > 1 else [])


def _counted(what: str, rows: pd.DataFrame) -> str:
    return f"{what}: {len(rows):,} snapshots, {int(rows[CHURNED].sum()):,} churned"


def _table(title: str, standing: list[Standing]) -> Table:
    figures = ("AUC", "average precision", "lift at 10 %", "log loss", f"less {OARLOCK}'s", "on days drawn again")
    table = Table("", *figures, "CPU s", title=title)
    for one in standing:
        worse = (
            ("", "") if one.name == OARLOCK else map(_signed, (one.less_oarlock["log_loss"], one.to_come["log_loss"]))
        )
        table.add_row(one.name, *(_told(one, metric) for metric in METRICS), *worse, f"{one.cpu_seconds:.0f}")
    return table


def _told(one: Standing, metric: str) -> str:
    found, places = one.figures[metric], 2 if metric.startswith("lift") else 4 if metric in LOW_IS_GOOD else 3
    return f"{found.value:.{places}f} [{found.low:.{places}f}, {found.high:.{places}f}]"


def _signed(found: Interval) -> str:
    return f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _limit_table(limit: dict[str, Reached]) -> Table:
    told = ("share of the limit's gain", "of what the signals show", "on the answers drawn", "mean gap to the truth")
    table = Table("", *told, title="the limit")
    for name, one in limit.items():
        of_ceiling = _shares(one.of_shown) if one.of_shown else ""
        table.add_row(name, _shares(one.share), of_ceiling, f"{one.realised_share:.1%}", f"{one.gap_to_truth:.4f}")
    return table


def _shares(found: Interval) -> str:
    return f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}]"


if __name__ == "__main__":
    main()
