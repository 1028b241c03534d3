"""The verbs of the ledger: what it holds, and how long."""

from datetime import timedelta

import click

from cli.context import AS_JSON, Oarlock
from cli.output import new_table, print_json


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
    from serving.ledger.ledger import open_ledger
    from serving.ledger.writer import recover

    opened, at = open_ledger(oarlock.settings, oarlock.state), now()
    recover(opened, oarlock.state.journal, now)
    done = {"taken_away": opened.prune(at - timedelta(days=keep_days)), "kept": opened.count()}
    if as_json:
        print_json(done)
    else:
        oarlock.console.print(f"{done['taken_away']:,} risks taken away, {done['kept']:,} kept.")


@click.command()
@click.argument("account")
@AS_JSON
@click.pass_obj
def forget(oarlock: Oarlock, account: str, as_json: bool) -> None:
    """Erase an account from store, history, ledger, queues and exports, with a certificate of what was removed.

    Remove it from the raw tables first: they are not Oarlock's, and the next publish reads them again.

    \b
    Example: oarlock forget A0000302
    """
    oarlock.speaks_json = as_json
    from configs.clock import now
    from serving.ledger.ledger import open_ledger
    from serving.ledger.writer import recover
    from serving.security.erasure import erase

    state = oarlock.state
    recover(open_ledger(oarlock.settings, state), state.journal, now)
    certificate = erase(state, oarlock.database, account, now())
    oarlock.audit("forgotten", certificate["account_sha256"][:16], removed=sum(certificate["removed"].values()))
    if as_json:
        print_json(certificate)
        return
    table = new_table("place", "removed")
    for place, count in certificate["removed"].items():
        table.add_row(place, f"{count:,}")
    oarlock.console.print(table)
    oarlock.console.print(f"The certificate is in {state.folder / 'erased'}.", markup=False)
