"""Recognises lists of accounts that were merged: an old account, the one that is left, and when."""

from collections.abc import Mapping, Sequence

from features.discovery.column_profile import ColumnProfile
from features.discovery.recognition import KEY_SHARE, Link, ProfiledSource, TableMatch
from features.discovery.vocabulary import RECORDED_WORDS, normalise
from features.tables.contract import ACCOUNT_MERGES

NAMES = frozenset({"merge", "merges", "merged", "merger", "mergers", "duplicate", "duplicates", "dedupe"})
# The first ones say by themselves that accounts were merged, the others only in a list that is named so.
LEFT_WORDS = (
    *("merged_into", "merged_into_id", "merged_into_account_id", "merged_to", "merged_to_id", "winner_id", "winner"),
    *("surviving_id", "surviving_account_id", "survivor_id", "master_record_id", "master_account_id", "kept_id"),
)
PLAIN_LEFT_WORDS = (
    *("to", "to_id", "to_account", "to_account_id", "new_id", "new_account", "new_account_id", "into", "into_id"),
    *("target_id", "target_account_id", "master_id", "primary_id", "primary_account_id", "canonical_id"),
)
OLD_WORDS = (
    *("loser_id", "loser", "losing_id", "merged_id", "merged_account_id", "duplicate_id", "duplicate_account_id"),
    *("from", "from_id", "from_account", "from_account_id", "old_id", "old_account", "old_account_id"),
    *("source_id", "source_account_id", "secondary_id", "secondary_account_id"),
)
AT_WORDS = ("merged_at", "merged_on", "merge_date", "merged_date", "merge_time", "merged")
PLAIN_AT_WORDS = ("at", "date", "timestamp", "created_at", "time", "day", "occurred_at", "effective_at")


def find_merge_list(sources: Sequence[ProfiledSource], links: Mapping[str, Link]) -> TableMatch | None:
    """The first source whose columns say which account was merged into which other one, and when."""
    matches = (_match(source, links.get(source.name)) for source in sources)
    return next(filter(None, matches), None)


def is_list_of_merges(match: TableMatch) -> bool:
    """Whether each row is a merge, so that the source is no other table."""
    left = match.source.profiles[match.columns["merged_into"]]
    return left.filled >= KEY_SHARE * match.source.rows


def _match(source: ProfiledSource, link: Link | None) -> TableMatch | None:
    is_named = bool(NAMES & set(normalise(source.name).split("_")))
    left = _id(source, (*LEFT_WORDS, *(PLAIN_LEFT_WORDS if is_named else ())))
    old = _id(source, OLD_WORDS) or (source.profiles[link.column] if link and link.through is None else None)
    at = _instant(source, (*AT_WORDS, *(PLAIN_AT_WORDS if is_named else ())))
    if left is None or old is None or at is None or left is old:
        return None
    columns = {"merged_into": left.name, "merged_at": at.name}
    recorded = _instant(source, RECORDED_WORDS)
    if recorded and recorded is not at:
        columns["recorded_at"] = recorded.name
    return TableMatch(ACCOUNT_MERGES.name, source, Link(old.name), columns, score=0.0)


def _id(source: ProfiledSource, words: Sequence[str]) -> ColumnProfile | None:
    column = source.find(words)
    return None if column is None or column.is_instant else column


def _instant(source: ProfiledSource, words: Sequence[str]) -> ColumnProfile | None:
    return next((c for word in words if (c := source.find((word,))) and c.is_instant), None)
