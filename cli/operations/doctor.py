"""The command that checks a deployment and says what to do next."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli.context import JSON, CliContext
from cli.output import OutputTable, format_count, print_json

if TYPE_CHECKING:
    from monitoring.doctor.checkup import Checkup

EXIT_CODES = {"ok": 0, "warn": 19, "fault": 20}
STATUS_STYLES = {"ok": "", "warn": "yellow", "fault": "bold red", "skipped": "dim"}


@click.command(short_help="Check a deployment; say what to do next.")
@click.option("--all", "show_all", is_flag=True, help="Also list the checks that saw nothing wrong.")
@JSON
@click.pass_obj
def doctor(context: CliContext, show_all: bool) -> int:
    """Check settings, machine, data and every component, and name the next step for whatever is wrong.

    \b
    exit code  meaning
    0          healthy
    19         warnings: it works, and something should be looked at
    20         faults: something does not work

    \b
    Example: oarlock doctor --json
    """
    from monitoring.doctor.check_result import worst_status

    checkup = _examine(context)
    if context.as_json:
        print_json({"results": [asdict(result) for result in checkup.results], "readiness": asdict(checkup.readiness)})
    else:
        _show(context, checkup, show_all=show_all)
    return EXIT_CODES[worst_status(checkup.results)]


def _examine(context: CliContext) -> "Checkup":
    """Every check; settings that cannot be read are a fault, after which nothing else can be checked."""
    from configs.clock import now
    from configs.errors import ConfigError
    from monitoring.doctor.check_result import CheckResult
    from monitoring.doctor.checkup import Checkup, examine
    from monitoring.doctor.readiness import measure_readiness

    try:
        settings = context.settings
    except ConfigError as error:
        result = CheckResult("settings", "fault", error.message, str(context.config), error.hint)
        return Checkup((result,), measure_readiness(()))
    with context.progress("doctor") as progress:
        progress("checking", 0, 1)
        return examine(settings, context.config, now(), lambda: context.known_until)


def _show(context: CliContext, checkup: "Checkup", *, show_all: bool) -> None:
    shown = [result for result in checkup.results if show_all or result.status in {"warn", "fault"}]
    table = OutputTable({"check": "id", "status": "id", "what": "text", "where": "text", "next step": "text"})
    for result in shown:
        style = STATUS_STYLES[result.status]
        table.add(result.name, result.status, result.what, result.where, result.next_step, style=style)
    if shown:
        table.print(context)
    counts = [sum(result.status == status for result in checkup.results) for status in ("ok", "warn", "fault")]
    well, warnings, faults = counts
    context.echo(f"{well} checks are well, {format_count(warnings, 'warning')}, {format_count(faults, 'fault')}.")
    readiness = checkup.readiness
    then = f" Next: {readiness.next_step}" if readiness.next_step else ""
    context.echo(f"Readiness {readiness.level} of {readiness.highest}: {readiness.meaning}.{then}")
