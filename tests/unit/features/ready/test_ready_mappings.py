"""Ready mappings on made-up exports: MRR, days of leaving, accounts and what is lost, computed by hand."""

import tomllib
from datetime import date, datetime

import pytest

from configs.errors import ConfigError, DataError
from features.drafting.draft import Draft
from features.ready.part import part_names, read_part
from tests.support.companies.vendor_exports import write_exports
from tests.support.vendors.drafted_exports import NOW


def notes(draft: Draft) -> list[str]:
    return [str(note) for note in draft.decisions.notes]


def day(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), datetime.min.time())


def test_stripe_items_have_the_mrr_and_the_days_computed_by_hand(drafted):
    exports, _ = drafted("stripe")
    assert len(exports.rows("accounts", "account_id")) == 7
    rows = exports.rows("subscriptions", "subscription_id", "account_id", "mrr", "started_at", "ended_at")
    assert [(*row[:2], row[2] and round(row[2], 6), *row[3:]) for row in rows] == [
        ("si_a1", "cus_a", 200.0, day("2024-01-24"), None),
        ("si_a2", "cus_a", 45.0, day("2024-06-01"), None),
        ("si_b", "cus_b", 50.0, day("2024-02-01"), day("2025-03-01")),
        ("si_c1", "cus_c", 30.4375, day("2024-02-10"), day("2024-11-15")),
        ("si_c2", "cus_c", 100.0, day("2024-11-01"), None),
        ("si_d2", "cus_d", 50.0, day("2025-07-04"), None),  # still in its trial
        ("si_e2", "cus_e", 125.05, day("2024-05-01"), None),
        ("si_e3", "cus_e", 0.0, day("2024-05-01"), None),
        ("si_f", "cus_f", 50.0, day("2024-06-01"), None),
        ("si_g", None, 50.0, day("2024-06-01"), None),
        ("si_h", "cus_h", None, day("2024-07-01"), None),
    ]
    running = [row for row in rows if row[1] and row[2] is not None and row[3] < NOW and row[4] is None]
    assert round(sum(row[2] for row in running), 2) == 520.05


def test_stripe_cancellations_are_notices_unless_another_subscription_goes_on(drafted):
    exports, _ = drafted("stripe")
    assert exports.rows("notices", "account_id", "notified_at", "effective_at", "reason", "voluntary") == [
        ("cus_b", day("2025-02-10"), day("2025-03-01"), "cancellation_requested", True),
        ("cus_f", day("2025-06-20"), day("2025-07-15"), "cancellation_requested", True),
    ]


def test_stripe_invoices_leave_out_drafts_and_voided_ones(drafted):
    exports, _ = drafted("stripe")
    assert exports.rows("invoices", "invoice_id", "account_id", "amount", "issued_at", "due_at", "paid_at") == [
        ("in_1", "cus_b", 47.6, datetime(2025, 1, 1, 1), None, datetime(2025, 1, 1, 1, 5)),
        ("in_2", "cus_b", 59.5, datetime(2025, 2, 1, 1), None, datetime(2025, 2, 3, 9)),
        ("in_5", "cus_f", 40.0, datetime(2025, 6, 1, 1), day("2025-06-10"), None),
        ("in_6", None, 50.0, datetime(2025, 6, 1, 1), None, datetime(2025, 6, 1, 1, 5)),
    ]


def test_stripe_says_what_the_contract_cannot(drafted):
    _, draft = drafted("stripe")
    found = [note.partition(":")[2].strip() for note in notes(draft)]
    assert [note[:41] for note in found] == [
        "all prices are in USD, and so is MRR",
        "1 of 12 rows of subscriptions have no acc",
        "1 of 4 rows of invoices have no account: ",
        "1 of 11 subscriptions never began, becaus",
        "2 of 11 subscriptions are in their trial ",
        "1 of 11 subscriptions pause their collect",
        "1 of 13 items are billed by usage: their ",
        "1 of 13 items have a price in tiers, so n",
        "1 of 5 subscriptions were invoiced differ",
        "1 of 6 invoices have less in total than b",
    ]


def test_stripe_rows_without_an_account_or_a_price_are_reported(drafted):
    exports, _ = drafted("stripe")
    assert exports.violations() == [
        ("invoices: account_id is empty", 1),
        ("subscriptions: account_id is empty", 1),
        ("subscriptions: mrr is empty", 1),
    ]


