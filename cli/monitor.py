"""The command that reports the health of a served model."""

from typing import TYPE_CHECKING

import click

from cli.context import AS_JSON, Oarlock
from cli.output import print_json

if TYPE_CHECKING:
    pass


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
