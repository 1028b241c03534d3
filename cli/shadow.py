"""Commands for a challenger that scores in shadow, beside the champion."""

from typing import TYPE_CHECKING

import click

from cli.context import JSON, CliContext
from cli.output import print_json

if TYPE_CHECKING:
    from monitoring.shadow.shadow_report import ShadowReport


@click.group(short_help="Let a version score beside the champion.")
def shadow() -> None:
    """Let a version score every published day beside the champion, and compare both on what happens next.

    \b
    Example: oarlock shadow start 3
    """


@shadow.command()
@click.argument("version", type=int)
@click.pass_obj
def start(context: CliContext, version: int) -> None:
    """Let a version score the newest published day, and every later one. It answers nobody.

    \b
    Example: oarlock shadow start 3
    """
    from configs.clock import now
    from monitoring.shadow.shadow_version import start_shadow

    start_shadow(context.state, context.registry, context.registry.get(version), now())
    context.record_audit("shadow_started", f"version {version}")
    context.echo(f"Version {version} is in shadow. `oarlock shadow show` compares it with the champion.")
    record_shadow(context)


@shadow.command()
@click.pass_obj
def stop(context: CliContext) -> None:
    """End the shadow; what it recorded stays.

    \b
    Example: oarlock shadow stop
    """
    from monitoring.shadow.shadow_version import stop_shadow

    stopped = stop_shadow(context.state)
    context.record_audit("shadow_stopped", f"version {stopped.version}")
    context.echo(f"Version {stopped.version} is no longer in shadow.")


@shadow.command()
@JSON
@click.pass_obj
def show(context: CliContext) -> None:
    """Compare the version in shadow with the champion: on the newest day, and on what is known to have happened.

    The figures hold whenever you look, however often.

    \b
    Example: oarlock shadow show --json
    """
    from configs.errors import NotReady
    from monitoring.shadow.shadow_version import find_shadow
    from serving.scoring.champion_pointer import read_pointer

    version = find_shadow(context.state)
    if version is None:
        raise NotReady("No version is in shadow.", "`oarlock shadow start VERSION` starts one.")
    report = find_shadow_report(context, version.version, read_pointer(context.state).version.number)
    if report is None:
        raise NotReady("No day was recorded yet.", "Run `oarlock publish`: it records the day.")
    if context.as_json:
        print_json(report.to_json())
    else:
        show_shadow_report(context, report)


def record_shadow(context: CliContext) -> None:
    """Let the version in shadow, if any, score the newest published day; a fault is said, and stops nothing."""
    from configs.clock import now
    from configs.errors import OarlockError
    from features.own_signals.own_catalogue import open_catalogue
    from monitoring.shadow.recording import record_newest_day

    try:
        declared = open_catalogue(context.settings, context.state).signals
        recorded = record_newest_day(context.state, context.database, now(), declared)
    except OarlockError as error:
        click.echo(f"The version in shadow did not score this day. {error}", err=True)
        return
    if recorded and recorded.accounts and not context.as_json:
        context.echo(f"Version {recorded.challenger} scored {recorded.accounts:,} accounts in shadow.")


def find_shadow_report(context: CliContext, challenger: int, champion: int) -> "ShadowReport | None":
    """What the shadow of a version beside another showed; None if there was none."""
    from features.publishing.open_dataset import open_dataset
    from monitoring.shadow.shadow_report import read_shadow_report

    opened = open_dataset(context.settings, context.state)
    return read_shadow_report(opened, context.settings, context.database, (challenger, champion), context.known_until)


def show_shadow_report(context: CliContext, report: "ShadowReport") -> None:
    """Print a report as a paragraph."""
    from monitoring.shadow.shadow_report import describe_shadow

    context.echo(describe_shadow(report))