def test_several_currencies_need_rates(exports):
    write_exports(exports.folder, "stripe")
    prices = exports.folder / "stripe" / "prices.csv"
    text = prices.read_text("utf-8")
    text = text.replace("Pro,usd,5000,5000", "Pro,jpy,5000,5000").replace("prod_3,,usd", "prod_3,,eur")
    prices.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="no rate for USD"):
        exports.draft("stripe", currency="EUR=1,JPY=0.006")
    draft = exports.draft("stripe", currency="EUR=1,JPY=0.006,USD=0.9")
    mrr = dict(exports.rows("subscriptions", "subscription_id", "mrr"))
    assert 'currency = "EUR"' in draft.mapping.splitlines()
    # 5,000 yen, which have no cents; 7 euros a week; 300 dollars a quarter
    assert [round(mrr[item], 4) for item in ("si_b", "si_c1", "si_c2")] == [30.0, 30.4375, 90.0]


def test_tickets_of_zendesk_join_the_accounts_of_stripe(drafted):
    exports, draft = drafted("stripe", "zendesk")
    columns = ("ticket_id", "account_id", "first_response_at", "resolved_at", "severity", "kind", "csat")
    assert exports.rows("tickets", *columns) == [
        ("1", "cus_a", datetime(2025, 3, 1, 10, 30), datetime(2025, 3, 2, 10), "high", "how_to", 5.0),
        ("2", "cus_a", None, None, "normal", "defect", None),
        ("5", None, None, None, None, None, None),
        ("6", None, None, None, "urgent", "request", None),
        ("7", "cus_zz", datetime(2025, 5, 4, 12), datetime(2025, 5, 4, 11), "low", "defect", None),
    ]
    assert [note for note in notes(draft) if note.startswith("zendesk")] == [
        "zendesk: 2 of 3 have no account whose id is their external_id: Umbra, Zeta",
        "zendesk: 3 of 5 rows of tickets have no account: validation reports them",
        "zendesk: 1 of 7 tickets have no organization, so no account: validation reports them",
        "zendesk: 2 of 7 tickets are deleted or were merged into another one, and are left out",
        "zendesk: 1 of 3 tickets were reopened: before their last solution they look open, also where they were solved"
        " for a while",
    ]


def test_another_column_can_hold_the_id_of_the_account(exports):
    write_exports(exports.folder, "stripe", "zendesk")
    draft = exports.draft("stripe", "zendesk", matches={"stripe": "name", "zendesk": "name"})
    assert ("Acme", 200.0) in exports.rows("subscriptions", "account_id", "mrr")
    assert "zendesk: 2 of 3 have no account whose id is their name: Umbra, Zeta" in notes(draft)
    with pytest.raises(DataError, match="no column account"):
        exports.draft("stripe", matches={"stripe": "account"})


def test_events_of_segment_count_once_and_need_a_group(drafted):
    exports, draft = drafted("stripe", "segment")
    assert exports.rows("usage", "account_id", "user_id", "occurred_at", "recorded_at", "event") == [
        ("cus_a", "u1", datetime(2025, 5, 1, 10), datetime(2025, 5, 1, 10, 0, 1), "report_exported"),
        ("cus_a", "u1", datetime(2025, 5, 2, 10), datetime(2025, 5, 2, 10, 0, 1), "report_exported"),
        ("cus_b", None, datetime(2025, 5, 3, 10), datetime(2025, 5, 4, 10), "report_opened"),
        ("cus_zz", "u9", datetime(2025, 5, 3, 10), datetime(2025, 5, 3, 10, 0, 1), "report_exported"),
    ]
    assert tomllib.loads(draft.mapping)["people"] == "named"
    assert "segment: 1 of 3 have no account whose id is their context_group_id: cus_zz" in notes(draft)


def test_an_export_that_is_not_there_is_named(exports):
    write_exports(exports.folder, "stripe", "zendesk")
    (exports.folder / "stripe" / "invoices.csv").unlink()
    assert "stripe: invoices.* is not there, so that there are no invoices" in notes(exports.draft("stripe"))
    (exports.folder / "stripe" / "prices.csv").unlink()
    with pytest.raises(DataError, match=r"stripe: subscriptions need prices\.\*, which is not there"):
        exports.draft("stripe")
    with pytest.raises(ConfigError, match="zendesk give no accounts"):
        exports.draft("zendesk")


def test_a_column_that_some_exports_lack_is_empty(exports):
    write_exports(exports.folder, "stripe")
    file = exports.folder / "stripe" / "subscriptions.csv"
    file.write_text(file.read_text("utf-8").replace("cancellation_details_reason", "something_else"), "utf-8")
    draft = exports.draft("stripe")
    assert "stripe: no file has the column cancellation_details_reason: it is empty" in notes(draft)
    assert exports.rows("notices", "account_id", "reason") == [("cus_b", None), ("cus_f", None)]


@pytest.mark.parametrize("name", part_names())
def test_every_ready_mapping_comments_each_of_its_tables(name):
    part = read_part(name)
    assert part.tables.keys() == part.content.tables.keys()
    assert all(table.comments for table in part.tables.values())
    assert part.match.source in part.content.sources
