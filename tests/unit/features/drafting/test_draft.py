"""A folder of files becomes a mapping: its tables, its span and its proposal."""

import tomllib
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from configs.errors import DataError
from features.drafting.label_proposal import LabelProposal
from tests.support.companies.company_files import company_rows, write_csv
from tests.support.companies.drafted_company import NOW, Company, Unanswered, notes


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def test_three_csv_files_are_recognised(company):
    company.tables = company_rows()
    company.write()
    draft = company.drafted()
    mapping = tomllib.loads(draft.mapping)
    assert list(mapping["tables"]) == ["accounts", "subscriptions", "usage"]
    assert mapping["observed_until"].date() == date(2025, 12, 21)
    assert company.column("subscriptions", "mrr")[:3] == [100, 101, 102]
    assert [(profile.rows, profile.duplicates) for profile in draft.tables] == [(60, 0), (60, 0), (4604, 0)]
    assert "too few accounts left: 4 within 30 days" in draft.proposal.reasons["horizon_days"]


def test_a_folder_without_tables_is_refused(company):
    write_csv(company.folder / "notes.csv", [{"text": "hello"}])
    with pytest.raises(DataError, match="no file is a table of subscriptions or of usage"):
        company.drafted()


def test_test_accounts_are_left_out_with_their_rows(company):
    company.tables["customers"][1]["name"] = "Test GmbH"
    company.write()
    assert "'name' reads like a test in 1 of 60 rows of accounts, such as 'Test GmbH'" in notes(company.drafted())
    assert "C001" not in company.column("subscriptions", "account_id")


def test_a_date_without_an_order_is_asked(company):
    for n, row in enumerate(company.tables["contracts"]):
        row["start_date"], row["end_date"] = f"0{n % 9 + 1}/0{n % 5 + 1}/2024", ""
    company.write()
    with pytest.raises(Unanswered, match=r"dates\.contracts"):
        company.drafted()
    company.drafted(dates="month_first")
    assert company.column("subscriptions", "started_at")[1] == datetime(2024, 2, 2)


def test_a_status_that_is_set_at_churn_is_named(company):
    left = {row["customer_id"] for row in company.tables["contracts"] if row["end_date"]}
    for row in company.tables["customers"]:
        row["segment"] = "churned" if row["id"] in left else "active"
    company.write()
    assert "'segment' knows the future: 'churned' is the value of 20 of 20 accounts that left" in notes(
        company.drafted()
    )
    assert set(company.column("accounts", "segment")) == {None}


def test_an_end_that_is_a_term_is_no_departure(company):
    for row in company.tables["contracts"]:
        row["end_date"] = row["end_date"] or NOW.date() + timedelta(days=90)
    company.tables |= {"events": company_rows()["events"]}
    company.write()
    assert "60 of 60 rows have an end, 40 of them after 2025-12-21" in notes(company.drafted())
    assert company.column("subscriptions", "ended_at").count(None) == 40


def test_columns_that_no_table_reads_are_listed_with_their_declarations(company):
    left = {row["customer_id"] for row in company.tables["contracts"] if row["end_date"]}
    for n, row in enumerate(company.tables["customers"]):
        row |= {"Plan Limit": 10 * (n % 7), "beta": ("yes", "no")[n % 2], "grade": "ABC"[n % 3 - n % 2]}
        row |= {"slogan": f"We are number {n}", "cancel_code": "x" if row["id"] in left else ""}
    for row in company.tables["contracts"]:
        row["signed_by"] = "ada"
    company.write()
    draft = company.drafted()
    assert [(column.source, column.column, column.kind) for column in draft.unmapped] == [
        ("contracts", "signed_by", None),
        ("customers", "Plan Limit", "number"),
        ("customers", "beta", "flag"),
        ("customers", "grade", "category"),
        ("customers", "slogan", None),
    ]
    assert '# customers: add "Plan Limit" as plan_limit to the select of accounts' in draft.settings
    assert '# [[signals.attributes]]\n# name = "plan_limit"\n# kind = "number"' in draft.settings
    declared = draft.settings.replace("# [[", "[[").replace("# name", "name").replace("# kind", "kind")
    assert [attribute["name"] for attribute in tomllib.loads(declared)["signals"]["attributes"]] == [
        "plan_limit",
        "beta",
        "grade",
    ]


def test_a_trial_is_mapped_and_one_that_ended_unpaid_is_no_departure(company):
    contracts = company.tables["contracts"]
    for n, row in enumerate(contracts):
        row["trial_ends_at"] = row["start_date"] + timedelta(days=14)
        if n >= 50:
            row["end_date"] = row["start_date"] + timedelta(days=7)
    company.write()
    draft = company.drafted()
    assert '"trial_ends_at" as trial_until' in draft.mapping
    assert "unless label.trials_at_risk is true" in draft.mapping
    # Of the first fifty, every third left; the ten others never paid.
    assert sum(row["end_date"] is None for row in contracts[:50]) == draft.proposal.active == 33
    assert draft.proposal.churners == company_without_trials(company).churners


def company_without_trials(company: Company) -> LabelProposal:
    """The proposal for the same company, if the file has no row that was never paid."""
    company.tables["contracts"] = company.tables["contracts"][:50]
    for row in company.tables["contracts"]:
        del row["trial_ends_at"]
    company.write()
    return company.drafted().proposal


MERGES = [{"loser_id": "C001", "winner_id": "C002", "merged_on": "2024-09-01", "synced_at": "2024-09-03 04:00:00"}]
PLAIN_MERGES = [{"from": "C001", "to": "C002", "at": "2024-09-01"}]


@pytest.mark.parametrize(("name", "rows"), [("crm_losers", MERGES), ("account_merges", PLAIN_MERGES)])
def test_a_list_of_merges_is_recognised_by_its_columns_and_keys(company, name, rows):
    company.tables[name] = rows
    company.write()
    draft = company.drafted()
    assert list(tomllib.loads(draft.mapping)["tables"]) == ["accounts", "subscriptions", "account_merges"]
    old, left, at, *_ = rows[0]
    evidence = f"'{old}' is the old account (1 of 1 ids are accounts), '{left}' the one that is left (1 of 1), '{at}'"
    assert f"{evidence} when they became one" in " ".join(draft.mapping.replace("#", "").split())
    assert company.column("account_merges", "merged_into") == ["C002"]
    assert company.column("account_merges", "merged_at") == [datetime(2024, 9, 1)]


def test_a_column_of_accounts_says_into_which_one_they_were_merged(company):
    for row in company.tables["customers"]:
        is_merged = row["id"] == "C001"
        row |= {"merged_into_id": "C002" if is_merged else "", "merged_at": "2024-09-01" if is_merged else ""}
    company.write()
    company.drafted()
    assert company.column("account_merges", "account_id") == ["C001"]
    assert len(company.column("accounts", "account_id")) == 60


def test_merges_of_accounts_that_are_gone_are_named_and_not_mapped(company):
    company.tables["merges"] = [{"old_id": "gone", "new_id": "C002", "merged_at": "2024-09-01"}]
    company.write()
    draft = company.drafted()
    assert "account_merges" not in tomllib.loads(draft.mapping)["tables"]
    assert "0 of 1 ids in 'old_id' of merges are in accounts, so that these merges are not mapped" in notes(draft)
