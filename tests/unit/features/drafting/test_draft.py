"""A folder of files becomes a mapping: what is wrong with the files is named, or handled right, and never guessed."""

import tomllib
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from configs.errors import DataError
from configs.settings import DataSettings, EngineSettings
from features.drafting.decisions import Answer, Question
from features.drafting.draft import Draft, DraftRequest, draft_files
from features.ingestion.reader import cast_tables, open_tables
from features.tables.mapping import read_dataset
from tests.support.companies.company_files import Rows, company_rows, write_company, write_csv

NOW = datetime(2026, 7, 1)
Change = Callable[[dict[str, Rows]], None]


class Unanswered(Exception):
    """A question that has no default and no answer."""


class Company:
    """A company's files with what is drafted for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "acme"
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.tables = {name: rows for name, rows in company_rows().items() if name != "events"}
        self.draft: Draft | None = None

    def write(self) -> None:
        write_company(self.folder, self.tables)

    def drafted(self, **answers: str) -> Draft:
        """The draft, with defaults for what is not answered."""

        def decide(question: Question) -> Answer:
            choice = answers.get(question.key.rpartition(".")[2] or question.key, question.default)
            if choice is None:
                raise Unanswered(question.key)
            return Answer(question, choice, is_assumed=question.key not in answers)

        mapping = self.folder / "mapping.toml"
        draft = draft_files(DraftRequest(self.folder, mapping, NOW, self.scratch), decide)
        mapping.write_text(draft.mapping, "utf-8")
        return draft

    def column(self, table: str, column: str) -> list:
        """The values of a column as the mapping gives them, ordered by account."""
        dataset = read_dataset(DataSettings(dataset=self.folder / "mapping.toml"))
        opened = open_tables(EngineSettings(threads=1), dataset, self.scratch / "converted")
        rows = cast_tables(opened.tables)[table].rows.order_by("account_id")
        return rows[column].to_pyarrow().to_pylist()


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def notes(draft: Draft) -> str:
    return "\n".join(map(str, (*draft.notebook.findings, *draft.notebook.answers)))


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
    company.drafted(contracts="month_first")
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
