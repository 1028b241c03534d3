"""A folder with exports of vendors, what is drafted from them, and what the mapping then reads."""

from datetime import datetime
from pathlib import Path

import duckdb

from configs.sections.label import LabelSettings
from configs.sections.publishing import DataSettings, EngineSettings
from features.drafting.draft import Draft
from features.drafting.draft_context import DraftRequest
from features.drafting.selects.decisions import Answer, Question
from features.ingestion.reader import OpenTables, cast_tables, open_tables
from features.ingestion.validation import validate_tables
from features.ready.ready_draft import ReadyRequest, draft_ready_mapping
from features.tables.dataset import Dataset, read_dataset
from features.tables.subscriptions.at_risk import cut_subscriptions

NOW = datetime(2025, 7, 1)


class DraftedExports:
    """Vendors' exports in a folder, what is drafted from them, and what the mapping then reads."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.scratch = folder / "acme", folder / "scratch"
        self.scratch.mkdir()

    def draft(self, *vendors: str, matches: dict[str, str] | None = None, **answers: str) -> Draft:
        """Draft and write the mapping; questions without an answer take their default."""

        def decide(question: Question) -> Answer:
            choice = answers.get(question.key, question.default)
            assert choice is not None, f"nobody answers {question.key}"
            return Answer(question, choice, is_assumed=question.key not in answers)

        mapping = self.folder / "mapping.toml"
        request = DraftRequest(self.folder, mapping, NOW, self.scratch)
        draft = draft_ready_mapping(request, ReadyRequest(vendors, matches or {}), decide)
        mapping.write_text(draft.mapping, "utf-8")
        return draft

    def rewrite(self, vendor: str, table: str, text: str) -> None:
        """Write one file of an export anew."""
        file = self.folder / vendor / f"{table}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.lstrip(), "utf-8")

    def to_parquet(self) -> None:
        """Replace each CSV file by a Parquet file with the types that its values have."""
        for file in self.folder.glob("*/*.csv"):
            target = file.with_suffix(".parquet")
            duckdb.sql(f"copy (select * from read_csv('{file}')) to '{target}' (format parquet)")
            file.unlink()

    def rows(self, table: str, *columns: str, label: LabelSettings | None = None) -> list[tuple]:
        """Columns of a table as every reader gets them with this label, ordered by all of them."""
        _, opened = self.open()
        read = cast_tables(opened.tables)[table]
        if table == "subscriptions":
            read = cut_subscriptions(read, label or LabelSettings())
        rows = read.rows.select(*columns).order_by(list(columns))
        return [tuple(row.values()) for row in rows.to_pyarrow().to_pylist()]

    def violations(self) -> list[tuple[str, int]]:
        """What validation reports: the rule and its rows."""
        dataset, opened = self.open()
        return sorted((f"{v.table}: {v.rule}", v.rows) for v in validate_tables(dataset, opened.tables))

    def open(self) -> tuple[Dataset, OpenTables]:
        """The data set of the mapping, and its tables."""
        dataset = read_dataset(DataSettings(dataset=self.folder / "mapping.toml"))
        return dataset, open_tables(EngineSettings(threads=1), dataset, self.scratch / "converted")


class UnchangedExports(DraftedExports):
    """Exports that no test changes: their mapping is drafted once, and their tables are opened once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._opened: tuple[Dataset, OpenTables] | None = None

    def open(self) -> tuple[Dataset, OpenTables]:
        """The data set of the mapping, and its tables."""
        self._opened = self._opened or super().open()
        return self._opened
