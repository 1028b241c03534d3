"""Gathering account facts: those of every account at risk on a day, from the tables as they were known then."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from configs.settings import StageSettings
from features.compute.compute import snapshots
from features.store.account_table import AccountFacts, Stage
from features.tables.contract import CONTRACT
from features.tables.derived import KEY
from features.tables.point_in_time import as_known
from features.tables.raw_table import RawTable


def account_facts(
    tables: Mapping[str, RawTable], as_of: datetime, stages: StageSettings, active_within: int | None = None
) -> Iterator[AccountFacts]:
    """The facts of every account at risk on this day, by account_id; a table that is not there leaves its facts out."""
    rows = snapshots(tables, as_of, active_within)
    known = {name: as_known(tables[name].rows, CONTRACT[name], as_of) for name in _ABOUT if name in tables}
    for name, about in known.items():
        rows = rows.left_join(_ABOUT[name](about, stages), KEY, rname=f"{name}_{{name}}")
    for row in rows.order_by(KEY).to_pyarrow().to_pylist():
        yield _facts(row, as_of, stages)


def stage_of(since: datetime | None, term_ends_at: datetime | None, as_of: datetime, stages: StageSettings) -> Stage:
    """Where an account stands: it first gets started, later comes to the end of its terms, in between it is there."""
    if since and since > as_of - timedelta(days=stages.onboarding_days):
        return "onboarding"
    if term_ends_at and term_ends_at <= as_of + timedelta(days=stages.renewing_days):
        return "renewing"
    return "established"


def _facts(row: Mapping[str, Any], as_of: datetime, stages: StageSettings) -> AccountFacts:
    stage = stage_of(row.get("since"), row.get("term_ends_at"), as_of, stages)
    held_out, given = bool(row.get("held_out")), {name: row.get(name) for name in _AS_THEY_ARE}
    return AccountFacts(row[KEY], stage=stage, held_out=held_out, **given)


_AS_THEY_ARE = ("name", "owner", "segment", "parent_id", "mrr", "renews_at", "touched_at", "play", "play_at")


def _of_accounts(accounts: ir.Table, _: StageSettings) -> ir.Table:
    return accounts.select(KEY, "name", "owner", "segment", "parent_id", since=accounts.created_at)


def _of_subscriptions(subscriptions: ir.Table, stages: StageSettings) -> ir.Table:
    running = subscriptions.filter(subscriptions.ended_at.isnull())
    ahead = (running.renews_at_age <= 0).ifelse(running.renews_at, ibis.null("timestamp"))
    occasion = running.term_months.isnull() | (running.term_months >= stages.shortest_term_months)
    found = running.group_by(KEY).aggregate(
        mrr=running.mrr.sum(), ends_at=ahead.min(), term_ends_at=ahead.min(where=occasion)
    )
    return found.mutate(renews_at=ibis.coalesce(found.term_ends_at, found.ends_at)).drop("ends_at")


def _of_touches(touches: ir.Table, _: StageSettings) -> ir.Table:
    # What an account finds inside the product is nobody's call.
    return touches.filter(touches.kind != "in_app").group_by(KEY).aggregate(touched_at=touches["at"].max())


def _of_plays(plays: ir.Table, _: StageSettings) -> ir.Table:
    latest = plays.assigned_at == plays.assigned_at.max().over(ibis.window(group_by=KEY))
    last = plays.filter(latest).group_by(KEY)
    return last.aggregate(play=plays.play.max(), play_at=plays.assigned_at.max(), held_out=plays.holdout.max())


_ABOUT = {
    "accounts": _of_accounts,
    "subscriptions": _of_subscriptions,
    "touches": _of_touches,
    "plays": _of_plays,
}
