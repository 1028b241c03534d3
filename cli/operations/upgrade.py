"""The command that migrates the ledger to this release, back to an earlier one, or tries that on a copy."""

import re
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli.context import JSON, CliContext
from cli.output import Columns, OutputTable, format_count, print_json, printable

if TYPE_CHECKING:
    from serving.upgrade.dry_run import DryRun

DIFFERS = 8
SHOWN_ANSWERS = 20
REVISION = re.compile(r"\d{4}")
ANSWER_COLUMNS: Columns = {
    "account": "id",
    "scored at": "id",
    "recorded risk": "number",
    "risk now": "number",
    "first field that differs": "text",
}
REASONS = {
    "version_gone": "the bundle of their model version is gone",
    "bundle_refused": "the bundle of their model version is of another release, or damaged",
    "history_gone": "the signals of their day are no longer published",
    "account_gone": "the account has no signals on that day any more",
    "signal_gone": "a signal of their model is no longer published",
}


@click.command(short_help="Migrate the ledger to this release, or try it.")
@click.option("--dry-run", is_flag=True, help="Only try it on a copy, and compare answers; nothing is changed.")
@click.option(
    "--last",
    type=click.IntRange(min=1),
    default=1_000,
    show_default=True,
    help="With --dry-run: how many recorded answers to compute again.",
)
@click.option("--to", "revision", help="Migrate to this revision; an older one is the way back to an earlier release.")
@JSON
@click.pass_obj
def upgrade(context: CliContext, dry_run: bool, last: int, revision: str | None) -> int:
    """Bring the ledger's database to the schema of this release, and keep every row.

    With --dry-run a copy is migrated, and the answers that were recorded last are computed again by this release and
    compared. The exit code is 0 if all of them are equal and no row is lost, and 8 if something differs.

    \b
    Example: oarlock upgrade --dry-run
             oarlock upgrade
             oarlock upgrade --to 0008
    """
    if dry_run and revision:
        raise click.UsageError("--dry-run tries the schema of this release; leave --to out.")
    if dry_run:
        return _try(context, last)
    _migrate(context, revision)
    return 0


def _try(context: CliContext, last: int) -> int:
    from configs.clock import now
    from serving.upgrade.dry_run import try_upgrade

    with context.progress("upgrade") as progress:
        progress("trying", 0, 1)
        result = try_upgrade(context.settings, context.state, last, now)
    if context.as_json:
        print_json({**asdict(result), "is_same": result.is_same})
    else:
        _show(context, result)
    return 0 if result.is_same else DIFFERS


def _migrate(context: CliContext, revision: str | None) -> None:
    from serving.ledger.database import migrate_database
    from serving.ledger.ledger import open_ledger
    from serving.ledger.schema import HEAD_REVISION

    target = revision or HEAD_REVISION
    if not REVISION.fullmatch(target) or target > HEAD_REVISION:
        raise click.UsageError(f"--to takes a revision up to {HEAD_REVISION}, such as 0008.")
    location = open_ledger(context.settings, context.state).location
    if target < HEAD_REVISION:  # recorded before: recording it later would migrate the database again
        context.record_audit("downgraded", target)
    before = migrate_database(location, target)
    if target == HEAD_REVISION and before not in {None, target}:
        context.record_audit("upgraded", target, before=before)
    if context.as_json:
        print_json({"from_revision": before, "to_revision": target})
    else:
        context.echo(f"The schema of the ledger: {before or 'none'} -> {target}.")


def _show(context: CliContext, result: "DryRun") -> None:
    replay = result.replay
    lost = "; ".join(f"{name} loses {format_count(rows, 'row')}" for name, rows in result.lost_rows.items())
    context.echo(f"The schema of the ledger: {result.from_revision} -> {result.to_revision}, tried on a copy.")
    context.echo(f"{format_count(result.rows, 'row')} migrated, {lost or 'none is lost'}.")
    context.echo(
        f"Of the last {format_count(result.answers, 'answer')} {replay.equal:,} are equal, {replay.identical:,} of them"
        f" to the last bit, and {len(replay.different):,} differ."
    )
    for reason, count in replay.not_replayed.items():
        context.echo(f"{format_count(count, 'answer')} cannot be computed again: {REASONS[reason]}.")
    table = OutputTable(ANSWER_COLUMNS)
    for answer in replay.different[:SHOWN_ANSWERS]:
        first = answer.first
        change = printable(f"{first.field}: {first.recorded!r} -> {first.now!r}")
        risks = f"{answer.recorded_risk:.6f}", f"{answer.risk:.6f}"
        table.add(answer.account_id, f"{answer.scored_at:%Y-%m-%d %H:%M:%S}", *risks, change)
    if replay.different:
        table.print(context)
    if len(replay.different) > SHOWN_ANSWERS:
        context.echo(f"{len(replay.different) - SHOWN_ANSWERS:,} more differ: --json lists all.")
