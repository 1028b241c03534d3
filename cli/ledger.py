"""Commands for the ledger: remove old risks, and erase an account everywhere."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from cli.context import ACCOUNT, JSON, CliContext
from cli.output import OutputTable, print_json

if TYPE_CHECKING:
    from serving.security.erasure import Certificate


@click.group(short_help="Remove old risks from the ledger.")
def ledger() -> None:
    """Manage the ledger: the record of every risk that was returned.

    \b
    Example: oarlock ledger prune --keep-days 730
    """


@ledger.command()
@click.option("--keep-days", type=click.IntRange(min=1), required=True, help="Remove what is older.")
@JSON
@click.pass_obj
def prune(context: CliContext, keep_days: int) -> None:
    """Remove old risks and denied requests, and give their space back to the disk.

    What people did stays in the audit.

    \b
    Example: oarlock ledger prune --keep-days 730
    """
    from configs.clock import now
    from serving.security.audit_log import prune_denied_requests

    recovered, before = context.recover_ledger(), now() - timedelta(days=keep_days)
    removed, denied = recovered.prune(before), prune_denied_requests(context.database, before)
    remaining = recovered.count()
    recovered.vacuum()
    if context.as_json:
        print_json({"removed": removed, "remaining": remaining, "denied_requests_removed": denied})
    else:
        context.echo(f"{removed:,} risks removed, {remaining:,} remain. {denied:,} rows of denied requests removed.")


@click.command(short_help="Erase an account everywhere, with a certificate.")
@click.argument("account", type=ACCOUNT)
@JSON
@click.pass_obj
def erase(context: CliContext, account: str) -> None:
    """Erase an account from store, history, ledger, queues and exports, and certify how many rows were removed.

    Remove the account from the raw tables first: Oarlock never changes them, and the next publish would bring it back.

    \b
    Example: oarlock erase A0000302
    """
    from configs.clock import now
    from configs.errors import NotReady
    from serving.security.erasure import erase_account, unfinished_targets

    context.recover_ledger()
    certificate = erase_account(context.state, context.database, account, now())
    context.record_audit("erased", certificate["account_sha256"][:16], removed=sum(certificate["removed"].values()))
    if context.as_json:
        print_json(certificate)
    else:
        _show_certificate(context, certificate)
    if unfinished := unfinished_targets(certificate):
        erasure = certificate["targets"][unfinished[0]]
        more = f" (and {len(unfinished) - 1} more)" if len(unfinished) > 1 else ""
        hint = "Erase again once that is mended, or forget the target: `oarlock export-targets remove TARGET`."
        raise NotReady(f"{unfinished[0]}{more} may still hold the account: {erasure['detail']}", hint)


def _show_certificate(context: CliContext, certificate: "Certificate") -> None:
    table = OutputTable({"store": "id", "rows removed": "number", "": "text"})
    for store, count in certificate["removed"].items():
        erasure = certificate["targets"].get(store.removeprefix("export "))
        table.add(store, f"{count:,}", erasure["detail"] if erasure else "")
    table.print(context)
    context.echo(f"The certificate is in {context.state.folder / 'erased'}.")
