"""The command that verifies a page: renders it again from the ledger, or says what differs."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import JSON, CliContext
from cli.reports.report import compute_portfolio, open_service

if TYPE_CHECKING:
    from serving.pages.account.page_verification import PageVerification, Status

SHOWN_DIFFERENCES = 20
EXIT_CODES: "dict[Status, int]" = {
    "same": 0, "differs": 8, "not in the ledger": 17, "other release": 18, "replaced since": 18,
}  # fmt: skip


@click.command(short_help="Render a page of an account again, or say what differs.")
@click.argument("page", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@JSON
@click.pass_obj
def verify(context: CliContext, page: Path) -> int:
    """Render a page of an account again from the ledger, byte for byte, or say what differs.

    PAGE is a file that `oarlock report account` wrote, or a saved page of the service. The exit code is 0 if it is the
    same, 8 if it differs, 17 if the ledger does not hold its entry, and 18 if it can no longer be rendered in full:
    another release made it, or the signals or the model were replaced since.

    \b
    Example: oarlock verify 1024.html
    """
    from cli.output import print_json
    from features.store.publication import read_publication
    from serving.pages.account.page_verification import verify_page

    service = open_service(context)
    compute_portfolio(service)
    service.events.open(read_publication(service.state)["content_version"])
    result = verify_page(service, page.read_bytes().decode("utf-8", "replace"))
    if context.as_json:
        record, differences = asdict(result.record), [asdict(difference) for difference in result.differences]
        print_json({"status": result.status, "record": record, "differences": differences})
    else:
        _show(context, result)
    return EXIT_CODES[result.status]


def _show(context: CliContext, result: "PageVerification") -> None:
    from serving.pages.account.page_record import hash_templates

    record, entry = result.record, result.entry
    name = f"entry {record.entry[:16]} of {record.account_id}"
    if entry is None:
        context.echo(
            f"Not in the ledger: {name}, recorded {record.served_at}. It was pruned, erased, or never recorded."
        )
    elif result.status == "same":
        context.echo(f"The same, byte for byte: {name}, recorded {record.served_at} by model version {entry.version}.")
    elif result.status == "other release":
        context.echo(
            f"Another release made the page: {record.release} with templates {record.templates}, this one has"
            f" {hash_templates()}. It cannot be rendered again here. The ledger holds {name}: risk {entry.risk:.6f}."
        )
    elif result.status == "replaced since":
        context.echo(
            f"What the ledger holds is the same: {name}. The rest cannot be rendered again: the signals or the model"
            " were replaced since."
        )
    else:
        context.echo(f"The page differs from {name}, in {len(result.differences)} places:")
    for difference in result.differences[:SHOWN_DIFFERENCES]:
        context.echo(f"  {difference.section}: the page says {difference.page!r}, the ledger {difference.ledger!r}")
