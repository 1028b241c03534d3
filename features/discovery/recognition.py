"""Recognises which source is which table of the contract, by the names of its columns and what their values are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from duckdb import DuckDBPyConnection

from features.discovery.column_profile import ColumnProfile, profile_columns
from features.discovery.loaded_sources import LoadedSource
from features.discovery.vocabulary import (
    ACCOUNT_WORDS,
    ANNUAL_WORDS,
    CENTS_WORDS,
    TABLE_WORDS,
    column_words,
    columns_by_word,
    normalise,
    table_word_score,
)
from features.tables.contract import ACCOUNT_ID, CONTRACT, ColumnContract

# What a select can supply if no column does: a key from the row, a constant, or the first day of another table.
DERIVABLE = {
    "accounts": {"created_at"},
    "subscriptions": {"subscription_id", "mrr"},
    "usage": {"event"},
    "surveys": {"kind"},
    "touches": {"kind"},
}
MIN_SCORE = 4.0
KEY_SHARE = 0.98  # of the rows of a source have a value of their own in its key; the others are repeated rows
NAME_WEIGHT, REQUIRED_WEIGHT, OPTIONAL_WEIGHT = 2.0, 2.0, 0.5
TRANSACTION_WORDS = ("unit_price", "unitprice", "price", "stock_code", "stockcode", "sku", "product_id", "order_id")
Profiles = Mapping[str, ColumnProfile]


@dataclass(frozen=True)
class ProfiledSource:
    """A source with the profile of each column, by its name in the source."""

    loaded: LoadedSource
    profiles: Profiles

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.loaded.name

    @property
    def rows(self) -> int:
        """How many rows the source has."""
        return next((profile.rows for profile in self.profiles.values()), 0)

    def find(self, words: Sequence[str]) -> ColumnProfile | None:
        """The first column with one of these names that has any value."""
        column = next((self._filled[word] for word in words if word in self._filled), None)
        return self.profiles[column] if column else None

    @cached_property
    def _filled(self) -> dict[str, str]:
        """The columns with any value, by their names as the vocabulary writes them."""
        return columns_by_word([name for name, profile in self.profiles.items() if profile.filled])


def profile_source(connection: DuckDBPyConnection, source: LoadedSource) -> ProfiledSource:
    """A loaded source with the profile of each of its columns."""
    return ProfiledSource(source, profile_columns(connection, source.name, source.columns))


@dataclass(frozen=True)
class Link:
    """How the rows of a source name their account: by a column, or by a column that another source has as its key."""

    column: str
    through: str | None = None
    through_key: str | None = None
    through_account: str | None = None


@dataclass(frozen=True)
class TableMatch:
    """A source that is a table: the source column of each contract column, and how it names its account."""

    table: str
    source: ProfiledSource
    link: Link
    columns: Mapping[str, str]
    score: float

    def profile(self, column: str) -> ColumnProfile | None:
        """The profile of the source column behind a column of the contract."""
        name = self.columns.get(column)
        return self.source.profiles[name] if name else None


def match_tables(sources: Sequence[ProfiledSource], links: Mapping[str, Link]) -> list[TableMatch]:
    """The tables that the sources are: each source and each table once, the best matches first."""
    candidates = [
        match
        for source in sources
        if source.name in links
        for table in CONTRACT
        if (match := _match(source, table, links[source.name])) and match.score >= MIN_SCORE
    ]
    matches: list[TableMatch] = []
    for match in sorted(candidates, key=lambda match: (-match.score, list(CONTRACT).index(match.table))):
        if all(match.table != other.table and match.source is not other.source for other in matches):
            matches.append(match)
    return sorted(matches + _subscriptions_in_accounts(matches), key=lambda m: list(CONTRACT).index(m.table))


def find_account_key(source: ProfiledSource) -> str | None:
    """The column that names the account of each row, by its name."""
    own = [f"{word}_id" for word in TABLE_WORDS["accounts"]]
    column = source.find((ACCOUNT_ID, *own, *ACCOUNT_WORDS))
    return column.name if column and not column.is_instant else None


def find_row_key(source: ProfiledSource) -> str | None:
    """The column with a value of its own in nearly each row, by its name: `id`, or the source's name with it."""
    stem = normalise(source.name).rpartition("_")[2].removesuffix("s")
    for words in (("id", "key", "uid", "guid", f"{stem}_id"), tuple(map(normalise, source.profiles))):
        for profile in filter(None, (source.find((word,)) for word in words)):
            if profile.distinct >= KEY_SHARE * source.rows and normalise(profile.name).endswith(("id", "key")):
                return profile.name
    return None


