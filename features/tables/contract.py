"""The contract of the raw tables: which columns a company provides, what they mean, and when each became known.

All instants are UTC. `accounts` is required, and so is the table that defines the accounts at risk: `subscriptions`, or
`usage` if churn is inactivity. Any other table may be missing, which makes its signals absent.
Any table may carry `recorded_at`, the instant at which its row became known. The point-in-time cut then uses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

ACCOUNT_ID = "account_id"
ColumnType = Literal["text", "number", "instant", "day", "flag"]


@dataclass(frozen=True)
class ColumnContract:
    """One column of a raw table.

    `known_at` names the column with the instant at which this value became known; without it the value came with its
    row. `settles_days` is for a value that is filled in later without an instant of its own: how many days after
    `known_at`, or after its row, it counts. `default` is the value that an empty cell stands for.
    """

    type: ColumnType
    meaning: str
    required: bool = False
    known_at: str | None = None
    settles_days: int = 0
    default: float | None = None


@dataclass(frozen=True)
class TableContract:
    """One raw table.

    `at` names the instant at which a row happened and, without `recorded_at`, became known; None: known from the start.
    `key` must be unique. `spans` are pairs of instants of which the second must not be before the first.
    """

    name: str
    at: str | None
    columns: Mapping[str, ColumnContract]
    key: tuple[str, ...] = ()
    spans: tuple[tuple[str, str], ...] = ()
    required: bool = False


SETTLES_DAYS = 14
ACCOUNT_COLUMN = ColumnContract("text", "the account of this row", required=True)
RECORDED_AT = ColumnContract("instant", "when this row became known")


def _complete(table: TableContract) -> TableContract:
    """The table with the columns that all tables have."""
    return replace(table, columns={ACCOUNT_ID: ACCOUNT_COLUMN, **table.columns, "recorded_at": RECORDED_AT})


ACCOUNTS = TableContract(
    "accounts",
    at="created_at",
    required=True,
    key=(ACCOUNT_ID,),
    columns={
        "name": ColumnContract("text", "the display name"),
        "segment": ColumnContract("text", "the group it is compared within, such as small, mid, enterprise"),
        "industry": ColumnContract("text", "its industry"),
        "country": ColumnContract("text", "its country"),
        "employees": ColumnContract("number", "number of employees"),
        "created_at": ColumnContract("instant", "when the account was created", required=True),
        "parent_id": ColumnContract("text", "the parent account"),
        "owner": ColumnContract("text", "the person responsible for it"),
        "channel": ColumnContract("text", "the sales channel"),
    },
)

SUBSCRIPTIONS = TableContract(
    "subscriptions",
    at="started_at",
    key=(ACCOUNT_ID, "subscription_id"),
    spans=(("started_at", "ended_at"), ("started_at", "renews_at")),
    columns={
        "subscription_id": ColumnContract("text", "one plan or add-on over one period", required=True),
        "plan": ColumnContract("text", "the plan or add-on"),
        "seats": ColumnContract("number", "number of seats; empty for an add-on without seats"),
        "mrr": ColumnContract("number", "monthly recurring revenue after discount", required=True),
        "started_at": ColumnContract("instant", "when it started", required=True),
        "ended_at": ColumnContract("instant", "when it actually ended; empty while active", known_at="ended_at"),
        "term_months": ColumnContract("number", "length of a term in months"),
        "renews_at": ColumnContract("instant", "the end of the paid term"),
        "auto_renew": ColumnContract("flag", "whether it renews by itself"),
        "discount": ColumnContract("number", "discount as a share of the list price, 0 to 1"),
    },
)

USAGE = TableContract(
    "usage",
    at="occurred_at",
    columns={
        "user_id": ColumnContract("text", "the user; empty if the source only has counts"),
        "event": ColumnContract(
            "text", "the event type; `active_users` is reserved for a daily count of people", required=True
        ),
        "occurred_at": ColumnContract("instant", "when it happened, or the day of the count", required=True),
        "quantity": ColumnContract("number", "the number of events; empty means 1", default=1.0),
    },
)

TICKETS = TableContract(
    "tickets",
    at="opened_at",
    key=(ACCOUNT_ID, "ticket_id"),
    spans=(("opened_at", "first_response_at"), ("opened_at", "resolved_at")),
    columns={
        "ticket_id": ColumnContract("text", "the ticket", required=True),
        "opened_at": ColumnContract("instant", "when it was opened", required=True),
        "first_response_at": ColumnContract("instant", "when a person first answered", known_at="first_response_at"),
        "resolved_at": ColumnContract("instant", "when it was resolved", known_at="resolved_at"),
        "severity": ColumnContract("text", "low, normal, high or urgent"),
        "kind": ColumnContract("text", "such as how_to, defect, billing, request"),
        # Neither has an instant of its own: the first is final when the ticket is closed, the second is requested then.
        "escalated": ColumnContract("flag", "whether it was escalated", known_at="resolved_at"),
        "csat": ColumnContract(
            "number", "satisfaction with it, 1 to 5", known_at="resolved_at", settles_days=SETTLES_DAYS
        ),
    },
)

INVOICES = TableContract(
    "invoices",
    at="issued_at",
    key=(ACCOUNT_ID, "invoice_id"),
    spans=(("issued_at", "due_at"), ("issued_at", "paid_at")),
    columns={
        "invoice_id": ColumnContract("text", "the invoice", required=True),
        "issued_at": ColumnContract("instant", "when it was sent", required=True),
        "due_at": ColumnContract("instant", "when it is due"),
        "paid_at": ColumnContract("instant", "when it was paid; empty while it is open", known_at="paid_at"),
        "amount": ColumnContract("number", "the amount"),
    },
)

SURVEYS = TableContract(
    "surveys",
    at="sent_at",
    key=(ACCOUNT_ID, "respondent_id", "kind", "sent_at"),
    spans=(("sent_at", "answered_at"),),
    columns={
        "respondent_id": ColumnContract("text", "the person surveyed"),
        "kind": ColumnContract("text", "nps, csat or ces", required=True),
        "sent_at": ColumnContract("instant", "when it was sent", required=True),
        "answered_at": ColumnContract("instant", "when it was answered; empty if not", known_at="answered_at"),
        "score": ColumnContract("number", "the score: nps 0 to 10, csat and ces 1 to 7", known_at="answered_at"),
    },
)

TOUCHES = TableContract(
    "touches",
    at="at",
    columns={
        "at": ColumnContract("instant", "when the account was contacted", required=True),
        "kind": ColumnContract("text", "qbr, call, email, meeting, training or in_app", required=True),
        "by": ColumnContract("text", "the person who made the contact"),
        "responded": ColumnContract("flag", "whether the account responded or attended", settles_days=SETTLES_DAYS),
        "commercial": ColumnContract("flag", "whether it was about selling"),
    },
)

CONTACTS = TableContract(
    "contacts",
    at="joined_at",
    key=(ACCOUNT_ID, "contact_id"),
    spans=(("joined_at", "left_at"),),
    columns={
        "contact_id": ColumnContract("text", "the person", required=True),
        "role": ColumnContract("text", "champion, sponsor, exec, admin or user", required=True),
        "joined_at": ColumnContract("instant", "when the contact was first known", required=True),
        "left_at": ColumnContract("instant", "when the contact left; empty while active", known_at="left_at"),
    },
)

MILESTONES = TableContract(
    "milestones",
    at=None,
    key=(ACCOUNT_ID, "milestone"),
    columns={
        "milestone": ColumnContract("text", "such as kickoff, integration, first_value, live", required=True),
        "due_at": ColumnContract("instant", "the planned date"),
        "reached_at": ColumnContract("instant", "when it was reached; empty until then", known_at="reached_at"),
    },
)

NOTICES = TableContract(
    "notices",
    at="notified_at",
    key=(ACCOUNT_ID, "notified_at"),
    spans=(("notified_at", "effective_at"),),
    columns={
        "notified_at": ColumnContract("instant", "when notice was given", required=True),
        "effective_at": ColumnContract("instant", "when it takes effect"),
        "reason": ColumnContract("text", "the reason given"),
        "voluntary": ColumnContract("flag", "false if a payment failed"),
    },
)

PLAYS = TableContract(
    "plays",
    at="assigned_at",
    key=(ACCOUNT_ID, "play", "assigned_at"),
    columns={
        "play": ColumnContract("text", "the play", required=True),
        "assigned_at": ColumnContract("instant", "when it was assigned", required=True),
        "holdout": ColumnContract("flag", "true if it was held out to measure its effect"),
        "started_at": ColumnContract("instant", "when it was started", known_at="started_at"),
        "outcome": ColumnContract("text", "its outcome"),
    },
)

CONTRACT: Mapping[str, TableContract] = {
    table.name: _complete(table)
    for table in (
        ACCOUNTS, SUBSCRIPTIONS, USAGE, TICKETS, INVOICES, SURVEYS, TOUCHES, CONTACTS, MILESTONES, NOTICES, PLAYS,
    )
}  # fmt: skip
