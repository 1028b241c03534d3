"""A company's files, what is drafted for them, and what the drafted mapping then reads."""

from datetime import datetime
from pathlib import Path

from configs.sections.publishing import DataSettings, EngineSettings
from features.drafting.draft import Draft, draft_files
from features.drafting.draft_context import DraftRequest
from features.drafting.selects.decisions import Answer, Question
from features.ingestion.reader import cast_tables, open_tables
from features.tables.dataset import read_dataset
from tests.support.companies.company_files import company_rows, write_company

NOW = datetime(2026, 7, 1)


class Unanswered(Exception):
    """A question that has no default and no answer."""


class Company:
    """A company's files with what is drafted for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "acme"
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.tables = {name: rows for name, rows in company_rows().items() if name != "events"}

    def write(self) -> None:
        """Write the tables as CSV."""
        write_company(self.folder, self.tables)

    def drafted(self, **answers: str) -> Draft:
        """The draft, with defaults for what is not answered; answers are by the first part of their key."""

        def decide(question: Question) -> Answer:
            choice = answers.get(question.key.partition(".")[0], question.default)
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


def notes(draft: Draft) -> str:
    """Everything that a draft names or decides."""
    return "\n".join(map(str, (*draft.decisions.notes, *draft.decisions.answers)))
