"""What the steps of a draft share: the request, the sources on one backend, the drafts so far, and the decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from features.compute.backends.duckdb import quote_name
from features.discovery.account_keys import find_links
from features.discovery.database_tables import DatabaseAddress, group_tables
from features.discovery.loaded_sources import load_sources
from features.discovery.merge_lists import find_merge_list, is_list_of_merges
from features.discovery.recognition import match_tables, profile_source
from features.discovery.source_files import FileGroup, group_files
from features.discovery.stored_objects import BucketAddress, group_objects
from features.drafting.selects.column_expressions import SourceStyle
from features.drafting.selects.decisions import DecisionLog, Query
from features.drafting.selects.select_draft import SelectDraft, materialise
from features.drafting.selects.source_styles import find_styles
from features.ingestion.files.csv_source import connection_of
from features.tables.raw_table import RawTable


@dataclass(frozen=True)
class DraftRequest:
    """The folder to draft for, or the address of a database or a bucket, where the mapping will be, and the time.

    With an address the folder is that of the mapping.
    """

    folder: Path
    mapping_file: Path
    now: datetime
    scratch: Path
    address: DatabaseAddress | BucketAddress | None = None

    @property
    def name(self) -> str:
        """The name of the data set."""
        return self.address.name if self.address else self.folder.resolve().name

    @property
    def origin(self) -> str:
        """Where the tables are, for messages."""
        return self.address.url if self.address else str(self.folder)


class DraftContext:
    """The sources of a folder on one backend, the drafts so far, and the log of decisions."""

    def __init__(self, request: DraftRequest, decisions: DecisionLog) -> None:
        self.request, self.decisions = request, decisions
        groups = _find_groups(request)
        _note_copies(groups, decisions)
        self.backend, loaded = load_sources(groups, request.scratch)
        self.connection = connection = connection_of(self.backend)
        self.query: Query = lambda sql: connection.execute(sql).fetchall()
        self.sources = [profile_source(connection, source) for source in loaded]
        self.links = find_links(connection, self.sources)
        merges = find_merge_list(self.sources, self.links)
        others = [s for s in self.sources if merges is None or s is not merges.source or not is_list_of_merges(merges)]
        self.matches = {match.table: match for match in match_tables(others, self.links)}
        if merges and "accounts" in self.matches:
            self.matches[merges.table] = merges
        self.styles = find_styles(self.sources, decisions)
        self.drafts: dict[str, SelectDraft] = {}
        self.rows: dict[str, RawTable] = {}

    def style(self, table: str) -> SourceStyle:
        """How the source of a table writes numbers and dates."""
        match = self.drafts[table].match or self.matches.get(table) or next(iter(self.matches.values()))
        return self.styles[match.source.name]

    def materialise(self, table: str) -> None:
        """Compute a draft, so that rules can look at its rows."""
        self.rows[table] = materialise(self.backend, self.drafts[table], self.style(table))

    def is_used(self, source: str) -> bool:
        """Whether a draft reads a source."""
        quoted = quote_name(source)
        return any(f" {quoted} " in f" {draft.origin} ".replace("\n", " ") for draft in self.drafts.values())


def _find_groups(request: DraftRequest) -> list[FileGroup]:
    """The sources of the folder, the database or the bucket."""
    if request.address is None:
        return group_files(request.folder)
    if isinstance(request.address, BucketAddress):
        return group_objects(request.address, request.scratch)
    return group_tables(request.address, request.scratch)


def _note_copies(groups: Sequence[FileGroup], decisions: DecisionLog) -> None:
    for group in groups:
        for copy, original in group.copies:
            decisions.note(group.name, f"{copy.name} is a copy of {original.name}, to the byte, and is left out")
