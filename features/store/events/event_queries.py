"""Events as expressions: which rows of the raw tables are events of an account, and the sentence that each one is."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import reduce

import ibis
import ibis.expr.types as ir
from ibis import _

from features.store.events.event_table import MAX_EVENTS
from features.store.events.event_words import BEGAN, ENDED, EventFamily
from features.tables.contract import ACCOUNT_ID
from features.tables.point_in_time import filter_as_of
from features.tables.raw_table import RawTable

Build = Callable[[ir.Table], Iterator[ir.Table]]
LARGEST = 1e15  # a row may not be valid, and a cast of a larger number would end the whole query
NEWEST_FIRST = (ibis.desc(_.at), _.text)


def select_events(tables: Mapping[str, RawTable], account_id: ir.StringValue, as_of: ir.StringValue) -> ir.Table:
    """The newest 1,000 events of an account known before an instant: at, family, text, is_marked.

    At least one of the tables must have events.
    """
    of_account = {name: replace(table, rows=_rows_of(table, account_id)) for name, table in tables.items()}
    events = _unite_events(of_account, as_of.cast("timestamp"))
    return events.order_by(*NEWEST_FIRST).limit(MAX_EVENTS).drop(ACCOUNT_ID)


def select_all_events(tables: Mapping[str, RawTable], as_of: datetime) -> ir.Table:
    """All events known before an instant, by account: account_id, at, family, text, is_marked.

    At least one of the tables must have events.
    """
    events = _unite_events(tables, ibis.literal(as_of).cast("timestamp"))
    return events.filter(events[ACCOUNT_ID].notnull()).order_by(ACCOUNT_ID, *NEWEST_FIRST)


def _unite_events(tables: Mapping[str, RawTable], now: ir.TimestampValue) -> ir.Table:
    events = [
        event
        for name, build in BUILDERS.items()
        if name in tables
        for event in build(filter_as_of(tables[name].rows, tables[name].contract, now))
    ]
    return reduce(ir.Table.union, events).filter(_.at.notnull())


def _rows_of(table: RawTable, account_id: ir.StringValue) -> ir.Table:
    return table.rows.filter(table.rows[ACCOUNT_ID] == account_id)


def _event(rows: ir.Table, at: str, family: EventFamily, text, *, marked: bool = False) -> ir.Table:
    return rows.select(
        ACCOUNT_ID,
        at=rows[at].cast("timestamp(6)"),
        family=ibis.literal(family),
        text=text,
        is_marked=ibis.literal(marked),
    )


def _subscriptions(rows: ir.Table) -> Iterator[ir.Table]:
    plan = _.plan.fill_null("subscription")
    began = plan + f"{BEGAN} " + _rounded(_.mrr) + " a month" + _if(_.renews_at, ", renews " + _day(_.renews_at))
    yield _event(rows, "started_at", "contract", began, marked=True)
    yield _event(rows, "ended_at", "contract", plan + ENDED)


def _notices(rows: ir.Table) -> Iterator[ir.Table]:
    leaves, reason = _if(_.effective_at, ", leaves " + _day(_.effective_at)), _if(_.reason, ": " + _.reason)
    yield _event(rows, "notified_at", "contract", "gave notice" + leaves + reason, marked=True)


def _tickets(rows: ir.Table) -> Iterator[ir.Table]:
    kind = _if(_.severity, _.severity + " ") + _if(_.kind, _words(_.kind) + " ") + "ticket"
    rated = _if(_.csat, ", rated " + _rounded(_.csat) + " of 5")
    yield _event(rows, "opened_at", "support", kind + " opened")
    yield _event(rows, "resolved_at", "support", kind + " resolved" + rated)


def _invoices(rows: ir.Table) -> Iterator[ir.Table]:
    invoice = "invoice of " + _rounded(_.amount)
    late = (_.paid_at > _.due_at).fill_null(False).ifelse(" after its due day", "")
    yield _event(rows, "issued_at", "billing", invoice + " issued" + _if(_.due_at, ", due " + _day(_.due_at)))
    yield _event(rows, "paid_at", "billing", invoice + " paid" + late)


def _contacts(rows: ir.Table) -> Iterator[ir.Table]:
    role = _.role.fill_null("contact")
    yield _event(rows, "joined_at", "relationship", role + " joined")
    yield _event(rows, "left_at", "relationship", role + " left")


def _touches(rows: ir.Table) -> Iterator[ir.Table]:
    answer = _.responded.ifelse(", answered", ", no answer").fill_null("")
    yield _event(rows, "at", "engagement", _words(_.kind.fill_null("touch")) + _if(_.by, " by " + _.by) + answer)


def _milestones(rows: ir.Table) -> Iterator[ir.Table]:
    yield _event(rows, "reached_at", "onboarding", "reached: " + _words(_.milestone))


def _surveys(rows: ir.Table) -> Iterator[ir.Table]:
    yield _event(rows, "answered_at", "sentiment", _.kind.fill_null("survey") + " answered: " + _rounded(_.score))


def _plays(rows: ir.Table) -> Iterator[ir.Table]:
    withheld = _.holdout.fill_null(False).ifelse(" (held out: not carried out)", "")
    yield _event(rows, "assigned_at", "plays", "play " + _words(_.play) + withheld, marked=True)


BUILDERS: Mapping[str, Build] = {
    "subscriptions": _subscriptions,
    "notices": _notices,
    "tickets": _tickets,
    "invoices": _invoices,
    "contacts": _contacts,
    "touches": _touches,
    "milestones": _milestones,
    "surveys": _surveys,
    "plays": _plays,
}


def _if(value, text):
    return value.notnull().ifelse(text, "")


def _rounded(number):
    """The whole number as text; "?" for none, and for one that is too large, infinite or no number."""
    rounded = (number.abs() < LARGEST).ifelse(number, ibis.null()).round()
    return rounded.cast("string").fill_null("?")


def _day(instant):
    return instant.strftime("%Y-%m-%d")


def _words(text):
    return text.replace("_", " ")
