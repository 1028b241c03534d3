"""Several ready mappings of one company: which gives what, how accounts are matched, and what is refused."""

import pytest

from configs.errors import ConfigError, DataError
from features.drafting.draft import Draft
from tests.support.companies.vendor_exports import write_exports

COMPANY = ("chargebee", "hubspot", "intercom", "posthog")


def notes(draft: Draft) -> list[str]:
    return [str(note) for note in draft.decisions.notes]


def test_contracts_are_those_of_billing_and_events_are_added_up(drafted):
    exports, draft = drafted(*COMPANY)
    assert len(exports.rows("subscriptions", "subscription_id")) == 9  # Chargebee's
    assert "hubspot: its subscriptions are not used: those of chargebee are" in notes(draft)
    assert exports.rows("tickets", "ticket_id", "account_id") == [
        ("hubspot:301", "cb_a"),
        ("hubspot:302", "cb_b"),
        ("hubspot:303", None),
        ("intercom:1", "cb_a"),
        ("intercom:2", "cb_b"),
        ("intercom:4", None),
    ]
    assert {profile.table: profile.source for profile in draft.tables} == {
        "accounts": "chargebee, hubspot",
        "subscriptions": "chargebee",
        "notices": "chargebee",
        "invoices": "chargebee",
        "tickets": "hubspot, intercom",
        "touches": "hubspot",
        "usage": "posthog",
    }


def test_accounts_get_what_only_another_mapping_knows_of_them(drafted):
    exports, draft = drafted("chargebee", "hubspot")
    assert "hubspot: gives industry, employees, owner of the accounts, which are those of chargebee" in notes(draft)
    assert exports.rows("accounts", "account_id", "name", "country", "industry", "employees") == [
        ("cb_a", "Acme", "DE", "Retail", 400.0),
        ("cb_b", "Beta", "FR", "Finance", 50.0),
        ("cb_c", "Cobalt", "US", None, None),
        ("cb_e", "Echo", "US", None, None),
        ("cb_f", "Fox", "US", None, None),
    ]


def test_the_column_that_holds_ids_of_accounts_is_proposed_and_confirmed(exports):
    write_exports(exports.folder, "chargebee", "hubspot")
    (answer,) = exports.draft("chargebee", "hubspot").decisions.answers
    assert (answer.question.key, answer.question.default) == ("match.hubspot", "property_billing_id")
    assert "id has none of the accounts" in answer.question.evidence
    assert answer.question.choices == {"property_billing_id": "property_billing_id, which has 3 of them"}
    assert exports.draft("chargebee", "hubspot", matches={"hubspot": "id"}).decisions.answers == []


def test_the_group_type_that_holds_ids_of_accounts_is_proposed(exports):
    write_exports(exports.folder, "chargebee", "posthog")
    events = exports.folder / "posthog" / "events.csv"
    events.write_text(events.read_text("utf-8").replace("company", "organization"), "utf-8")
    (answer,) = exports.draft("chargebee", "posthog").decisions.answers
    assert (answer.question.key, answer.choice) == ("match.posthog", "organization")
    assert [account for account, _ in exports.rows("usage", "account_id", "event")] == ["cb_a", "cb_a", "cb_b", "cb_zz"]


def test_a_column_may_have_any_name(exports):
    write_exports(exports.folder, "chargebee", "hubspot")
    company = exports.folder / "hubspot" / "company.csv"
    company.write_text(company.read_text("utf-8").replace("property_billing_id", "Billing ID"), "utf-8")
    (answer,) = exports.draft("chargebee", "hubspot").decisions.answers
    assert answer.choice == "Billing ID"
    assert {account for (account,) in exports.rows("touches", "account_id")} == {"cb_a", "cb_b", "cb_c"}


def test_keys_of_json_that_sql_cannot_quote_are_passed_over_and_refused(exports):
    write_exports(exports.folder, "chargebee", "posthog")
    events = exports.folder / "posthog" / "events.csv"
    events.write_text(events.read_text("utf-8").replace("company", "o'rg"), "utf-8")
    assert exports.draft("chargebee", "posthog").decisions.answers == []
    with pytest.raises(ConfigError, match="no key that a mapping can read"):
        exports.draft("chargebee", "posthog", matches={"posthog": "o'rg"})


def test_another_group_column_of_segment_is_used_throughout(exports):
    write_exports(exports.folder, "stripe", "segment")
    tracks = exports.folder / "segment" / "tracks.csv"
    tracks.write_text(tracks.read_text("utf-8").replace("context_group_id", "context_team_id"), "utf-8")
    draft = exports.draft("stripe", "segment", matches={"segment": "context_team_id"})
    assert len(exports.rows("usage", "account_id", "event")) == 4
    assert "segment: 1 of 6 events have no group, so no account, and are left out" in notes(draft)


@pytest.mark.parametrize(
    ("vendors", "message"),
    [
        (("stripe", "chargebee"), "stripe and chargebee both give subscriptions"),
        (("zendesk", "intercom"), "zendesk and intercom give no accounts"),
    ],
)
def test_contracts_of_two_kinds_or_none_are_refused(exports, vendors, message):
    write_exports(exports.folder, *vendors)
    with pytest.raises(ConfigError, match=message):
        exports.draft(*vendors)


def test_groups_of_events_are_the_accounts_if_nothing_else_has_some(drafted):
    exports, draft = drafted("posthog")
    assert [account for (account,) in exports.rows("accounts", "account_id")] == ["cb_a", "cb_b", "cb_zz"]
    assert draft.proposal.mode == "inactivity"


@pytest.mark.parametrize("name", ["Companies", "company"])
def test_files_may_be_in_plural_and_in_capitals(exports, name):
    write_exports(exports.folder, "hubspot")
    (exports.folder / "hubspot" / "company.csv").rename(exports.folder / "hubspot" / f"{name}.csv")
    exports.draft("hubspot")
    assert len(exports.rows("accounts", "account_id")) == 4


def test_two_files_of_one_table_are_refused(exports):
    write_exports(exports.folder, "hubspot")
    exports.rewrite("hubspot", "companies", "id\n1\n")
    with pytest.raises(DataError, match=r"has companies.csv and company.csv"):
        exports.draft("hubspot")


def test_columns_of_accounts_that_no_table_reads_are_listed_without_those_that_are_overwritten(exports):
    write_exports(exports.folder, "hubspot", "zendesk")
    file = exports.folder / "hubspot" / "company.csv"
    header, *rows = file.read_text("utf-8").splitlines()
    tiers = [f"{row},{tier}" for row, tier in zip(rows, ["gold", "gold", *["basic"] * len(rows)], strict=False)]
    file.write_text("\n".join([f"{header},property_support_tier", *tiers, ""]), "utf-8")
    draft = exports.draft("hubspot", "zendesk")
    assert "property_lifecyclestage" in header
    assert ("property_support_tier", "category") in [(column.column, column.kind) for column in draft.unmapped]
    assert "property_lifecyclestage" not in [column.column for column in draft.unmapped]
    assert '# name = "property_support_tier"' in draft.settings
