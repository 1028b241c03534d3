"""How the rows of each source name their account, and how well these ids match those of the accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from features.compute.backends.duckdb import quote_name
from features.discovery.recognition import KEY_SHARE, Link, ProfiledSource, find_account_key, find_row_key
from features.discovery.vocabulary import normalise, table_word_score

MIN_OVERLAP = 0.5
# The ways in which two systems write one id, the least intrusive first.
REPAIRS = {
    "as written": "{id}",
    "without outer spaces": "trim({id})",
    "without .0": "regexp_replace(trim({id}), '\\.0$', '')",
    "in lower case": "lower(trim({id}))",
    "without leading zeros": "regexp_replace(regexp_replace(trim({id}), '\\.0$', ''), '^0+([0-9])', '\\1')",
}


@dataclass(frozen=True)
class KeyMatch:
    """How the ids of a source match those of the accounts: as written, and under the repair that matches most."""

    ids: int
    matched: int
    repair: str
    repaired: int
    collisions: int
    unknown: tuple[str, ...]


def find_links(connection: DuckDBPyConnection, sources: Sequence[ProfiledSource]) -> dict[str, Link]:
    """How each source names its account; sources that name none are left out."""
    links = {source.name: Link(column) for source in sources if (column := find_account_key(source))}
    accounts = _find_accounts(sources, links)
    if accounts:
        links[accounts.name] = Link(_accounts_key(accounts, links))
    for source in sources:
        if source.name not in links and (link := _link_through(connection, source, sources, links)):
            links[source.name] = link
    return links


def compare_keys(connection: DuckDBPyConnection, source: tuple[str, str], accounts: tuple[str, str]) -> KeyMatch:
    """How the ids in a column of a source match those in the key of the accounts; both are (source, column)."""
    counts = {repair: _count_matched(connection, source, accounts, form) for repair, form in REPAIRS.items()}
    ids, matched = counts["as written"]
    best = max(counts, key=lambda repair: counts[repair][1])  # the first of equal ones
    form = REPAIRS[best].format(id=quote_name(accounts[1]) + "::varchar")
    total, distinct = connection.execute(
        f"select count(distinct {quote_name(accounts[1])}), count(distinct {form}) from {quote_name(accounts[0])}"
    ).fetchall()[0]
    return KeyMatch(ids, matched, best, counts[best][1], total - distinct, _unknown_ids(connection, source, accounts))


def _count_matched(
    connection: DuckDBPyConnection, source: tuple[str, str], accounts: tuple[str, str], form: str
) -> tuple[int, int]:
    """The distinct ids of a source, and how many of them are those of accounts, if both are written in a form."""
    own, key = (form.format(id=quote_name(column) + "::varchar") for _, column in (source, accounts))
    is_filled = f"{quote_name(source[1])} is not null"
    return connection.execute(
        f"""with own as (select distinct {own} as id from {quote_name(source[0])} where {is_filled}),
        keys as (select distinct {key} as id from {quote_name(accounts[0])})
        select count(*), count(*) filter (id in (select id from keys)) from own"""
    ).fetchall()[0]


def _unknown_ids(connection: DuckDBPyConnection, source: tuple[str, str], accounts: tuple[str, str]) -> tuple[str, ...]:
    column, key = quote_name(source[1]), quote_name(accounts[1])
    rows = connection.execute(
        f"""select distinct {column}::varchar as id from {quote_name(source[0])} where {column} is not null
        and {column}::varchar not in (select {key}::varchar from {quote_name(accounts[0])} where {key} is not null)
        order by 1 limit 5"""
    ).fetchall()
    return tuple(unknown for (unknown,) in rows)


def _find_accounts(sources: Sequence[ProfiledSource], links: Mapping[str, Link]) -> ProfiledSource | None:
    """The source that is named like accounts, and has a key."""
    named = [source for source in sources if table_word_score(source.name, "accounts") and _accounts_key(source, links)]
    return max(named, key=lambda source: table_word_score(source.name, "accounts"), default=None)


def _accounts_key(source: ProfiledSource, links: Mapping[str, Link]) -> str:
    """The column with the account's id in a table of accounts; empty if there is none."""
    link = links.get(source.name)
    if link and source.profiles[link.column].distinct >= KEY_SHARE * source.rows:
        return link.column
    return find_row_key(source) or (link.column if link else "")


def _link_through(
    connection: DuckDBPyConnection,
    source: ProfiledSource,
    sources: Sequence[ProfiledSource],
    links: Mapping[str, Link],
) -> Link | None:
    """A link by a column whose values are the key of another source that names accounts."""
    for other in sources:
        key = find_row_key(other)
        link = links.get(other.name)
        column = source.find((key,)) if key and link and other is not source else None
        if key and link and column and normalise(column.name) != "id":
            ids, matched = _count_matched(connection, (source.name, column.name), (other.name, key), "{id}")
            if ids and matched >= MIN_OVERLAP * ids:
                return Link(column.name, other.name, key, link.column)
    return None
