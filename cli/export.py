"""Exports: the risks of all accounts to a file or a table, and the reported outcomes as a raw table."""

import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import FILE, JSON, CliContext
from cli.output import OutputTable, print_json

if TYPE_CHECKING:
    from serving.exports.field_map import ExportRow
    from serving.exports.targets import ExportDifference, Target
    from serving.scoring.batch import BatchScorer


STANDARD_INPUT = "-"
PASSWORD_WARNING = (
    "The password in --output is in the process list, where every user of this machine can read it. "
    "Put it into PGPASSWORD or ~/.pgpass, or write the URL to standard input and pass --output -."
)


@dataclass(frozen=True)
class ExportOptions:
    """What to export: to which target, under which field names, of which day, with how many drivers per account.

    A job that may be killed names its `request_id`: what an earlier attempt recorded then counts as not delivered.
    """

    output: str
    field_map: Path | None
    dry_run: bool
    as_of: datetime | None
    drivers: int
    request_id: str = ""


@dataclass(frozen=True)
class ExportedScores:
    """The target, how many accounts it holds or would hold, and with a dry run what would change there."""

    target: str
    accounts: int
    difference: "ExportDifference | None"


@click.command("export-outcomes", short_help="Write the reported outcomes as the table `notices`.")
@click.option("--output", type=FILE, required=True, help="The Parquet file to write.")
@click.pass_obj
def export_outcomes(context: CliContext, output: Path) -> None:
    """Write the departures reported to POST /v1/outcomes as rows of the raw table `notices`.

    Accounts that are not in the data set are left out.

    \b
    Example: oarlock export-outcomes --output notices.parquet
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from configs.files import atomic_write
    from features.ingestion.reader import read_account_ids
    from serving.accounts.feedback_store import FeedbackStore

    notices = FeedbackStore(context.ledger).notice_table()
    known_ids = read_account_ids(context.settings, context.state)
    is_known = [account_id in known_ids for account_id in notices["account_id"].to_pylist()]
    exported = notices.filter(pa.array(is_known, pa.bool_()))
    with atomic_write(output) as temporary:
        pq.write_table(exported, temporary)
    unknown = notices.num_rows - exported.num_rows
    left_out = f" {unknown:,} of accounts that are not in the data set were left out." if unknown else ""
    context.echo(f"{output.resolve()}: {exported.num_rows:,} notices.{left_out}")


@click.group("export-targets", short_help="List and forget where scores were exported to.")
def export_targets() -> None:
    """Manage the remembered export targets: `erase` removes accounts from each of them.

    \b
    Example: oarlock export-targets list
    """


@export_targets.command("list")
@JSON
@click.pass_obj
def list_export_targets(context: CliContext) -> None:
    """List the targets that scores were exported to.

    \b
    Example: oarlock export-targets list
    """
    from serving.exports.remembered_targets import list_targets

    remembered = list_targets(context.database)
    if context.as_json:
        print_json({"targets": [asdict(target) for target in remembered]})
        return
    table = OutputTable({"target": "id", "account column": "id", "exported": "id"})
    for target in remembered:
        table.add(target.target, target.key_column, f"{target.exported_at:%Y-%m-%d %H:%M}")
    table.print(context)


@export_targets.command("remove")
@click.argument("target")
@click.pass_obj
def remove_export_target(context: CliContext, target: str) -> None:
    """Forget a target, which itself stays as it is: no account is erased there any more.

    \b
    Example: oarlock export-targets remove postgresql://me@old-host/crm/scores
    """
    from configs.errors import RequestError
    from serving.exports.remembered_targets import forget_target

    if not forget_target(context.database, target):
        hint = "`oarlock export-targets list` names the targets."
        raise RequestError(f"{target} is not a remembered export target.", hint)
    context.record_audit("target_forgotten", target)
    context.echo(f"{target} is forgotten; what it holds is not erased by Oarlock any more.")


def export_scores(context: CliContext, options: ExportOptions) -> None:
    """Bring a target up to date, or show what would change there."""
    exported = write_scores(context, options)
    if context.as_json:
        summary = {"output": exported.target, "accounts": exported.accounts, "dry_run": options.dry_run}
        print_json(summary | (asdict(exported.difference) if exported.difference else {}))
    elif exported.difference:
        title = f"{exported.target} would hold {exported.accounts:,} accounts"
        _show_difference(context, title, exported.difference)
    else:
        context.echo(f"{exported.target}: {exported.accounts:,} accounts.")


def write_scores(context: CliContext, options: ExportOptions) -> ExportedScores:
    """Score all accounts chunk by chunk, then bring the target up to date, or find what would change there."""
    from configs.clock import now
    from serving.exports.field_map import read_field_map, write_export
    from serving.exports.remembered_targets import remember_target
    from serving.exports.targets import compare_export

    field_map, destination = read_field_map(options.field_map), _read_target(options.output)
    destination.require_writable(field_map.arrow_schema)  # a refused export has served nobody
    batch = _open_batch(context, options)
    scratch = tempfile.TemporaryDirectory(dir=context.state.folder, prefix=".export-")
    with _served_if_delivered(context, batch), scratch as folder:
        export, existing = Path(folder) / "export.parquet", Path(folder) / "existing.parquet"
        count = write_export(export, field_map, _score_chunks(context, batch, options.drivers))
        difference = None
        if options.dry_run:
            difference = compare_export(
                destination.existing(existing, field_map.arrow_schema), export, field_map.key_column
            )
        else:
            destination.write(export, field_map.key_column)
    if not options.dry_run:
        remember_target(context.database, destination, field_map.key_column, now())
    return ExportedScores(destination.name, count, difference)


def _read_target(output: str) -> "Target":
    """The target that --output names, or the first line of standard input; warns of a password that others can read."""
    from serving.exports.targets import TableTarget, parse_target

    if output == STANDARD_INPUT:
        return parse_target(sys.stdin.readline().strip())
    target = parse_target(output)
    if isinstance(target, TableTarget) and target.has_password:
        click.echo(PASSWORD_WARNING, err=True)
    return target


def _open_batch(context: CliContext, options: ExportOptions) -> "BatchScorer":
    from serving.scoring.batch import open_batch

    batch = open_batch(context.state, context.open_scorer(), [], options.as_of)
    if options.request_id:
        context.ledger.mark_undelivered(options.request_id)
        batch = replace(batch, request_id=options.request_id)
    return batch.only_viewed() if options.dry_run else batch


@contextmanager
def _served_if_delivered(context: CliContext, batch: "BatchScorer") -> Generator[None, None, None]:
    """A risk is recorded before it is delivered; if an export fails, record that it reached nobody."""
    try:
        yield
    except BaseException:
        context.ledger.mark_undelivered(batch.request_id)
        raise


def _score_chunks(context: CliContext, batch: "BatchScorer", drivers: int) -> Iterator[list["ExportRow"]]:
    from features.store.account_table import AccountDetails, AccountTable
    from serving.exports.field_map import ExportRow
    from serving.gc_tuning import tune_garbage_collector

    show_notes(context, batch)
    account_table, done, total = AccountTable(context.state.account_table), 0, len(batch.account_ids)
    tune_garbage_collector()
    with context.progress("score") as progress:
        for response in batch.iter_responses(drivers):
            done += len(response["scores"]) + len(response["not_scored"])
            progress(f"{done:,} of {total:,} accounts", done, total)
            details = account_table.details_by_id([score["account_id"] for score in response["scores"]])
            yield [
                ExportRow(
                    score,
                    details.get(score["account_id"], AccountDetails("")),
                    response["model"],
                    context.settings.bands,
                )
                for score in response["scores"]
            ]
    account_table.close()


def show_notes(context: CliContext, batch: "BatchScorer") -> None:
    """Say if the model has no skill, and of a past day that its risks are not those that were served then."""
    if warning := batch.scorer.champions.champion().warning:
        context.echo(warning)
    if batch.purpose == "recomputed":
        version = batch.scorer.champions.champion().version.number
        context.echo(
            f"{batch.day:%Y-%m-%d} is a past day: its risks are recomputed with today's model (version {version})."
            " They are not what was served then, and are recorded as recomputed."
        )


def _show_difference(context: CliContext, title: str, difference: "ExportDifference") -> None:
    counts = {name: count for name, count in asdict(difference).items() if name != "examples"}
    context.echo(f"{title}: {', '.join(f'{count:,} {name}' for name, count in counts.items())}.")
    table = OutputTable({"account": "id", "status": "id", "change": "text"})
    for example in difference.examples:
        table.add(example.account_id, example.status, example.change)
    if difference.examples:
        table.print(context)
