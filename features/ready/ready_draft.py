"""Drafts a mapping and settings from ready mappings: fits each to the files, combines them, and counts what is lost."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from configs.errors import ConfigError, DataError
from features.discovery.loaded_sources import LoadedSource, load_sources
from features.discovery.recognition import ProfiledSource, profile_source
from features.discovery.source_files import FileGroup
from features.drafting.draft import Draft, relative_folder
from features.drafting.draft_context import DraftRequest
from features.drafting.label_proposal import propose_labels
from features.drafting.mapping_file import settings_text
from features.drafting.observed_span import find_complete_from, find_span
from features.drafting.selects.decisions import Decide, DecisionLog, Query
from features.drafting.table_profile import profile_table
from features.drafting.unmapped_columns import UnmappedColumn, attribute_lines, find_unread
from features.ingestion.files.csv_source import connection_of
from features.ready.combined_mapping import CombinedMapping, combined_text
from features.ready.combined_tables import CombinedTable, combine_tables
from features.ready.currency_rates import convert_amounts
from features.ready.date_orders import find_date_order, with_date_order
from features.ready.exported_files import find_exported_files, leave_out_tables
from features.ready.losses import note_counts, note_unmatched
from features.ready.named_columns import name_columns
from features.ready.part import ReadyPart, read_part
from features.ready.part_tables import PartTables
from features.ready.table_owners import share_tables
from features.tables.raw_table import RawTable


@dataclass(frozen=True)
class ReadyRequest:
    """The ready mappings to combine, the first with accounts first, and other columns with the id of the account."""

    names: Sequence[str]
    matches: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ReadyTables:
    """The rows of the tables of all parts, which `query` knows as `drafted_NAME`, and the source of the accounts."""

    request: DraftRequest
    decisions: DecisionLog
    query: Query
    rows: dict[str, RawTable]
    sources: Sequence[LoadedSource]
    accounts: Sequence[ProfiledSource]


def draft_ready_mapping(request: DraftRequest, ready: ReadyRequest, decide: Decide) -> Draft:
    """The mapping and settings for the exports of a folder. Raises ConfigError, and DataError for a missing export."""
    decisions = DecisionLog(decide)
    parts, groups = _choose_parts(request, ready, decisions)
    backend, loaded = load_sources(groups, request.scratch)
    connection = connection_of(backend)
    query: Query = lambda sql: connection.execute(sql).fetchall()  # noqa: E731 - as in other drafts
    fitted = [_fit(part, _sources_of(part, loaded), query, decisions) for part in parts]
    computed = PartTables(backend, query, decisions, {part.name: order for part, order in fitted})
    parts = computed.compute([part for part, _ in fitted], ready.matches)
    tables = combine_tables(parts, computed.added_columns(parts))
    rows = {table.name: computed.combine(table) for table in tables}
    sources = _with_orders(parts, loaded, computed.orders)
    accounts = [profile_source(connection, source) for source in sources if source.name == parts[0].match.source]
    for part in parts:
        note_unmatched(part, query, decisions)
        note_counts(part, query, decisions)
    return _write_draft(ReadyTables(request, decisions, query, rows, sources, accounts), parts, tables)


def _write_draft(drafted: ReadyTables, parts: Sequence[ReadyPart], tables: Sequence[CombinedTable]) -> Draft:
    request, query, decisions = drafted.request, drafted.query, drafted.decisions
    span = find_span(drafted)
    complete = find_complete_from(drafted, span.begins)
    proposal = propose_labels(set(drafted.rows), (complete[0] if complete else span.begins, span.until), query)
    folder = relative_folder(request.folder, request.mapping_file.parent)
    content = CombinedMapping(request.name, folder, complete, span, parts, tables, drafted.sources, decisions)
    profiles = tuple(profile_table(table.name, table.source, query) for table in tables)
    unmapped = _unmapped_columns(drafted, parts[0], tables)
    settings = settings_text(request.name, request.mapping_file.name, proposal, attribute_lines(unmapped))
    return Draft(combined_text(content), settings, decisions, profiles, proposal, {}, unmapped)


def _unmapped_columns(
    drafted: ReadyTables, part: ReadyPart, tables: Sequence[CombinedTable]
) -> tuple[UnmappedColumn, ...]:
    """The columns of accounts that no table reads and the vendor does not overwrite."""
    unread = find_unread(drafted.accounts, "\n".join(table.text.select for table in tables), part.match.source)
    return tuple(column for column in unread if column.column not in part.content.overwritten)


def _choose_parts(
    request: DraftRequest, ready: ReadyRequest, decisions: DecisionLog
) -> tuple[list[ReadyPart], list[FileGroup]]:
    """The parts with the tables that they have files for, of which the first one gives the accounts."""
    parts, groups = [], []
    for name in ready.names:
        part = read_part(name)
        exported = find_exported_files(part, request.folder)
        part = leave_out_tables(part, exported, decisions)
        parts.append(part.with_match(ready.matches[name]) if name in ready.matches else part)
        groups += exported
    if unused := sorted(ready.matches.keys() - set(ready.names)):
        raise ConfigError(f"'{unused[0]}' is not among the ready mappings to combine.", f"Add {unused[0]} to --from.")
    return share_tables(parts, decisions), groups


def _sources_of(part: ReadyPart, loaded: Sequence[LoadedSource]) -> list[LoadedSource]:
    return [source for source in loaded if source.name in part.content.sources]


def _fit(
    part: ReadyPart, sources: Sequence[LoadedSource], query: Query, decisions: DecisionLog
) -> tuple[ReadyPart, str | None]:
    """The part fitted to the columns, dates and currencies of its files, and the order of its dates."""
    part = name_columns(_without_columns(part, sources, decisions), sources, decisions)
    order = find_date_order(part, sources, query, decisions)
    return convert_amounts(with_date_order(part, order) if order else part, query, decisions), order


def _with_orders(
    parts: Sequence[ReadyPart], loaded: Sequence[LoadedSource], orders: Mapping[str, str | None]
) -> list[LoadedSource]:
    """The sources with the order of their dates, where it is not ISO 8601."""
    by_source = {name: orders[part.name] for part in parts for name in part.content.sources}
    return [
        replace(source, mapping=source.mapping.model_copy(update={"dates": by_source[source.name]}))
        for source in loaded
    ]


def _without_columns(part: ReadyPart, sources: Sequence[LoadedSource], decisions: DecisionLog) -> ReadyPart:
    """The part with null for each optional column that its files lack. Raises DataError for another match column."""
    columns = {source.name: source.columns for source in sources}
    match = part.match
    if match.needed_column not in columns[match.source]:
        raise DataError(
            f"{part.name}: {part.content.sources[match.source]} has no column {match.needed_column}, which is to hold"
            " the id of the account.",
            f"Name another one: --match {part.name}=COLUMN. It has {', '.join(columns[match.source])}.",
        )
    missing: dict[str, list[str]] = defaultdict(list)
    for optional in (*part.content.optional, *part.content.variant_columns):
        source, _, column = optional.rpartition(".")
        if (source and source not in columns) or _has_column(columns, source, column):
            continue
        if optional in part.content.optional:
            missing[part.content.sources.get(source, "no file")].append(column)
        part = part.with_text(rf"\b{source}\.{column}\b" if source else rf"\b(?:\w+\.)?{column}\b", "null")
    for files, names in missing.items():
        decisions.note(part.name, _missing_text(files, names))
    return part


def _missing_text(files: str, names: Sequence[str]) -> str:
    verb = f"has {'the' if files == 'no file' else 'no'} column{'' if len(names) == 1 else 's'}"
    return f"{files} {verb} {', '.join(names)}: {'it is' if len(names) == 1 else 'they are'} empty"


def _has_column(columns: Mapping[str, Sequence[str]], source: str, column: str) -> bool:
    """Whether a source, or any if it is not named, has a column."""
    return any(column in names for name, names in columns.items() if source in ("", name))
