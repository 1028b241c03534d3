"""Drafts a mapping and settings from ready mappings: fits each to the files, combines them, and counts what is lost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from configs.errors import ConfigError, DataError
from features.compute.backends.base import Backend, describe
from features.discovery.loaded_sources import LoadedSource, load_sources
from features.discovery.source_files import FileGroup
from features.drafting.draft import Draft, relative_folder
from features.drafting.draft_context import DraftRequest
from features.drafting.label_proposal import propose_labels
from features.drafting.mapping_file import settings_text
from features.drafting.observed_span import find_complete_from, find_span
from features.drafting.selects.decisions import Decide, DecisionLog, Query
from features.drafting.table_profile import profile_table
from features.ingestion.files.csv_source import connection_of
from features.ingestion.reader import cast_table
from features.ingestion.select_faults import check_columns
from features.ready.combined_mapping import CombinedMapping, combined_text
from features.ready.currency_rates import convert_amounts
from features.ready.exported_files import find_exported_files, leave_out_tables
from features.ready.losses import note_counts, note_unmatched
from features.ready.part import ReadyPart, read_part
from features.tables.contract import CONTRACT
from features.tables.raw_table import RawTable

ACCOUNTS = "accounts"


@dataclass(frozen=True)
class ReadyRequest:
    """The ready mappings to combine, the first with accounts first, and other columns with the id of the account."""

    names: Sequence[str]
    matches: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ReadyTables:
    """The rows of the tables of all parts, which `query` knows as `drafted_NAME`."""

    request: DraftRequest
    decisions: DecisionLog
    query: Query
    rows: dict[str, RawTable]


def draft_ready_mapping(request: DraftRequest, ready: ReadyRequest, decide: Decide) -> Draft:
    """The mapping and settings for the exports of a folder. Raises ConfigError, and DataError for a missing export."""
    decisions = DecisionLog(decide)
    parts, groups = _choose_parts(request, ready, decisions)
    backend, loaded = load_sources(groups, request.scratch)
    connection = connection_of(backend)
    query: Query = lambda sql: connection.execute(sql).fetchall()  # noqa: E731 - as in other drafts
    parts = [convert_amounts(_without_columns(part, loaded, decisions), query, decisions) for part in parts]
    rows = {table: _compute(backend, part, table) for part in parts for table in part.tables}
    for part in parts:
        note_unmatched(part, query, decisions)
        note_counts(part, query, decisions)
    drafted = ReadyTables(request, decisions, query, rows)
    span = find_span(drafted)
    complete = find_complete_from(drafted, span.begins)
    proposal = propose_labels(set(rows), (complete[0] if complete else span.begins, span.until), query)
    folder = relative_folder(request.folder, request.mapping_file.parent)
    mapping = combined_text(CombinedMapping(request.name, folder, complete, span, parts, loaded, decisions))
    profiles = tuple(profile_table(table, part.name, query) for part in parts for table in part.tables)
    settings = settings_text(request.name, request.mapping_file.name, proposal)
    return Draft(mapping, settings, decisions, profiles, proposal, {})


def _choose_parts(
    request: DraftRequest, ready: ReadyRequest, decisions: DecisionLog
) -> tuple[list[ReadyPart], list[FileGroup]]:
    """The parts with the tables that they have files for, of which one gives the accounts."""
    parts, groups = [], []
    for name in ready.names:
        part = read_part(name)
        exported = find_exported_files(part, request.folder)
        part = leave_out_tables(part, exported, decisions)
        parts.append(part.with_match(ready.matches[name]) if name in ready.matches else part)
        groups += exported
    if unused := sorted(ready.matches.keys() - set(ready.names)):
        raise ConfigError(f"'{unused[0]}' is not among the ready mappings to combine.", f"Add {unused[0]} to --from.")
    return _with_one_accounts_table(parts, decisions), groups


def _with_one_accounts_table(parts: Sequence[ReadyPart], decisions: DecisionLog) -> list[ReadyPart]:
    names = [part.name for part in parts]
    base = next((part.name for part in parts if ACCOUNTS in part.tables), None)
    if base is None:
        raise ConfigError(f"{' and '.join(names)} give no accounts.", "Add one that does, such as stripe, to --from.")
    others = [part.name for part in parts if ACCOUNTS in part.tables and part.name != base]
    for name in others:
        decisions.note(name, f"its accounts are not used: those of {base} are")
    parts = [part.without(ACCOUNTS) if part.name in others else part for part in parts]
    tables = Counter(table for part in parts for table in part.tables)
    if repeated := [table for table, count in tables.items() if count > 1]:
        owners = [part.name for part in parts if repeated[0] in part.tables]
        raise ConfigError(f"{' and '.join(owners)} both give {repeated[0]}.", "Combine only one of them.")
    return parts


def _without_columns(part: ReadyPart, loaded: Sequence[LoadedSource], decisions: DecisionLog) -> ReadyPart:
    """The part with null for each optional column that its files lack. Raises DataError for another match column."""
    sources = {source.name: source for source in loaded if source.name in part.content.sources}
    columns = {column for source in sources.values() for column in source.columns}
    if part.match.key not in sources[part.match.source].columns:
        has = ", ".join(sources[part.match.source].columns)
        raise DataError(
            f"{part.name}: {part.content.sources[part.match.source]} has no column {part.match.key}, which is to hold"
            " the id of the account.",
            f"Name another one: --match {part.name}=COLUMN. It has {has}.",
        )
    for column in part.content.optional:
        if column not in columns:
            decisions.note(part.name, f"no file has the column {column}: it is empty")
            part = part.with_text(rf"\b(?:\w+\.)?{column}\b", "null")
    return part


def _compute(backend: Backend, part: ReadyPart, table: str) -> RawTable:
    """The rows of a table of a part in the contract's types, as `drafted_TABLE`."""
    contract = CONTRACT[table]
    assert backend.create_table is not None  # DuckDB, which drafts are made on, has it
    try:
        rows = backend.select(part.tables[table].select)
        check_columns(rows.columns, contract)
        typed = cast_table(rows, contract).select([name for name in contract.columns if name in rows.columns])
        computed = backend.create_table(f"drafted_{table}", typed)
    except backend.error_types as error:
        raise DataError(
            f"{part.name}: {table} cannot be read from this export: {describe(error)}.",
            f"Compare its columns with those in configs/datasets/ready/{part.name}.toml.",
        ) from None
    return RawTable(contract, computed, frozenset(computed.columns))
