"""The commands that publish a day, and prune the days that were published."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from cli.context import DAY, JSON, CliContext
from cli.data.validate import show_span
from cli.output import format_percent, print_json
from cli.shadow import record_shadow

if TYPE_CHECKING:
    from features.publishing.pipeline import PublishResult


@click.command(short_help="Compute a day's signals and fill the online store.")
@click.option("--as-of", type=DAY, help="The day; today by default, or the last day of a finished data set.")
@click.option("--backfill-from", type=DAY, help="Also recompute past days from this one on, after raw rows changed.")
@click.option("--backfill-to", type=DAY, help="The last day to recompute; the published day by default.")
@click.option("--force", is_flag=True, help="Publish a day that fails the quality gate; needs --reason.")
@click.option("--reason", default="", help="Why it is forced; stored with the day.")
@click.option("--online", is_flag=True, help="Put the day online even if a later day is online.")
@JSON
@click.pass_obj
def publish(  # noqa: PLR0913, PLR0917 - a parameter per option
    context: CliContext,
    as_of: datetime | None,
    backfill_from: datetime | None,
    backfill_to: datetime | None,
    force: bool,
    reason: str,
    online: bool,
) -> None:
    """Compute the signals of a day, and of every training day still missing, and fill the online store.

    \b
    Example: oarlock publish --as-of 2023-07-01
    Example: oarlock publish --backfill-from 2023-05-01 --backfill-to 2023-06-01
    """
    from features.publishing.pipeline import PublishRequest
    from features.publishing.pipeline import publish as publish_days

    if force != bool(reason):
        raise click.UsageError("--force and --reason go together.")
    if backfill_to and not (backfill_from and backfill_from <= backfill_to):
        raise click.UsageError("--backfill-to needs a --backfill-from that is not after it.")
    request = PublishRequest(as_of or context.today, backfill_from, backfill_to, reason, online)
    with context.progress("publish") as progress:
        result = publish_days(context.settings, context.state, request, progress)
    if force:
        faults = len(result.day.faults)
        context.record_audit("forced", f"publish {result.as_of:%Y-%m-%d}", reason=reason, faults=faults)
    record_shadow(context)
    if context.as_json:
        print_json(asdict(result))
    else:
        _show_published(context, result)


@click.group(short_help="Remove signals of past days from disk.")
def history() -> None:
    """Manage the signals of past days on disk.

    \b
    Example: oarlock history prune --keep-days 90
    """


@history.command()
@click.option("--keep-days", type=click.IntRange(min=0), help="Remove older days that no training needs.")
@JSON
@click.pass_obj
def prune(context: CliContext, keep_days: int | None) -> None:
    """Remove histories of other signals or data than the published ones, and old days of the published history.

    \b
    Example: oarlock history prune --keep-days 90
    """
    from features.publishing.retention import prune_history

    removed = prune_history(context.settings, context.state, keep_days)
    if context.as_json:
        print_json(asdict(removed))
    else:
        size = f"{removed.bytes / 1e6:,.1f} MB"
        context.echo(f"Removed {removed.histories:,} other histories and {removed.days:,} days: {size}.")


def _show_published(context: CliContext, result: "PublishResult") -> None:
    from features.signals.base import family_label

    for violation in result.violations:
        context.echo(f"Quarantined: {violation}")
    days = f"{result.computed} days computed, {result.reused} reused"
    checks = "; the raw files have not changed since they were last validated" if result.validation_reused else ""
    context.echo(f"Published {result.day.snapshots:,} accounts for {result.as_of:%Y-%m-%d} ({days}{checks}).")
    if result.span and not result.span.is_declared:
        show_span(context, result.span)
    if result.skipped:
        context.echo(f"Skipped, because no account was at risk: {', '.join(result.skipped)}.")
    if result.online != result.as_of:
        context.echo(
            f"Online stays {result.online:%Y-%m-%d}, a later day. To put {result.as_of:%Y-%m-%d} online, publish it"
            " again with --online."
        )
    coverage = [f"{family_label(family)} {format_percent(share)}" for family, share in result.day.coverage.items()]
    context.echo(f"Filled in: {', '.join(coverage)}.")
    for fault in result.day.faults:
        context.echo(f"Forced ({result.day.forced_because}): {fault}")
