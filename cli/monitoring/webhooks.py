"""Commands for webhooks: find and send events, and send dead letters again."""

from collections.abc import Mapping
from datetime import datetime

import click

from cli.context import JSON, CliContext
from cli.output import OutputTable, print_json


@click.group(short_help="Send changes of risk to other tools.")
def webhooks() -> None:
    """Send events to other tools: changed bands and drivers, renewals at risk, stale signals, changed verdicts.

    \b
    Example: oarlock webhooks send
    """


@webhooks.command()
@JSON
@click.pass_obj
def send(context: CliContext) -> None:
    """Find new events and send everything that is due; run it after `score --all`, and often.

    \b
    Example: oarlock webhooks send
    """
    from configs.clock import now
    from monitoring.alerts.webhooks import count_deliveries, send_due_deliveries

    context.recover_ledger()
    queued = enqueue_events(context)
    results = send_due_deliveries(context.database, context.settings.webhooks, now)
    counts = count_deliveries(context.database)
    if context.as_json:
        deliveries = [{"endpoint": e, "status": s, "count": n} for (e, s), n in counts.items()]
        print_json({"queued": queued, "results": dict(results), "deliveries": deliveries})
    else:
        context.echo(f"{queued:,} queued, {results['sent']:,} sent, {results['pending']:,} to be tried again.")
        _show_deliveries(context, counts)


@webhooks.command()
@click.argument("delivery_id", metavar="[ID]", default="")
@click.pass_obj
def replay(context: CliContext, delivery_id: str) -> None:
    """Put all dead letters, or one delivery, back into the queue.

    \b
    Example: oarlock webhooks replay
    """
    from configs.clock import now
    from configs.errors import RequestError
    from monitoring.alerts.webhooks import requeue_deliveries

    count = requeue_deliveries(context.database, now(), delivery_id)
    if delivery_id and not count:
        hint = "`oarlock webhooks send` counts the deliveries."
        raise RequestError(f"There is no delivery {delivery_id} to send again.", hint)
    context.record_audit("replayed", delivery_id, deliveries=count)
    context.echo(f"{count:,} deliveries are back in the queue; `oarlock webhooks send` sends them.")


def enqueue_events(context: CliContext) -> int:
    """Queue the events of new risks, of stale signals and of changed verdicts; returns how many."""
    from configs.clock import now
    from features.store.account_table import AccountTable
    from features.store.publication import read_publication
    from monitoring.alerts.outbox import (
        KnownAccounts,
        enqueue_risk_events,
        enqueue_stale_events,
        enqueue_verdict_events,
    )
    from monitoring.alerts.rules import PublishedFamilies
    from serving.accounts.feedback_store import FeedbackStore

    table = AccountTable(context.state.account_table)
    details = table.details_by_id(table.columns("account_id")["account_id"])
    accounts = KnownAccounts(details, FeedbackStore(context.ledger).active_marks(now().date()))
    changes = enqueue_risk_events(context.database, context.settings, accounts, now())
    publication = read_publication(context.state)
    families = tuple(view["view"] for view in publication["views"])
    published = PublishedFamilies(datetime.fromisoformat(publication["as_of"]), families)
    at = min(context.known_until, now())
    stale = enqueue_stale_events(context.database, context.settings, published, at)
    return changes + stale + enqueue_verdict_events(context.database, context.settings, now())


def _show_deliveries(context: CliContext, counts: Mapping[tuple[str, str], int]) -> None:
    table = OutputTable({"endpoint": "id", "status": "id", "deliveries": "number"})
    for (endpoint, status), count in sorted(counts.items()):
        table.add(endpoint, status, f"{count:,}")
    table.print(context)
