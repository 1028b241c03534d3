"""The command that says whether what is served can still be trusted."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from cli.context import JSON, CliContext
from cli.output import print_json

if TYPE_CHECKING:
    from monitoring.health import HealthReport
    from monitoring.verdicts.verdict import HealthDecision


@click.command(short_help="Check whether the served risks can still be trusted.")
@JSON
@click.pass_obj
def monitor(context: CliContext) -> int:
    """Say if what is served can still be trusted: one verdict, with its cause and the command that acts.

    \b
    exit code  verdict
    0          ok
    10         population moved
    11         cause changed: retrain
    12         cannot tell yet
    14         level moved: recalibrate
    15         mend a source
    16         plays work

    \b
    Example: oarlock monitor --json
    """
    from monitoring.health import check_health
    from monitoring.verdicts.verdict import EXIT_CODES

    with context.progress("monitor") as progress:
        report = check_health(context.settings, context.state, context.known_until, progress)
    if context.as_json:
        print_json(asdict(report))
    else:
        for line in _lines(report):
            context.echo(line)
    return EXIT_CODES[report.decision.verdict]


def _lines(report: "HealthReport") -> Iterator[str]:
    """The report in at most twenty lines."""
    from monitoring.verdicts.wording import describe_drift, describe_outcomes, describe_plays

    checks = report.checks
    yield f"Version {report.version.number} on {checks.as_of:%Y-%m-%d}: {report.decision.verdict}"
    yield from _decision_lines(report.decision)
    yield f"- drift: {describe_drift(checks.drift)}"
    yield f"- outcomes: {describe_outcomes(checks.outcomes)}"
    yield f"- plays: {describe_plays(checks.plays)}"


def _decision_lines(decision: "HealthDecision") -> Iterator[str]:
    yield f"- cause: {decision.cause}"
    if decision.began_after and decision.began_before:
        yield f"- began: after {_day(decision.began_after)}, by {_day(decision.began_before)}"
    if decision.waiting:
        yield f"- waiting costs: {decision.waiting}"
    if decision.command:
        yield f"- do: {decision.command}"
    if decision.verdict == "cannot tell yet":
        expected = f"from {_day(decision.tells_from)} on" if decision.tells_from else "once risks are served and known"
        yield f"- a verdict is expected {expected}"


def _day(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d}"
