"""The command that reports the health of the champion."""

from dataclasses import asdict

import click

from cli.context import JSON, CliContext
from cli.output import print_json


@click.command(short_help="Check the champion's health: ok, unknown, watch or retrain.")
@JSON
@click.pass_obj
def monitor(context: CliContext) -> int:
    """Say if what is served can still be trusted (ok, unknown, watch or retrain), and why.

    It is unknown until enough served risks are mature, so that what happened can be compared with them. The exit code
    is 0 for ok, 10 for watch, 11 for retrain and 12 for unknown.

    \b
    Example: oarlock monitor --json
    """
    from monitoring.health import EXIT_CODES, check_health

    with context.progress("monitor") as progress:
        health = check_health(context.settings, context.state, context.known_until, progress)
    if context.as_json:
        print_json(asdict(health))
    else:
        context.echo(f"Version {health.version.number} on {health.as_of:%Y-%m-%d}: {health.verdict}")
        for reason in health.reasons:
            context.echo(f"- {reason}")
    return EXIT_CODES[health.verdict]
