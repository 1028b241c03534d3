"""The verbs of the webhooks: find what is worth telling, send it, and send it again."""

from datetime import datetime

import click

from cli.context import AS_JSON, Oarlock
from cli.output import new_table, print_json


@click.group()
def webhooks() -> None:
    """Tell other tools what changed: bands, drivers, renewals with risk, old data.

    \b
    Example: oarlock webhooks send
    """


@webhooks.command()
@AS_JSON
@click.pass_obj
def send(oarlock: Oarlock, as_json: bool) -> None:
    """Find what changed since the last time, and send everything that is due; run it after `score --all` and often.

    \b
    Example: oarlock webhooks send
    """
    oarlock.speaks_json = as_json
    from configs.clock import now
    from features.store.account_table import FactsTable
    from features.store.publication import published_note
    from monitoring.alerts.outbox import find_events, tell_stale
    from monitoring.alerts.rules import Published
    from monitoring.alerts.webhooks import count_deliveries, send_due
    from serving.ledger.ledger import open_ledger
    from serving.ledger.writer import recover

    settings, state, engine = oarlock.settings, oarlock.state, oarlock.database
    recover(open_ledger(settings, state), state.journal, now)
    table = FactsTable(state.facts)
    facts = table.of(table.columns("account_id")["account_id"])
    queued = find_events(engine, settings, facts, now())
    note = published_note(state)
    published = Published(datetime.fromisoformat(note["as_of"]), tuple(one["view"] for one in note["views"]))
    queued += tell_stale(engine, settings, published, min(oarlock.known_until, now()))
    ended = send_due(engine, settings.webhooks, now)
    if as_json:
        counts = [{"endpoint": e, "status": s, "count": n} for (e, s), n in count_deliveries(engine).items()]
        print_json({"queued": queued, "ended": dict(ended), "deliveries": counts})
        return
    oarlock.console.print(f"{queued:,} queued; {ended['sent']:,} sent, {ended['pending']:,} to try again.")
    shown = new_table("endpoint", "status", "deliveries")
    for (endpoint, status), count in sorted(count_deliveries(engine).items()):
        shown.add_row(endpoint, status, f"{count:,}")
    oarlock.console.print(shown)


@webhooks.command()
@click.argument("identity", metavar="[ID]", default="")
@click.pass_obj
def replay(oarlock: Oarlock, identity: str) -> None:
    """Put every dead letter, or the one delivery named, back in the queue.

    \b
    Example: oarlock webhooks replay
    """
    from configs.clock import now
    from configs.errors import RequestError
    from monitoring.alerts.webhooks import replay as run

    count = run(oarlock.database, now(), identity)
    if identity and not count:
        raise RequestError(f"There is no delivery {identity} to send again.", "`oarlock webhooks send` counts them.")
    oarlock.audit("replayed", identity, deliveries=count)
    oarlock.console.print(f"{count:,} deliveries are in the queue again; `oarlock webhooks send` sends them.")
