"""The verbs of the ledger: what it holds, and how long."""

from datetime import timedelta

import click

from commands.invocation import AS_JSON, Oarlock
from commands.rendering import print_json


@click.group()
def ledger() -> None:
    """Look after the record of every risk ever given.

    \b
    Example: oarlock ledger prune --keep-days 730
    """


@ledger.command()
@click.option("--keep-days", type=click.IntRange(min=1), required=True, help="Risks given before are taken away.")
@AS_JSON
@click.pass_obj
def prune(oarlock: Oarlock, keep_days: int, as_json: bool) -> None:
    """Take away the risks that were given longer ago.

    \b
    Example: oarlock ledger prune --keep-days 730
    """
    oarlock.speaks_json = as_json
    from configs.clock import now
    from serving.ledger import open_ledger
    from serving.writer import recover

    opened, at = open_ledger(oarlock.settings, oarlock.state), now()
    recover(opened, oarlock.state.journal, now)
    done = {"taken_away": opened.prune(at - timedelta(days=keep_days)), "kept": opened.count()}
    if as_json:
        print_json(done)
    else:
        oarlock.console.print(f"{done['taken_away']:,} risks taken away, {done['kept']:,} kept.")
