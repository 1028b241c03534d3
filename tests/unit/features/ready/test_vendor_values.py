"""What each ready mapping makes of a small export: accounts, MRR, days of leaving and events, computed by hand."""

from datetime import datetime

import duckdb
import pytest

from tests.support.companies.vendor_exports import write_exports
from tests.support.vendors.stripe_warehouse import STRIPE_WAREHOUSE

SUBSCRIPTION = ("subscription_id", "account_id", "mrr", "started_at", "ended_at")
NOTICE = ("account_id", "notified_at", "effective_at", "reason", "voluntary")
INVOICE = ("invoice_id", "account_id", "amount", "issued_at", "paid_at")
TICKET = ("ticket_id", "account_id", "first_response_at", "resolved_at", "severity", "kind", "csat")
TOUCH = ("at", "account_id", "kind")
USAGE = ("occurred_at", "account_id", "user_id", "event", "recorded_at")
SURVEY = ("account_id", "kind", "score", "answered_at")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


CHARGEBEE = [
    ("s_a:pro-USD-Monthly", "cb_a", 500.0, at("2024-01-24"), None),  # 10 seats, after the trial
    ("s_a:seats-USD-Monthly", "cb_a", 25.0, at("2024-01-24"), None),
    ("s_b:pro-USD-Yearly", "cb_b", 100.0, at("2024-02-01"), at("2025-03-01")),  # 1,200 a year
    ("s_c1:mini-USD-Weekly", "cb_c", 30.4375, at("2024-02-10"), at("2024-11-15")),  # 7 a week
    ("s_c2:pro-USD-Quarterly", "cb_c", 100.0, at("2024-11-01"), None),
    ("s_c3:pro-USD-Monthly", "cb_c", 50.0, at("2025-07-04"), None),  # still in its trial
    ("s_e:pro-USD-Monthly", "cb_e", 50.0, at("2024-05-01"), None),  # announced for 15 July
    ("s_f1:pro-USD-Monthly", "cb_f", 50.0, at("2024-06-01"), None),  # paused
    ("s_g:pro-USD-Monthly", None, 40.0, at("2024-06-01"), None),  # of nobody
]
HUBSPOT = [
    ("201", "11", 1000.0, at("2024-01-15"), at("2025-01-15")),
    ("202", "11", 1200.0, at("2025-01-15"), at("2026-01-15")),
    ("203", "11", 150.0, at("2025-01-15"), at("2026-01-15")),
    ("205", "18", 250.0, at("2024-03-01 09:00"), None),  # from when the deal was won, on
    ("207", "17", 200.0, at("2024-02-10"), at("2025-02-10")),
]
SALESFORCE = [
    ("800a1", "001A", 1000.0, at("2023-01-01"), at("2024-01-01")),  # its last day is 31 December
    ("800a2", "001A", 1250.0, at("2024-01-01"), at("2026-01-01")),
    ("800b", "001B", 300.0, at("2023-03-01"), at("2025-03-01")),
    ("800d", None, 80.0, at("2024-05-01"), None),
]
RECURLY = [
    ("s1", "r1", 250.0, at("2024-01-03"), None),  # (1,200 x 2 + 600) / 12, by its last version
    ("s2", "r2", 99.0, at("2024-01-24"), at("2025-02-10")),
    ("s3", "r3", 60.875, at("2024-02-01"), at("2025-04-10")),  # 60 for 30 days
]
VALUES = [
    ("chargebee", "subscriptions", SUBSCRIPTION, CHARGEBEE),
    ("hubspot", "subscriptions", SUBSCRIPTION, HUBSPOT),
    ("salesforce", "subscriptions", SUBSCRIPTION, SALESFORCE),
    ("recurly", "subscriptions", SUBSCRIPTION, RECURLY),
    (
        "chargebee",
        "notices",
        NOTICE,
        [
            ("cb_b", at("2025-02-10"), at("2025-03-01"), "Too expensive", True),
            ("cb_e", at("2025-06-20"), at("2025-07-15"), "Missing features", True),
        ],
    ),
    (
        "recurly",
        "notices",
        NOTICE,
        [
            ("r2", at("2025-01-15"), at("2025-02-10"), "canceled", True),
            ("r3", at("2025-04-01"), at("2025-04-10"), "nonpayment", False),
        ],
    ),
    (
        "chargebee",
        "invoices",
        INVOICE,
        [
            ("i_1", "cb_a", 571.2, at("2025-05-24"), at("2025-05-24 00:05")),
            ("i_2", "cb_a", 624.75, at("2025-06-24"), at("2025-06-26 09:00")),
            ("i_4", "cb_e", 50.0, at("2025-06-01"), None),
            ("i_5", "cb_c", 7.0, at("2024-11-08"), None),
        ],
    ),
    (
        "recurly",
        "invoices",
        INVOICE,
        [
            ("i1", "r1", 960.0, at("2024-01-03 09:00"), at("2024-01-10 09:00")),
            ("i3", "r1", -40.0, at("2025-02-05 09:00"), None),  # a credit
            ("i5", "r3", 60.0, at("2025-03-05 09:00"), None),  # failed: closed and not paid
            ("i6", "r1", 99.0, at("2025-06-05 09:00"), None),
        ],
    ),
    (
        "hubspot",
        "tickets",
        TICKET,
        [
            ("301", "11", at("2025-03-01 10:30"), at("2025-03-02 10:00"), "normal", "how_to", None),
            ("302", "17", None, None, "urgent", "defect", None),
            ("303", None, None, None, None, "billing", None),
        ],
    ),
    (
        "salesforce",
        "tickets",
        TICKET,
        [
            ("500a", "001A", None, at("2025-03-02 10:00"), "normal", "how_to", None),
            ("500b", "001B", None, None, "urgent", "defect", None),
            ("500c", None, None, None, "low", None, None),
        ],
    ),
    (
        "chargebee,intercom",
        "tickets",
        TICKET,
        [
            ("1", "cb_a", at("2025-03-01 10:30"), at("2025-03-02 10:00"), None, None, 4.0),
            ("2", "cb_b", at("2025-04-01 12:00"), None, None, None, None),  # closed, and open again
            ("4", None, None, None, None, None, None),
        ],
    ),
    (
        "hubspot",
        "touches",
        TOUCH,
        [
            (at("2025-02-01 10:00"), "11", "call"),
            (at("2025-02-02 10:00"), "11", "email"),
            (at("2025-02-04 10:00"), "17", "meeting"),
            (at("2025-02-04 10:00"), "18", "meeting"),
        ],
    ),
    (
        "salesforce",
        "touches",
        TOUCH,
        [
            (at("2025-01-04 15:00"), "001B", "meeting"),
            (at("2025-02-01 15:00"), "001A", "call"),
            (at("2025-02-02 15:00"), "001A", "email"),
        ],
    ),
    (
        "chargebee,vitally",
        "touches",
        TOUCH,
        [
            (at("2025-02-01 10:00"), "cb_a", "qbr"),
            (at("2025-02-02 10:00"), "cb_a", "call"),
            (at("2025-02-03 10:00"), "cb_b", "meeting"),
            (at("2025-02-05 10:00"), "cb_zz", "training"),
        ],
    ),
    (
        "chargebee,posthog",
        "usage",
        USAGE,
        [
            (at("2025-05-01 10:00"), "cb_a", "u1", "report_exported", at("2025-05-01 10:00:01")),
            (at("2025-05-02 10:00"), "cb_a", "u1", "$pageview", at("2025-05-02 10:00:01")),
            (at("2025-05-03 10:00"), "cb_b", "u2", "report_opened", at("2025-05-04 10:00")),
            (at("2025-05-03 10:00"), "cb_zz", "u9", "report_exported", at("2025-05-03 10:00:01")),
        ],
    ),
    (
        "chargebee,amplitude",
        "usage",
        USAGE,
        [
            (at("2025-05-01 10:00"), "cb_a", "u1", "report_exported", at("2025-05-01 10:00:01")),
            (at("2025-05-02 10:00"), "cb_a", "u1", "page_viewed", at("2025-05-02 10:00:01")),
            (at("2025-05-03 10:00"), "cb_b", None, "report_opened", at("2025-05-04 10:00")),
            (at("2025-05-03 10:00"), "cb_zz", "u9", "report_exported", at("2025-05-03 10:00:01")),
        ],
    ),
    (
        "chargebee,delighted",
        "surveys",
        SURVEY,
        [
            ("cb_a", "nps", 9.0, at("2024-04-18 05:34:20")),
            ("cb_b", "csat", 7.0, at("2024-04-18 05:34:21")),
            (None, "nps", 3.0, at("2024-04-18 05:34:22")),
        ],
    ),
    (
        "chargebee,nps",
        "surveys",
        SURVEY,
        [
            ("cb_a", "nps", 2.0, at("2025-05-01 10:00")),  # two anonymous answers of one survey are two
            ("cb_a", "nps", 9.0, at("2025-05-01 10:00")),
            ("cb_b", "nps", None, None),
        ],
    ),
    (
        "chargebee,vitally",
        "surveys",
        SURVEY,
        [("cb_a", "nps", 10.0, at("2025-01-05 10:00")), ("cb_b", "nps", 4.0, at("2025-01-06 10:00"))],
    ),
]


