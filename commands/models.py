"""The verbs of the models: train one, hold it against another, promote it or go back, and say whether to trust it."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from commands.invocation import AS_JSON, Oarlock
from commands.rendering import print_json, show_duel, show_roster

if TYPE_CHECKING:
    from training.search import Budget

MOST_TRIALS = 1_000


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
    from training.card import model_card
    from training.train import train as run

    with oarlock.progress("train") as progress:
        budget = _budget(trials, minutes, progress) if trials or minutes else None
        done = run(oarlock.settings, oarlock.state, oarlock.known_until, progress, budget=budget)
    if as_json:
        print_json({"version": vars(done.version), "reused": done.reused, "duel": done.duel, **done.evaluation})
        return
    from rich.markdown import Markdown

    oarlock.console.print(Markdown(model_card(done.evaluation)))
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
    from training.challenge import duel as run
    from training.registry import open_registry

    registry = open_registry(oarlock.state, oarlock.settings.name)
    ours = registry.newest() if challenger is None else registry.get(challenger)
    theirs = registry.champion() if against is None else registry.get(against)
    if ours.number == theirs.number:
        raise click.UsageError(f"Version {ours.number} cannot be held against itself.")
    with oarlock.progress("duel") as progress:
        document = run(oarlock.settings, oarlock.state, (ours, theirs), oarlock.known_until, progress)
    if as_json:
        print_json(document)
    else:
        show_duel(oarlock, document)


@click.command()
@click.argument("version", type=int, required=False)
@click.option("--force", is_flag=True, help="Promote a model that has not earned it; needs --reason.")
@click.option("--reason", default="", help="Why; kept with the promotion.")
@click.pass_obj
def promote(oarlock: Oarlock, version: int | None, force: bool, reason: str) -> None:
    """Make a version (the newest where none is named) the champion that answers from now on.

    \b
    Example: oarlock promote 3
    """
    from configs.clock import now
    from serving.pointer import follow, prepare
    from training.promotion import Decision
    from training.promotion import promote as run
    from training.registry import open_registry

    if force and not reason:
        raise click.UsageError("--force needs --reason.")
    registry = open_registry(oarlock.state, oarlock.settings.name)
    chosen = registry.newest() if version is None else registry.get(version)
    # Its bundle first: where that is refused the alias never moves.
    prepare(oarlock.state, registry, chosen)
    promoted = run(registry, chosen, Decision(now(), reason, force))
    follow(oarlock.state, registry)
    oarlock.audit("overridden" if force else "promoted", f"{promoted.name} {promoted.number}", reason=reason)
    oarlock.console.print(f"Version {promoted.number} of {promoted.name} is champion.")


@click.command()
@click.option("--reason", default="", help="Why; kept with the rollback.")
@click.pass_obj
def rollback(oarlock: Oarlock, reason: str) -> None:
    """Give the place back to the version that was champion before; again goes one further back.

    \b
    Example: oarlock rollback --reason "complaints about the drivers"
    """
    from configs.clock import now
    from serving.pointer import follow
    from training.promotion import Decision
    from training.promotion import rollback as run
    from training.registry import open_registry

    registry = open_registry(oarlock.state, oarlock.settings.name)
    former, champion = run(registry, Decision(now(), reason))
    follow(oarlock.state, registry)
    oarlock.audit("rolled_back", f"{champion.name} {champion.number}", reason=reason, former=former.number)
    oarlock.console.print(f"Version {champion.number} is champion again, in place of version {former.number}.")


@click.command()
@AS_JSON
@click.pass_obj
def models(oarlock: Oarlock, as_json: bool) -> None:
    """Show every version: alias, age, key figures, its last duel, and how it came to be champion.

    \b
    Example: oarlock models
    """
    oarlock.speaks_json = as_json
    from configs.clock import now
    from training.registry import open_registry
    from training.roster import roster

    found = roster(open_registry(oarlock.state, oarlock.settings.name), now())
    if as_json:
        print_json({"versions": [asdict(one) for one in found]})
    else:
        show_roster(oarlock, found)


@click.command()
@AS_JSON
@click.pass_context
def monitor(context: click.Context, as_json: bool) -> None:
    """Say whether the champion can still be trusted: ok, watch or retrain, and why.

    \b
    Example: oarlock monitor --json
    """
    from monitoring.health import EXIT_CODES, check_health

    oarlock: Oarlock = context.obj
    oarlock.speaks_json = as_json
    with oarlock.progress("monitor") as progress:
        health = check_health(oarlock.settings, oarlock.state, oarlock.known_until, progress)
    if as_json:
        drift = {**vars(health.drift), "moved": [vars(one) for one in health.drift.moved]}
        print_json({**vars(health), "version": vars(health.version), "drift": drift, "outcome": vars(health.outcome)})
    else:
        oarlock.console.print(f"Version {health.version.number} on {health.as_of:%Y-%m-%d}: {health.verdict}")
        for reason in health.reasons:
            oarlock.console.print(f"- {reason}", markup=False)
    context.exit(EXIT_CODES[health.verdict])


def _budget(trials: int | None, minutes: float | None, progress: Callable[[str, int, int], None]) -> "Budget":
    from training.search import Budget

    ends = time.monotonic() + 60 * minutes if minutes else math.inf
    return Budget(trials or MOST_TRIALS, lambda: time.monotonic() >= ends, progress)
