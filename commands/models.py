"""The verbs of the models: train one, hold it against another, promote it or go back, and say whether to trust it."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.invocation import AS_JSON, Oarlock
from commands.rendering import print_json, show_card, show_duel, show_reproduced, show_roster

NOT_THE_SAME = 8

if TYPE_CHECKING:
    from training.pipelines.tuning import Budget

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
@click.option("--force", is_flag=True, help="Promote a model that has not earned it; needs --reason.")
@click.option("--reason", default="", help="Why; kept with the promotion.")
@click.pass_obj
def promote(oarlock: Oarlock, version: int | None, force: bool, reason: str) -> None:
    """Make a version (the newest where none is named) the champion that answers from now on.

    \b
    Example: oarlock promote 3
    """
    from configs.clock import now
    from serving.scoring.champion_pointer import follow, prepare
    from training.registry.mlflow_registry import open_registry
    from training.registry.promotion import FORCED, Decision
    from training.registry.promotion import promote as run
    from training.registry.version import CHAMPION

    if force and not reason:
        raise click.UsageError("--force needs --reason.")
    registry = open_registry(oarlock.state, oarlock.settings.name)
    chosen = registry.newest() if version is None else registry.get(version)
    # Its bundle first: where that is refused the alias never moves.
    prepare(oarlock.state, registry, chosen)
    promoted = run(registry, chosen, Decision(now(), reason, force))
    follow(oarlock.state, registry)
    if chosen.alias == CHAMPION:
        oarlock.console.print(f"Version {chosen.number} of {chosen.name} is champion already.")
        return
    overruled = registry.past()[-1].how == FORCED
    oarlock.audit("overridden" if overruled else "promoted", f"{promoted.name} {promoted.number}", reason=reason)
    oarlock.console.print(f"Version {promoted.number} of {promoted.name} is champion.")


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
@click.argument("version", type=int, required=False)
@click.option("--cuts", type=(float, float, float), help="From which risk on an account is watch, high, critical.")
@click.option("--calls", type=(int, int, int), help="How many accounts are watch or above, high or above, critical.")
@click.pass_obj
def rebands(
    oarlock: Oarlock,
    version: int | None,
    cuts: tuple[float, float, float] | None,
    calls: tuple[int, int, int] | None,
) -> None:
    """Release a version (the champion where none is named) with bands of its own; every risk stays as it is.

    \b
    Example: oarlock rebands --calls 400 150 50
    """
    from training.pipelines.recalibrate import bands_of, reband
    from training.registry.mlflow_registry import open_registry

    if bool(cuts) == bool(calls):
        raise click.UsageError("Say --cuts or --calls.")
    registry = open_registry(oarlock.state, oarlock.settings.name)
    parent = registry.champion() if version is None else registry.get(version)
    bands = bands_of(oarlock.settings, oarlock.state, parent, (cuts, calls))
    made = reband(oarlock.settings, oarlock.state, parent, bands)
    told = ", ".join(f"{name} from {cut:.2%}" for name, cut in bands.model_dump().items())
    oarlock.console.print(f"Version {made.number} has the risks of version {parent.number} and its own bands: {told}.")


@click.command()
@click.option("--reason", default="", help="Why; kept with the rollback.")
@click.pass_obj
def rollback(oarlock: Oarlock, reason: str) -> None:
    """Give the place back to the version that was champion before; again goes one further back.

    \b
    Example: oarlock rollback --reason "complaints about the drivers"
    """
    from configs.clock import now
    from serving.scoring.champion_pointer import follow
    from training.registry.mlflow_registry import open_registry
    from training.registry.promotion import Decision
    from training.registry.promotion import rollback as run

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
    from training.registry.mlflow_registry import open_registry
    from training.registry.version_list import roster

    found = roster(open_registry(oarlock.state, oarlock.settings.name), now())
    if as_json:
        print_json({"versions": [asdict(one) for one in found]})
    else:
        show_roster(oarlock, found)


@click.command()
@click.argument("version", type=int, required=False)
@click.option("--html", type=click.Path(path_type=Path), help="Write it as one page with pictures to this file.")
@AS_JSON
@click.pass_obj
def card(oarlock: Oarlock, version: int | None, html: Path | None, as_json: bool) -> None:
    """Show the model card of a version (the newest where none is named).

    \b
    Example: oarlock card 3 --html card.html
    """
    oarlock.speaks_json = as_json
    from configs.files import replacing
    from training.registry.mlflow_registry import open_registry
    from training.reports.model_card import model_card
    from training.reports.model_card_html import card_page, read_pictures

    registry = open_registry(oarlock.state, oarlock.settings.name)
    chosen = registry.newest() if version is None else registry.get(version)
    evaluation = registry.evaluation(chosen)
    if html:
        with replacing(html) as temporary, registry.pictures(chosen) as folder:
            page = card_page(evaluation, read_pictures(folder), registry.duel(chosen))
            temporary.write_text(page, "utf-8")
        oarlock.console.print(f"{html.resolve()} holds the card of version {chosen.number}.", markup=False)
    if as_json:
        print_json(evaluation)
    elif not html:
        show_card(oarlock, model_card(evaluation))


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
    from training.pipelines.tuning import Budget

    ends = time.monotonic() + 60 * minutes if minutes else math.inf
    return Budget(trials or MOST_TRIALS, lambda: time.monotonic() >= ends, progress)
