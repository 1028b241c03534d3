"""The contract of the raw tables: which columns a company provides, what they mean, and when each became known.

All instants are UTC. `accounts` is required, and so is the table that defines the accounts at risk: `subscriptions`, or
`usage` if churn is inactivity. Any other table may be missing, which makes its signals absent.
Any table may carry `recorded_at`, the instant at which its row became known. The point-in-time cut then uses it.
Which words and numbers a column may hold is part of the contract, too: no number is NaN or infinite.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

ACCOUNT_ID = "account_id"
ACTIVE_USERS_EVENT = "active_users"
# Their rows are states or decisions, of which there may be none for months.
QUIET_TABLES = frozenset(
    {"accounts", "subscriptions", "contacts", "milestones", "notices", "plays", "attributes", "account_merges"}
)
ColumnType = Literal["text", "number", "instant", "day", "flag"]


@dataclass(frozen=True)
class NumberRange:
    """Numbers from `minimum` to `maximum`, both included, and greater than `above`; None: without limit.

    >>> str(NumberRange(0, 10)), str(NumberRange(minimum=0)), str(NumberRange(above=0))
    ('0 to 10', 'at least 0', 'above 0')
    """

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the highest number, for a range that has both."""
        if self.minimum is None or self.maximum is None:
            raise ValueError(f"The range '{self}' has no two ends.")
        return self.minimum, self.maximum

    def __str__(self) -> str:
        if self.above is not None:
            return f"above {self.above:g}"
        return f"at least {self.minimum:g}" if self.maximum is None else f"{self.minimum:g} to {self.maximum:g}"


@dataclass(frozen=True)
class ColumnContract:
    """One column of a raw table.

    `known_at` names the column with the instant at which this value became known; without it the value came with its
    row. `settles_days` is for a value that is filled in later without an instant of its own: how many days after
    `known_at`, or after its row, it counts. `default` is the value that an empty cell stands for.

    `values` are the only words that the column may hold; `known_values` are the words that signals look for in a column
    that may hold others. Both are read in any case, and with spaces or hyphens for underscores. `reserved` is a word
    with a meaning of its own, which must be written exactly. `range` limits a number, `ranges` by the word in the
    column `range_by`. A text is a number, or a flag, in the rows in which `range_by` has one of `number_for`, or
    `flag_for`. A row that `closes` at an instant no longer runs at that instant. What `is_account` is an account's id.
    A column that `cuts_periods` says when a subscription runs; no signal reads it.
    """

    type: ColumnType
    meaning: str
    required: bool = False
    known_at: str | None = None
    settles_days: int = 0
    default: float | None = None
    values: tuple[str, ...] = ()
    known_values: tuple[str, ...] = ()
    reserved: str | None = None
    range: NumberRange | None = None
    range_by: str | None = None
    ranges: Mapping[str, NumberRange] = field(default_factory=dict)
    number_for: tuple[str, ...] = ()
    flag_for: tuple[str, ...] = ()
    closes: bool = False
    cuts_periods: bool = False
    is_account: bool = False

    @property
    def has_free_words(self) -> bool:
        """Whether signals look for words in the column, and it may hold others: one that is renamed is not refused."""
        return bool(self.known_values or self.reserved)


@dataclass(frozen=True)
class TableContract:
    """One raw table.

    `at` names the instant at which a row happened and, without `recorded_at`, became known; None: known from the start.
    `key` must be unique; a row with an empty part of it repeats no other. Rows of one key with different values in the
    column `decided` contradict each other: none of them counts. `spans` are pairs of instants of which the second must
    not be before the first.
    """

    name: str
    at: str | None
    columns: Mapping[str, ColumnContract]
    key: tuple[str, ...] = ()
    decided: str | None = None
    spans: tuple[tuple[str, str], ...] = ()
    required: bool = False


SETTLES_DAYS = 14
NOT_NEGATIVE = NumberRange(minimum=0)
NPS_SCORES, SURVEY_SCORES, TICKET_SCORES = NumberRange(0, 10), NumberRange(1, 7), NumberRange(1, 5)
ACCOUNT_COLUMN = ColumnContract("text", "the account of this row", required=True)
RECORDED_AT = ColumnContract("instant", "when this row became known")


