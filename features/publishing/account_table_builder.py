"""Builds the account table: the details of every account at risk on a day, from the tables as they were known then."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from configs.sections.accounts import StageSettings
from features.compute.compute import select_snapshots
from features.store.account_table import AccountDetails, Stage
from features.tables.contract import ACCOUNT_ID, CONTRACT
from features.tables.point_in_time import as_of_view
from features.tables.raw_table import RawTable

COPIED_COLUMNS = ("name", "owner", "segment", "parent_id", "mrr", "renews_at", "touched_at", "play", "play_at")


def build_account_details(
    tables: Mapping[str, RawTable], as_of: datetime, stages: StageSettings, required_activity_days: int | None = None
) -> Iterator[AccountDetails]:
    """The details of every account at risk on this day, by account_id; those of missing tables are left out."""
    rows = select_snapshots(tables, as_of, required_activity_days)
    for name, summarize in _SUMMARIES.items():
        if name in tables:
            view = as_of_view(tables[name].rows, CONTRACT[name], as_of)
            rows = rows.left_join(summarize(view, stages), ACCOUNT_ID, rname=f"{name}_{{name}}")
    for row in rows.order_by(ACCOUNT_ID).to_pyarrow().to_pylist():
        yield _to_details(row, as_of, stages)


def lifecycle_stage(
    created_at: datetime | None, term_ends_at: datetime | None, as_of: datetime, stages: StageSettings
) -> Stage:
    """An account is onboarding at first, renewing near the end of a term, and established in between."""
    if created_at and created_at > as_of - timedelta(days=stages.onboarding_days):
        return "onboarding"
    if term_ends_at and term_ends_at <= as_of + timedelta(days=stages.renewing_days):
        return "renewing"
    return "established"


def _to_details(row: Mapping[str, Any], as_of: datetime, stages: StageSettings) -> AccountDetails:
    stage = lifecycle_stage(row.get("created_at"), row.get("term_ends_at"), as_of, stages)
    copied = {name: row.get(name) for name in COPIED_COLUMNS}
    return AccountDetails(row[ACCOUNT_ID], stage=stage, held_out=bool(row.get("held_out")), **copied)


def _summarize_accounts(accounts: ir.Table, _: StageSettings) -> ir.Table:
    return accounts.select(ACCOUNT_ID, "name", "owner", "segment", "parent_id", "created_at")


def _summarize_subscriptions(subscriptions: ir.Table, stages: StageSettings) -> ir.Table:
    running = subscriptions.filter(subscriptions.ended_at.isnull())
    ahead = (running.renews_at_age <= 0).ifelse(running.renews_at, ibis.null("timestamp"))
    is_long_term = running.term_months.isnull() | (running.term_months >= stages.shortest_term_months)
    summary = running.group_by(ACCOUNT_ID).aggregate(
        mrr=running.mrr.sum(), ends_at=ahead.min(), term_ends_at=ahead.min(where=is_long_term)
    )
    return summary.mutate(renews_at=ibis.coalesce(summary.term_ends_at, summary.ends_at)).drop("ends_at")


def _summarize_touches(touches: ir.Table, _: StageSettings) -> ir.Table:
    # A message inside the product is not a contact by a person.
    return touches.filter(touches.kind != "in_app").group_by(ACCOUNT_ID).aggregate(touched_at=touches["at"].max())


def _summarize_plays(plays: ir.Table, _: StageSettings) -> ir.Table:
    is_last = plays.assigned_at == plays.assigned_at.max().over(ibis.window(group_by=ACCOUNT_ID))
    last = plays.filter(is_last).group_by(ACCOUNT_ID)
    return last.aggregate(play=plays.play.max(), play_at=plays.assigned_at.max(), held_out=plays.holdout.max())


_SUMMARIES = {
    "accounts": _summarize_accounts,
    "subscriptions": _summarize_subscriptions,
    "touches": _summarize_touches,
    "plays": _summarize_plays,
}
