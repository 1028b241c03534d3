"""Commands that make model versions: train, compare, recalibrate, reproduce."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli.context import AS_JSON, Oarlock
from cli.output import print_json, show_card, show_duel, show_reproduced

if TYPE_CHECKING:
    from training.pipelines.tuning import Budget
from cli.models import MOST_TRIALS, NOT_THE_SAME


@click.command()
@click.option("--search", "trials", type=click.IntRange(1), help="First try so many settings of the trees in all.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="First try settings for so long.")
@AS_JSON
@click.pass_obj
def train(oarlock: Oarlock, trials: int | None, minutes: float | None, as_json: bool) -> None:
    """Fit, calibrate, evaluate and register a model on every mature snapshot.

    With --search or --minutes settings of the trees are searched first, on days before the test; a search that was
    stopped goes on where it was.

    \b
    Example: oarlock train
    Example: oarlock train --search 30 --minutes 10
    """
    oarlock.speaks_json = as_json
    from training.pipelines.train import train as run
    from training.reports.model_card import model_card

    with oarlock.progress("train") as progress:
        budget = _budget(trials, minutes, progress) if trials or minutes else None
        done = run(oarlock.settings, oarlock.state, oarlock.known_until, progress, budget=budget)
    if as_json:
        print_json({"version": vars(done.version), "reused": done.reused, "duel": done.duel, **done.evaluation})
        return
    show_card(oarlock, model_card(done.evaluation))
    if done.duel:
        show_duel(oarlock, done.duel)
    made = "was there already, made from exactly the same" if done.reused else "is registered"
    oarlock.console.print(f"\nVersion {done.version.number} of {done.version.name} {made}.")


@click.command()
@click.argument("challenger", type=int, required=False)
@click.option("--against", type=int, help="The version to hold it against; the champion where left out.")
@AS_JSON
@click.pass_obj
def duel(oarlock: Oarlock, challenger: int | None, against: int | None, as_json: bool) -> None:
    """Hold a version (the newest where none is named) against the champion, on the same past days.

    \b
    Example: oarlock duel 4 --against 2
    """
    oarlock.speaks_json = as_json
    from configs.errors import RequestError
    from training.comparison.compare_versions import duel as run
    from training.registry.mlflow_registry import open_registry

    registry = open_registry(oarlock.state, oarlock.settings.name)
    ours = registry.newest() if challenger is None else registry.get(challenger)
    theirs = registry.champion() if against is None else registry.get(against)
    if ours.number == theirs.number:
        message = f"Version {ours.number} cannot be held against itself."
        raise RequestError(message, "Name another, or `oarlock train` one first.")
    with oarlock.progress("duel") as progress:
        document = run(oarlock.settings, oarlock.state, (ours, theirs), oarlock.known_until, progress)
    if as_json:
        print_json(document)
    else:
        show_duel(oarlock, document)


@click.command()
@click.argument("version", type=int, required=False)
@AS_JSON
@click.pass_obj
def recalibrate(oarlock: Oarlock, version: int | None, as_json: bool) -> None:
    """Release a version (the champion where none is named) anew, calibrated on the newest answers; its trees stay.

    \b
    Example: oarlock recalibrate
    """
    oarlock.speaks_json = as_json
    from training.pipelines.recalibrate import recalibrate as run
    from training.registry.mlflow_registry import open_registry

    registry = open_registry(oarlock.state, oarlock.settings.name)
    parent = registry.champion() if version is None else registry.get(version)
    with oarlock.progress("recalibrate") as progress:
        made, duel = run(oarlock.settings, oarlock.state, parent, oarlock.known_until, progress)
    if as_json:
        print_json({"version": vars(made), "parent": parent.number, "duel": duel})
        return
    if duel:
        show_duel(oarlock, duel)
    oarlock.console.print(f"Version {made.number} has the trees of version {parent.number}, calibrated anew.")


@click.command()
@click.argument("version")
@AS_JSON
@click.pass_context
def reproduce(context: click.Context, version: str, as_json: bool) -> None:
    """Make a version (a number, or the id of its run) again, and say whether it comes out the same or what changed.

    \b
    Example: oarlock reproduce 3
    """
    from training.pipelines.reproduce import reproduce as run
    from training.registry.mlflow_registry import open_registry

    oarlock: Oarlock = context.obj
    oarlock.speaks_json = as_json
    registry = open_registry(oarlock.state, oarlock.settings.name)
    chosen = registry.get(int(version)) if version.isdigit() else registry.of_run(version)
    with oarlock.progress("reproduce") as progress:
        found = run(oarlock.settings, oarlock.state, chosen, progress)
    if as_json:
        print_json({**asdict(found), "is_same": found.is_same})
    else:
        show_reproduced(oarlock, found)
    context.exit(0 if found.is_same else NOT_THE_SAME)


def _budget(trials: int | None, minutes: float | None, progress: Callable[[str, int, int], None]) -> "Budget":
    from training.pipelines.tuning import Budget

    ends = time.monotonic() + 60 * minutes if minutes else math.inf
    return Budget(trials or MOST_TRIALS, lambda: time.monotonic() >= ends, progress)
