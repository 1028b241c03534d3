"""The verbs of the models: train one, promote it, and say whether it can still be trusted."""

import click

from commands.invocation import AS_JSON, Oarlock
from commands.rendering import print_json


@click.command()
@AS_JSON
@click.pass_obj
def train(oarlock: Oarlock, as_json: bool) -> None:
    """Fit, calibrate, evaluate and register a model on every mature snapshot.

    \b
    Example: oarlock train
    """
    oarlock.speaks_json = as_json
    from training.card import model_card
    from training.train import train as run

    with oarlock.progress("train") as progress:
        done = run(oarlock.settings, oarlock.state, oarlock.known_until, progress)
    if as_json:
        print_json({"version": vars(done.version), "reused": done.reused, **done.evaluation})
        return
    from rich.markdown import Markdown

    oarlock.console.print(Markdown(model_card(done.evaluation)))
    made = "was there already, made from exactly the same" if done.reused else "is registered"
    oarlock.console.print(f"\nVersion {done.version.number} of {done.version.name} {made}.")


@click.command()
@click.argument("version", type=int, required=False)
@click.option("--force", is_flag=True, help="Promote a model that has not earned it; needs --reason.")
@click.option("--reason", default="", help="Why it is forced; kept on the version.")
@click.pass_obj
def promote(oarlock: Oarlock, version: int | None, force: bool, reason: str) -> None:
    """Make a version (the newest where none is named) the champion that answers from now on.

    \b
    Example: oarlock promote 3
    """
    from serving.promotion import follow, prepare
    from training.registry import open_registry
    from training.train import promote as run

    if force and not reason:
        raise click.UsageError("--force needs --reason.")
    registry = open_registry(oarlock.state, oarlock.settings.name)
    chosen = registry.newest() if version is None else registry.get(version)
    # Its bundle first: where that is refused the alias never moves.
    prepare(oarlock.state, registry, chosen)
    promoted = run(registry, chosen, reason if force else "")
    follow(oarlock.state, registry)
    oarlock.console.print(f"Version {promoted.number} of {promoted.name} is champion.")


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