@pytest.mark.parametrize(
    ("vendors", "table", "columns", "expected"), VALUES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_table_has_the_values_computed_by_hand(drafted, vendors, table, columns, expected):
    exports, _ = drafted(*vendors.split(","))
    rows = [tuple(round(v, 6) if isinstance(v, float) else v for v in row) for row in exports.rows(table, *columns)]
    assert rows == expected


@pytest.mark.parametrize(
    ("vendor", "accounts", "running", "mrr"),
    [
        # all but the deleted Delta; without the subscription of nobody: 500 + 25 + 100 + 50 + 50
        ("chargebee", 5, 4, 725.0),
        # all but the deleted one; on 1 July 2025: 1,200 + 150 and 250
        ("hubspot", 4, 2, 1600.0),
        ("salesforce", 3, 1, 1250.0),
        ("recurly", 3, 1, 250.0),
        # 200 + 45, 100, 125.05 and 50; the one with a price in tiers has none
        ("stripe", 7, 4, 520.05),
    ],
)
def test_accounts_and_their_mrr_add_up(drafted, vendor, accounts, running, mrr):
    exports, _ = drafted(vendor)
    now = at("2025-07-01")
    ids = {account for (account,) in exports.rows("accounts", "account_id")}
    rows = exports.rows("subscriptions", *SUBSCRIPTION)
    runs = [row for row in rows if row[1] in ids and row[3] <= now and (row[4] is None or row[4] > now)]
    assert (len(ids), len({row[1] for row in runs if row[2]})) == (accounts, running)
    assert round(sum(row[2] or 0 for row in runs), 2) == mrr


QUESTIONS = {
    "chargebee": [],
    "hubspot": [],
    "recurly": [],
    "posthog": [],
    "amplitude": [],
    "salesforce": ["mrr.salesforce"],
    "chargebee,intercom,posthog,nps": [],
    "chargebee,hubspot,intercom,posthog": ["match.hubspot"],
    "chargebee,salesforce,vitally,delighted": [],
}


@pytest.mark.parametrize(("vendors", "expected"), QUESTIONS.items())
def test_questions_are_few_and_have_a_default(drafted, vendors, expected):
    _, draft = drafted(*vendors.split(","))
    assert [answer.question.key for answer in draft.decisions.answers] == expected


@pytest.mark.parametrize("vendor", ["chargebee", "hubspot", "salesforce", "recurly"])
def test_only_rows_without_an_account_break_the_contract(drafted, vendor):
    exports, _ = drafted(vendor)
    assert {rule.partition(": ")[2] for rule, _ in exports.violations()} <= {"account_id is empty"}


@pytest.mark.parametrize(("vendors", "table", "columns", "expected"), VALUES, ids=str)
def test_typed_files_give_the_same_values(drafted, vendors, table, columns, expected):
    exports, _ = drafted(*vendors.split(","), is_typed=True)
    rows = [tuple(round(v, 6) if isinstance(v, float) else v for v in row) for row in exports.rows(table, *columns)]
    assert rows == expected


def test_objects_of_json_lines_are_read_as_json_text_is(exports):
    write_exports(exports.folder, "chargebee", "posthog")
    file = exports.folder / "posthog" / "events.csv"
    rows = duckdb.sql(f"select * replace (properties::json as properties) from read_csv('{file}', all_varchar = true)")
    rows.query("events", f"copy (select * from events) to '{file.with_suffix('.jsonl')}' (format json)")
    file.unlink()
    exports.draft("chargebee", "posthog")
    assert [account for account, _ in exports.rows("usage", "account_id", "event")] == ["cb_a", "cb_a", "cb_b", "cb_zz"]


def test_a_warehouse_copy_of_stripe_is_read_like_its_own_tables(exports):
    for table, text in STRIPE_WAREHOUSE.items():
        exports.rewrite("stripe", table, text)
    draft = exports.draft("stripe")
    assert [account for (account,) in exports.rows("accounts", "account_id")] == ["cus_a", "cus_b"]
    assert exports.rows("subscriptions", *SUBSCRIPTION) == [
        ("si_a", "cus_a", 90.0, at("2024-01-24"), None),  # 2 x 135 a quarter
        ("si_b", "cus_b", pytest.approx(39.1667, abs=1e-4), at("2024-02-01"), at("2025-03-01")),
    ]
    assert exports.rows("notices", *NOTICE) == [("cus_b", at("2025-02-10"), at("2025-03-01"), None, True)]
    assert "stripe: 1 of 3 subscriptions were never paid" not in " ".join(map(str, draft.decisions.notes))