def complete_table(table: TableContract) -> TableContract:
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
        "employees": ColumnContract("number", "number of employees", range=NOT_NEGATIVE),
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
    spans=(("started_at", "ended_at"), ("started_at", "renews_at"), ("paused_from", "paused_until")),
    columns={
        "subscription_id": ColumnContract("text", "one plan or add-on over one period", required=True),
        "plan": ColumnContract("text", "the plan or add-on"),
        "seats": ColumnContract("number", "number of seats; empty for an add-on without seats", range=NOT_NEGATIVE),
        "mrr": ColumnContract("number", "monthly recurring revenue after discount", required=True, range=NOT_NEGATIVE),
        "started_at": ColumnContract("instant", "when it started", required=True),
        "ended_at": ColumnContract(
            "instant",
            "when it actually ended; empty while active. At that instant it no longer runs",
            known_at="ended_at",
            closes=True,
        ),
        "term_months": ColumnContract("number", "length of a term in months", range=NumberRange(above=0)),
        "renews_at": ColumnContract("instant", "the end of the paid term"),
        "auto_renew": ColumnContract("flag", "whether it renews by itself"),
        "discount": ColumnContract("number", "discount as a share of the list price", range=NumberRange(0, 1)),
        "trial_until": ColumnContract(
            "instant",
            "the end of the trial that it starts with, in which nothing is paid; empty without a trial",
            cuts_periods=True,
        ),
        "paused_from": ColumnContract("instant", "when it was paused; empty if it never was", cuts_periods=True),
        "paused_until": ColumnContract(
            "instant", "when the pause ended, or will end; empty while that is not known", cuts_periods=True
        ),
        "is_free": ColumnContract("flag", "whether it is a free plan; empty: if its mrr is 0", cuts_periods=True),
    },
)

USAGE = TableContract(
    "usage",
    at="occurred_at",
    columns={
        "user_id": ColumnContract("text", "the user; empty if the source only has counts"),
        "event": ColumnContract(
            "text",
            "the event type; `active_users` is reserved for a daily count of people",
            required=True,
            reserved=ACTIVE_USERS_EVENT,
        ),
        "occurred_at": ColumnContract("instant", "when it happened, or the day of the count", required=True),
        "quantity": ColumnContract("number", "the number of events; empty means 1", default=1.0, range=NOT_NEGATIVE),
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
        "severity": ColumnContract("text", "how severe it is", values=("low", "normal", "high", "urgent")),
        "kind": ColumnContract("text", "what it is about", known_values=("how_to", "defect", "billing", "request")),
        # Neither has an instant of its own: the first is final when the ticket is closed, the second is requested then.
        "escalated": ColumnContract("flag", "whether it was escalated", known_at="resolved_at"),
        "csat": ColumnContract(
            "number",
            "satisfaction with it",
            known_at="resolved_at",
            settles_days=SETTLES_DAYS,
            range=TICKET_SCORES,
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
        "amount": ColumnContract("number", "the amount; zero or negative for a credit note, which is never overdue"),
    },
)

SURVEYS = TableContract(
    "surveys",
    at="sent_at",
    key=(ACCOUNT_ID, "respondent_id", "kind", "sent_at"),
    spans=(("sent_at", "answered_at"),),
    columns={
        "respondent_id": ColumnContract("text", "the person surveyed; empty if anonymous"),
        "kind": ColumnContract("text", "the kind of survey", required=True, values=("nps", "csat", "ces")),
        "sent_at": ColumnContract("instant", "when it was sent", required=True),
        "answered_at": ColumnContract("instant", "when it was answered; empty if not", known_at="answered_at"),
        "score": ColumnContract(
            "number",
            "the score",
            known_at="answered_at",
            range_by="kind",
            ranges={"nps": NPS_SCORES, "csat": SURVEY_SCORES, "ces": SURVEY_SCORES},
        ),
    },
)

TOUCHES = TableContract(
    "touches",
    at="at",
    columns={
        "at": ColumnContract("instant", "when the account was contacted", required=True),
        "kind": ColumnContract(
            "text",
            "how it was contacted",
            required=True,
            values=("qbr", "call", "email", "meeting", "training", "in_app"),
        ),
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
        "role": ColumnContract(
            "text",
            "the role of the person",
            required=True,
            values=("champion", "sponsor", "exec", "admin", "user"),
        ),
        "joined_at": ColumnContract("instant", "when the contact was first known", required=True),
        "left_at": ColumnContract("instant", "when the contact left; empty while active", known_at="left_at"),
    },
)

MILESTONES = TableContract(
    "milestones",
    at=None,
    key=(ACCOUNT_ID, "milestone"),
    columns={
        "milestone": ColumnContract(
            "text",
            "the milestone",
            required=True,
            known_values=("kickoff", "integration", "first_value", "live"),
        ),
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

# Part of the contract only if the data set maps it: see features/tables/account_merges.py.
ACCOUNT_MERGES = complete_table(
    TableContract(
        "account_merges",
        at="merged_at",
        key=(ACCOUNT_ID,),
        columns={
            "merged_into": ColumnContract("text", "the account that is left", required=True, is_account=True),
            "merged_at": ColumnContract("instant", "when they became one account", required=True),
        },
    )
)

CONTRACT: Mapping[str, TableContract] = {
    table.name: complete_table(table)
    for table in (
        ACCOUNTS, SUBSCRIPTIONS, USAGE, TICKETS, INVOICES, SURVEYS, TOUCHES, CONTACTS, MILESTONES, NOTICES, PLAYS,
    )
}  # fmt: skip
# With the tables that are only read if a mapping has them.
EVERY_TABLE: Mapping[str, TableContract] = {**CONTRACT, ACCOUNT_MERGES.name: ACCOUNT_MERGES}
