"""The verbs of the accounts: give their risks and say what a risk is made of."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cli.context import AS_JSON, AS_OF, Oarlock
from cli.export import Wanted, run_export
from cli.output import print_json, show_explained, show_scores

SHOWN_ACCOUNTS = 10
SHOWN_DRIVERS = 3


@click.command()
@click.argument("accounts", nargs=-1)
@click.option("--all", "everyone", is_flag=True, help="Every account published.")
@click.option(
    "--drivers",
    type=click.IntRange(min=0),
    default=SHOWN_DRIVERS,
    show_default=True,
    help="How many drivers to name in each direction.",
)
@AS_OF
@click.option("--to", help="With --all: a .parquet or .csv file, or postgresql://user@host/database/table.")
@click.option("--fields", type=click.Path(path_type=Path), help="A mapping to another tool's field names.")
@click.option("--dry-run", is_flag=True, help="With --to: say what would change there, and change nothing.")
@AS_JSON
@click.pass_obj
def score(  # noqa: PLR0913, PLR0917 - a parameter per option
    oarlock: Oarlock,
    accounts: tuple[str, ...],
    everyone: bool,
    drivers: int,
    as_of: datetime | None,
    to: str | None,
    fields: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Give the risk of accounts, riskiest first, and write each to the ledger.

    \b
    Example: oarlock score --all --json
    Example: oarlock score --all --to scores.csv --fields configs/exports/customer_success.toml --dry-run
    """
    oarlock.speaks_json = as_json
    if bool(accounts) == everyone:
        raise click.UsageError("Name accounts, or say --all.")
    if not (everyone and to) and (to or fields or dry_run):
        raise click.UsageError("--to goes with --all; --fields and --dry-run with both.")
    if to:
        run_export(oarlock, Wanted(to, fields, dry_run, as_of, drivers))
        return
    reply, count = _reply(
        oarlock, list(accounts), Asked(as_of, drivers, None if as_json or accounts else SHOWN_ACCOUNTS)
    )
    if as_json:
        print_json(reply)
    elif reply["scores"] or not reply["not_scored"]:
        show_scores(oarlock, reply, count)
    _refuse_nobody(reply)


@click.command()
@click.argument("account")
@AS_OF
@AS_JSON
@click.pass_obj
def explain(oarlock: Oarlock, account: str, as_of: datetime | None, as_json: bool) -> None:
    """Show every family and signal that one account's risk is made of.

    \b
    Example: oarlock explain 1024
    """
    oarlock.speaks_json = as_json
    reply, _ = _reply(oarlock, [account], Asked(as_of, None))
    if as_json:
        print_json(reply)
    elif reply["scores"]:
        show_explained(oarlock, reply["scores"][0])
    _refuse_nobody(reply)


@click.command()
@click.option("--notices", type=click.Path(path_type=Path), required=True, help="The Parquet file to write.")
@click.pass_obj
def outcomes(oarlock: Oarlock, notices: Path) -> None:
    """Write which of the data set's accounts left, as POST /v1/outcomes was told, as rows of the raw table `notices`.

    \b
    Example: oarlock outcomes --notices notices.parquet
    """
    import pyarrow.parquet as pq

    from configs.files import replacing
    from features.ingestion.reader import account_ids
    from serving.accounts.feedback_store import Said
    from serving.ledger.ledger import open_ledger

    told = Said(open_ledger(oarlock.settings, oarlock.state)).notices()
    accounts = account_ids(oarlock.settings)
    known = told.filter([one in accounts for one in told["account_id"].to_pylist()])
    with replacing(notices) as temporary:
        pq.write_table(known, temporary)
    strange = told.num_rows - known.num_rows
    more = f" {strange:,} more are of accounts that the data set does not know, and left out." if strange else ""
    oarlock.console.print(f"{notices.resolve()} holds {known.num_rows:,} notices.{more}", markup=False)


@dataclass(frozen=True)
class Asked:
    """Which day is asked for, how many drivers, and how many of the riskiest are kept, all where None."""

    as_of: datetime | None
    drivers: int | None
    most: int | None = None


def _refuse_nobody(reply: dict[str, Any]) -> None:
    """Raise RequestError where none of the accounts asked for has a risk."""
    from configs.errors import RequestError

    if reply["not_scored"] and not reply["scores"]:
        one = reply["not_scored"][0]
        why = one["reason"].replace("_", " ")
        more = f" (nor have {len(reply['not_scored']) - 1:,} more)" if len(reply["not_scored"]) > 1 else ""
        raise RequestError(f"{one['account_id']} has no risk{more}: {why}.", "`oarlock score --all` lists who has one.")


def _reply(oarlock: Oarlock, accounts: list[str], asked: Asked) -> tuple[dict[str, Any], int]:
    """One reply of those that are kept, riskiest first, and how many accounts were asked for."""
    from configs.clock import now
    from serving.gc_tuning import tune_garbage_collector
    from serving.scoring.batch import open_batch
    from serving.scoring.scorer import Scorer

    until = oarlock.known_until
    with oarlock.progress("score") as progress:
        progress("opening", 0, 1)
        batch = open_batch(Scorer(oarlock.settings, oarlock.state, lambda: min(until, now())), accounts, asked.as_of)
        tune_garbage_collector()
        count = len(batch.account_ids)
        reply = batch.score_all(
            asked.drivers,
            max_accounts=asked.most,
            on_progress=lambda done: progress(f"{done:,} of {count:,} accounts", done, count),
        )
    return reply, count
