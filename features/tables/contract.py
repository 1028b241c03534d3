"""The contract of the raw tables: which columns a company brings, what they mean, and when each became known.

All instants are UTC. `accounts` is required, and the table that says who is at risk: `subscriptions`, or `usage` where
churn is inactivity. Any other table may be missing, which makes its signals absent.
Any table may carry `recorded_at`, the instant its row became known: where it does, the cut in time honours it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["text", "number", "instant", "day", "flag"]


@dataclass(frozen=True)
class Column:
    """One column of a raw table.

    `known_at` names the column that says when this value became known; without it the value came with its row.
    `settles_days` is for a value that is filled in later without an instant of its own: how many days after that of
    `known_at`, or of its row, it is trusted. `default` is what an empty value means, where it means something.
    """

    type: ColumnType
    meaning: str
    required: bool = False
    known_at: str | None = None
    settles_days: int = 0
    default: float | None = None


@dataclass(frozen=True)
class Table:
    """One raw table.

    `at` names the instant its rows happened and, without `recorded_at`, became known; None: known from the start.
    `key` may not repeat. `spans` are pairs of instants of which the second may not lie before the first.
    """

    name: str
    at: str | None
    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()
    spans: tuple[tuple[str, str], ...] = ()
    required: bool = False


SETTLES_DAYS = 14
RECORDED_AT = Column("instant", "when this row became known")


def _table(name: str, at: str | None, columns: dict[str, Column], **more) -> Table:
    account_id = Column("text", "the account this row is about", required=True)
    return Table(name, at, {"account_id": account_id, **columns, "recorded_at": RECORDED_AT}, **more)


ACCOUNTS = _table(
    "accounts",
    at="created_at",
    required=True,
    key=("account_id",),
    columns={
        "name": Column("text", "what people call the account"),
        "segment": Column("text", "the group it is judged within, such as small, mid, enterprise"),
        "industry": Column("text", "its industry"),
        "country": Column("text", "where it is"),
        "employees": Column("number", "how many people work there"),
        "created_at": Column("instant", "when it became an account", required=True),
        "parent_id": Column("text", "the account that owns it"),
        "owner": Column("text", "who looks after it"),
        "channel": Column("text", "how it was won"),
    },
)

SUBSCRIPTIONS = _table(
    "subscriptions",
    at="started_at",
    key=("account_id", "subscription_id"),
    spans=(("started_at", "ended_at"), ("started_at", "renews_at")),
    columns={
        "subscription_id": Column("text", "one plan or add-on over one stretch of time", required=True),
        "plan": Column("text", "what was bought"),
        "seats": Column("number", "how many people may use it; empty for an add-on without seats"),
        "mrr": Column("number", "monthly recurring revenue after discount", required=True),
        "started_at": Column("instant", "from when it runs", required=True),
        "ended_at": Column("instant", "when it really ended; empty while it runs", known_at="ended_at"),
        "term_months": Column("number", "how many months a term lasts"),
        "renews_at": Column("instant", "the end of the paid term"),
        "auto_renew": Column("flag", "whether it renews by itself"),
        "discount": Column("number", "share of the list price given away, 0 to 1"),
    },
)

USAGE = _table(
    "usage",
    at="occurred_at",
    columns={
        "user_id": Column("text", "who did it; empty where the source only counts"),
        "event": Column("text", "what was done; `active_users` is reserved for a daily count of people", required=True),
        "occurred_at": Column("instant", "when, or the day it was counted for", required=True),
        "quantity": Column("number", "how often; empty means once", default=1.0),
    },
)

TICKETS = _table(
    "tickets",
    at="opened_at",
    key=("account_id", "ticket_id"),
    spans=(("opened_at", "first_response_at"), ("opened_at", "resolved_at")),
    columns={
        "ticket_id": Column("text", "the ticket", required=True),
        "opened_at": Column("instant", "when it was opened", required=True),
        "first_response_at": Column("instant", "when a person first answered", known_at="first_response_at"),
        "resolved_at": Column("instant", "when it was resolved", known_at="resolved_at"),
        "severity": Column("text", "low, normal, high or urgent"),
        "kind": Column("text", "such as how_to, defect, billing, request"),
        # Without an instant of their own: the first is final once the ticket is closed, the second is asked for then.
        "escalated": Column("flag", "whether it was escalated", known_at="resolved_at"),
        "csat": Column("number", "satisfaction given on it, 1 to 5", known_at="resolved_at", settles_days=SETTLES_DAYS),
    },
)

INVOICES = _table(
    "invoices",
    at="issued_at",
    key=("account_id", "invoice_id"),
    spans=(("issued_at", "due_at"), ("issued_at", "paid_at")),
    columns={
        "invoice_id": Column("text", "the invoice", required=True),
        "issued_at": Column("instant", "when it was sent", required=True),
        "due_at": Column("instant", "when it is due"),
        "paid_at": Column("instant", "when it was paid; empty while it is open", known_at="paid_at"),
        "amount": Column("number", "what it asks for"),
    },
)

SURVEYS = _table(
    "surveys",
    at="sent_at",
    key=("account_id", "respondent_id", "kind", "sent_at"),
    spans=(("sent_at", "answered_at"),),
    columns={
        "respondent_id": Column("text", "who was asked"),
        "kind": Column("text", "nps, csat or ces", required=True),
        "sent_at": Column("instant", "when it was asked", required=True),
        "answered_at": Column("instant", "when it was answered; empty if never", known_at="answered_at"),
        "score": Column("number", "the answer: nps 0 to 10, csat and ces 1 to 7", known_at="answered_at"),
    },
)

TOUCHES = _table(
    "touches",
    at="at",
    columns={
        "at": Column("instant", "when the account was contacted", required=True),
        "kind": Column("text", "qbr, call, email, meeting, training or in_app", required=True),
        "by": Column("text", "who did it"),
        "responded": Column("flag", "whether the account answered or came", settles_days=SETTLES_DAYS),
        "commercial": Column("flag", "whether it was about selling rather than value"),
    },
)

CONTACTS = _table(
    "contacts",
    at="joined_at",
    key=("account_id", "contact_id"),
    spans=(("joined_at", "left_at"),),
    columns={
        "contact_id": Column("text", "the person", required=True),
        "role": Column("text", "champion, sponsor, exec, admin or user", required=True),
        "joined_at": Column("instant", "from when they were known there", required=True),
        "left_at": Column("instant", "when they left; empty while they are there", known_at="left_at"),
    },
)

MILESTONES = _table(
    "milestones",
    at=None,
    key=("account_id", "milestone"),
    columns={
        "milestone": Column("text", "such as kickoff, integration, first_value, live", required=True),
        "due_at": Column("instant", "when it was planned for"),
        "reached_at": Column("instant", "when it was reached; empty if not yet", known_at="reached_at"),
    },
)

NOTICES = _table(
    "notices",
    at="notified_at",
    key=("account_id", "notified_at"),
    spans=(("notified_at", "effective_at"),),
    columns={
        "notified_at": Column("instant", "when the account said it will leave", required=True),
        "effective_at": Column("instant", "from when"),
        "reason": Column("text", "the reason given"),
        "voluntary": Column("flag", "false where a payment failed"),
    },
)

PLAYS = _table(
    "plays",
    at="assigned_at",
    key=("account_id", "play", "assigned_at"),
    columns={
        "play": Column("text", "what was to be done", required=True),
        "assigned_at": Column("instant", "when it was decided", required=True),
        "holdout": Column("flag", "true where it was held back to learn its effect"),
        "started_at": Column("instant", "when it was begun", known_at="started_at"),
        "outcome": Column("text", "what came of it"),
    },
)

CONTRACT: Mapping[str, Table] = {
    table.name: table
    for table in (
        ACCOUNTS, SUBSCRIPTIONS, USAGE, TICKETS, INVOICES, SURVEYS, TOUCHES, CONTACTS, MILESTONES, NOTICES, PLAYS,
    )
}  # fmt: skip
