"""What is easily read wrongly in vendors' exports: dates, overwritten columns, merged ids, currencies, credits."""

import re
from datetime import datetime

import pytest

from configs.errors import ConfigError
from features.ready.part import part_names, read_part
from tests.support.companies.vendor_exports import write_exports
from tests.support.vendors.salesforce import MONTH_FIRST

# What each vendor overwrites at a renewal or when an account leaves, so that it says who left.
OVERWRITTEN = {
    "stripe": ("current_period_end", "cancel_at_period_end", "delinquent"),
    "chargebee": ("mrr", "current_term_end", "next_billing_at"),
    "recurly": ("current_period_ends_at", "current_term_ends_at"),
    "hubspot": ("property_lifecyclestage", "property_hs_lead_status"),
    "salesforce": ("Rating", "LastActivityDate"),
    "vitally": ("health_score", "churned_at", "next_renewal_date"),
}


@pytest.mark.parametrize(("order", "started"), [("month_first", (6, 1)), ("day_first", (1, 6))])
def test_dates_that_both_orders_fit_are_asked_for(exports, order, started):
    for table, text in MONTH_FIRST.items():
        exports.rewrite("salesforce", table, text)
    draft = exports.draft("salesforce", **{"dates.salesforce": order})
    assert draft.decisions.answers[-1].question.evidence == "both orders fit every date"
    rows = exports.rows("subscriptions", "account_id", "started_at", "ended_at")
    assert rows[0] == ("001A", datetime(2022, *started), None)
    # 6/1/2023 is its last day
    assert rows[1][2] == (datetime(2023, 6, 2) if order == "month_first" else datetime(2023, 1, 7))


def test_dates_that_one_order_fits_are_read_in_it(exports):
    for table, text in MONTH_FIRST.items():
        exports.rewrite("salesforce", table, text.replace("1/5/2022", "1/25/2022"))
    draft = exports.draft("salesforce")
    assert [answer.question.key for answer in draft.decisions.answers] == ["mrr.salesforce"]
    assert exports.rows("accounts", "account_id", "created_at")[0] == ("001A", datetime(2022, 1, 25))
    assert exports.rows("subscriptions", "account_id", "started_at")[0] == ("001A", datetime(2022, 6, 1))


@pytest.mark.parametrize("vendor", OVERWRITTEN)
def test_no_mapping_reads_what_is_overwritten(vendor):
    selects = " ".join(text.select for text in read_part(vendor).tables.values())
    assert [column for column in OVERWRITTEN[vendor] if re.search(rf"(?<!as )\b{column}\b", selects)] == []


def test_the_mrr_of_a_cancelled_subscription_is_that_of_its_items(drafted):
    exports, _ = drafted("chargebee")
    mrr = dict(exports.rows("subscriptions", "subscription_id", "mrr"))
    assert mrr["s_b:pro-USD-Yearly"] == 100.0  # Chargebee's own mrr is 0 since it was cancelled


def test_an_old_version_of_another_subscription_does_not_hide_a_notice(exports):
    write_exports(exports.folder, "recurly")
    file = exports.folder / "recurly" / "subscription_history.csv"
    versions = [
        "s6,2024-03-01,2024-03-01,2024-03-01,,,r2,p1,active,USD,9.0,1,0,,,",
        "s6,2024-03-01,2024-12-01,2024-03-01,,2024-12-01,r2,p1,expired,USD,9.0,1,0,,,",
    ]
    file.write_text(file.read_text("utf-8") + "\n".join(versions) + "\n", "utf-8")
    exports.draft("recurly")
    assert ("r2", datetime(2025, 1, 15)) in exports.rows("notices", "account_id", "notified_at")


