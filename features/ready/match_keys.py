"""Finds what holds the account's id in the tables of a vendor, and asks if it is not what its mapping expects."""

from features.compute.backends.duckdb import quote_name
from features.drafting.selects.decisions import DecisionLog, Query, Question
from features.ready.part import JSON_KEY, ReadyPart

ACCOUNT_KEYS = "account_keys"  # the ids of all accounts, also of those that were merged away


def find_match_key(part: ReadyPart, query: Query, decisions: DecisionLog) -> ReadyPart:
    """The part with the column or key that holds ids of accounts, if what it declares holds none; a person confirms it.

    `account_keys` has the ids.
    """
    if _count_matches(part, query):
        return part
    counts = {key: _count_matches(part.with_match(key), query) for key in _candidates(part, query)}
    matching = {key: count for key, count in counts.items() if count}
    if not matching:
        return part
    best = max(sorted(matching), key=lambda key: matching[key])
    matches = ", ".join(f"{key} {count:,}" for key, count in sorted(matching.items(), key=lambda item: -item[1]))
    question = Question(
        f"match.{part.name}",
        f"What holds the account's id in {part.content.sources[part.match.source]} of {part.name}?",
        f"{part.match.key} has none of the accounts; values that are ids of accounts: {matches}",
        {key: f"{key}, which has {count:,} of them" for key, count in matching.items()},
        best,
    )
    return part.with_match(decisions.ask(question))


def _candidates(part: ReadyPart, query: Query) -> list[str]:
    """The columns of the source, or the keys in its column of JSON."""
    if part.match.keys:
        return [key for (key,) in query(part.match.keys) if key and JSON_KEY.fullmatch(key)]
    return [row[0] for row in query(f"describe {quote_name(part.match.source)}")]


def _count_matches(part: ReadyPart, query: Query) -> int:
    """How many accounts the source names."""
    source = quote_name(part.match.source)
    column = f"(select distinct {part.match.expression}::varchar as id from {source})"
    return query(f"select count(*) from {column} where id in (select id from {ACCOUNT_KEYS})")[0][0]
