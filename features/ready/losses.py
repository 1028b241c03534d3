"""What ready mappings lose: rows whose account is not there, and what the contract cannot say."""

from features.compute.backends.duckdb import quote_name
from features.drafting.selects.decisions import DecisionLog, Query
from features.ingestion.text_comparisons import sources_read
from features.ready.match_keys import ACCOUNT_KEYS
from features.ready.part import ReadyPart
from features.ready.table_owners import ACCOUNTS

SHOWN = 20


def note_unmatched(part: ReadyPart, query: Query, decisions: DecisionLog) -> None:
    """Note the vendor's companies that are no account, and the rows of its tables that have none."""
    match = part.match
    key = f"{match.expression}::varchar"
    columns = {row[0] for row in query(f"describe {quote_name(match.source)}")}
    label = f"coalesce({quote_name(match.label)}::varchar, {key})" if match.label in columns else key
    is_account = f"coalesce({key} in (select id from {ACCOUNT_KEYS}), false)"
    rows = query(f"select {label}, bool_or({is_account}) from {quote_name(match.source)} group by 1 order by 1")
    unmatched = [str(name) for name, is_matched in rows if name and not is_matched]
    if unmatched:
        more = f" and {len(unmatched) - SHOWN:,} more" if len(unmatched) > SHOWN else ""
        shown = f"{', '.join(unmatched[:SHOWN])}{more}"
        of = sum(bool(name) for name, _ in rows)
        decisions.note(
            part.name, f"{len(unmatched):,} of {of:,} have no account whose id is their {match.key}: {shown}"
        )
    for table in [name for name in part.tables if name != ACCOUNTS]:
        _note_unmatched_rows(part, table, query, decisions)


def part_table(part: str, table: str) -> str:
    """The name of the table that holds the rows which a part gives a table."""
    return f"{part}_gives_{table}"


def note_counts(part: ReadyPart, query: Query, decisions: DecisionLog) -> None:
    """Note how many rows each limit of the part concerns, if it does and if the files for it are there."""
    sources = {name for (name,) in query("select view_name from duckdb_views()")}
    sources |= {name for (name,) in query("select table_name from duckdb_tables()")}
    for limit in part.counts.values():
        if not sources.issuperset(sources_read(limit.select, part.content.sources)):
            continue
        count, of = query(limit.select)[0]
        if count:
            decisions.note(part.name, f"{count:,} of {of:,} {limit.text}")


def _note_unmatched_rows(part: ReadyPart, table: str, query: Query, decisions: DecisionLog) -> None:
    matched = "coalesce(account_id in (select account_id from drafted_accounts), false)"
    lost, of = query(f"select count(*) filter (not {matched}), count(*) from {part_table(part.name, table)}")[0]
    if lost:
        decisions.note(part.name, f"{lost:,} of {of:,} rows of {table} have no account: validation reports them")