def test_ids_that_were_merged_away_are_those_of_the_account_that_is_left(exports):
    write_exports(exports.folder, "hubspot")
    exports.rewrite("nps", "nps", "account_id,score,answered_at\n12,9,2025-05-01\n14,3,2025-05-02\n99,5,2025-05-03\n")
    draft = exports.draft("hubspot", "nps")
    assert exports.rows("surveys", "answered_at", "account_id") == [
        (datetime(2025, 5, 1), "11"),
        (datetime(2025, 5, 2), "11"),
        (datetime(2025, 5, 3), "99"),
    ]
    assert "nps: 1 of 3 have no account whose id is their account_id: 99" in map(str, draft.decisions.notes)


def test_ids_of_merged_accounts_of_salesforce_are_known_by_their_master(exports):
    write_exports(exports.folder, "salesforce")
    exports.rewrite("nps", "nps", "account_id,score,answered_at\n001C,9,2025-05-01\n")
    exports.draft("salesforce", "nps")
    assert exports.rows("surveys", "account_id", "score") == [("001A", 9.0)]


@pytest.mark.parametrize(
    ("answer", "mrr"), [("MRR__c", 1250.0), ("Annual_Value__c/12", 1250.0), ("Annual_Value__c / 12", 1250.0)]
)
def test_the_column_with_the_amount_of_a_contract_is_named(exports, answer, mrr):
    write_exports(exports.folder, "salesforce")
    exports.draft("salesforce", **{"mrr.salesforce": answer})
    assert dict(exports.rows("subscriptions", "subscription_id", "mrr"))["800a2"] == mrr


@pytest.mark.parametrize("answer", ["Amount__c", "MRR__c; drop table x", "MRR__c/0.5"])
def test_a_column_that_is_not_there_is_refused(exports, answer):
    write_exports(exports.folder, "salesforce")
    with pytest.raises(ConfigError, match="names no column of salesforce_contract"):
        exports.draft("salesforce", **{"mrr.salesforce": answer})


def test_amounts_in_units_of_one_are_not_divided_and_several_currencies_need_rates(exports):
    write_exports(exports.folder, "recurly")
    file = exports.folder / "recurly" / "subscription_history.csv"
    file.write_text(file.read_text("utf-8").replace("expired,USD,60.0", "expired,EUR,60.0"), "utf-8")
    exports.draft("recurly", currency="USD=1,EUR=2")
    mrr = dict(exports.rows("subscriptions", "subscription_id", "mrr"))
    assert (mrr["s1"], round(mrr["s3"], 4)) == (250.0, 121.75)


@pytest.mark.parametrize(
    ("vendor", "file"), [("stripe", "invoices"), ("chargebee", "invoice"), ("recurly", "invoice_history")]
)
def test_an_invoice_in_a_currency_without_a_rate_is_reported(exports, vendor, file):
    write_exports(exports.folder, vendor)
    exports.draft(vendor)
    path = exports.folder / vendor / f"{file}.csv"
    path.write_text(re.sub(r"\b(usd|USD)\b", "jpy", path.read_text("utf-8"), count=1), "utf-8")
    assert ("invoices: amount is NaN or infinite", 1) in exports.violations()


def test_prices_without_a_currency_are_unknown(exports):
    write_exports(exports.folder, "stripe")
    file = exports.folder / "stripe" / "prices.csv"
    file.write_text(file.read_text("utf-8").replace(",usd,", ",,"), "utf-8")
    exports.draft("stripe")
    assert {mrr for (mrr,) in exports.rows("subscriptions", "mrr")} == {None, 0.0}  # 0 is billed by usage


def test_a_currency_of_unused_contracts_is_not_asked_for(exports):
    write_exports(exports.folder, "chargebee", "hubspot")
    file = exports.folder / "hubspot" / "deal.csv"
    file.write_text(file.read_text("utf-8").replace("3000,USD", "3000,EUR"), "utf-8")
    assert [answer.question.key for answer in exports.draft("chargebee", "hubspot").decisions.answers] == [
        "match.hubspot"
    ]


@pytest.mark.parametrize("name", part_names())
def test_counts_read_sources_of_their_mapping(name):
    part = read_part(name)
    tables = set(re.findall(r"\b(?:from|join) (\w+)", " ".join(count.select for count in part.counts.values())))
    assert tables <= part.content.sources.keys()