def is_compatible(profile: ColumnProfile, column: ColumnContract) -> bool:
    """Whether the values of a source column can be those of a column of the contract."""
    if not profile.filled:
        return False
    if column.type in {"instant", "day"}:
        return profile.is_instant
    if column.type == "number":
        return profile.is_number
    if column.type == "flag":
        return profile.is_flag
    return not profile.is_instant


def missing_columns(source: ProfiledSource, table: str, link: Link) -> set[str]:
    """The columns that a source lacks to be a table of the contract, and that nothing else can supply."""
    return _required(table) - _match_columns(source, table, link).keys() - DERIVABLE.get(table, set())


def _required(table: str) -> set[str]:
    return {name for name, column in CONTRACT[table].columns.items() if column.required and name != ACCOUNT_ID}


def _match(source: ProfiledSource, table: str, link: Link) -> TableMatch | None:
    columns = _match_columns(source, table, link)
    required = _required(table)
    if required - columns.keys() - DERIVABLE.get(table, set()) or (table == "accounts" and not _is_key(source, link)):
        return None
    score = NAME_WEIGHT * table_word_score(source.name, table)
    score += REQUIRED_WEIGHT * len(required & columns.keys()) + OPTIONAL_WEIGHT * len(columns.keys() - required)
    score += 2.0 if table == "accounts" and not source.find((*ANNUAL_WORDS, "mrr")) else 0.0
    if table == "invoices" and source.find(TRANSACTION_WORDS):
        score -= 3.0  # lines of an order: several rows have one number
    return TableMatch(table, source, link, columns, score)


def _is_key(source: ProfiledSource, link: Link) -> bool:
    key = source.profiles[link.column]
    return link.through is None and key.distinct >= KEY_SHARE * source.rows


def _match_columns(source: ProfiledSource, table: str, link: Link) -> dict[str, str]:
    used, columns = {link.column}, {}
    contract = CONTRACT[table].columns
    # Each column first looks for its own name, so that no synonym takes it from another one.
    for words_of in (lambda name: (name,), lambda name: _words(table, name)):
        for name, column in contract.items():
            if name in columns or name == ACCOUNT_ID:
                continue
            profile = _find_compatible(source, words_of(name), column, used)
            if profile:
                columns[name] = profile.name
                used.add(profile.name)
    return columns


def _words(table: str, name: str) -> tuple[str, ...]:
    extra = (*ANNUAL_WORDS, *CENTS_WORDS) if (table, name) == ("subscriptions", "mrr") else ()
    return (*column_words(table, name), *extra)


def _find_compatible(
    source: ProfiledSource, words: Iterable[str], column: ColumnContract, used: set[str]
) -> ColumnProfile | None:
    for word in words:
        profile = source.find((word,))
        if profile and profile.name not in used and is_compatible(profile, column):
            return profile
    return None


def _subscriptions_in_accounts(matches: Sequence[TableMatch]) -> list[TableMatch]:
    """Subscriptions that stand in the table of accounts, one per account."""
    by_table = {match.table: match for match in matches}
    accounts = by_table.get("accounts")
    if accounts is None or "subscriptions" in by_table:
        return []
    match = _match(accounts.source, "subscriptions", accounts.link)
    has_end_or_price = match and {"mrr", "ended_at", "renews_at"} & match.columns.keys()
    return [replace(match, score=0.0)] if match and has_end_or_price else []
