"""The columns of used sources that no table reads, and how to make those of accounts signals of one's own."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from configs.sections.signals import SIGNAL_NAME
from features.compute.backends.duckdb import quote_name
from features.discovery.column_profile import ColumnProfile
from features.discovery.recognition import ProfiledSource
from features.discovery.vocabulary import normalise
from features.drafting.selects.decisions import DataNote
from features.drafting.selects.future_columns import KNOWS_FUTURE
from features.drafting.selects.select_draft import SelectDraft
from features.signals.registry import catalogue
from features.tables.contract import CONTRACT

AttributeKind = Literal["number", "flag", "category"]
MAX_CATEGORIES = 50  # a column with more values is a name or an id
INTRO = (
    "# Columns of accounts that no table reads. As signals they count as the file says them now, at all times: one",
    "# that is overwritten, above all when an account leaves, would know the future.",
)


@dataclass(frozen=True)
class UnmappedColumn:
    """A column that no table reads; `kind` is that of the signal that it could be, None if it could be none as it is.

    Only a column of the source of accounts has a kind: the rows of other sources are several per account.
    """

    source: str
    column: str
    kind: AttributeKind | None

    @property
    def signal(self) -> str:
        """A name for its signal that nothing else has."""
        name = normalise(self.column)
        taken = {signal.name for signal in catalogue()} | CONTRACT.keys() | CONTRACT["accounts"].columns.keys()
        is_usable = re.fullmatch(SIGNAL_NAME, name) and name not in taken
        return name if is_usable else f"account_{name}"[:60]


def find_unmapped(
    sources: Iterable[ProfiledSource], drafts: Mapping[str, SelectDraft], notes: Sequence[DataNote]
) -> tuple[UnmappedColumn, ...]:
    """The columns with values that no draft reads, by source, without those that know the future."""
    accounts = drafts.get("accounts")
    of_accounts = accounts.match.source.name if accounts and accounts.match and not accounts.group_by else None
    unread = find_unread(sources, "\n".join(draft.sql() for draft in drafts.values()), of_accounts)
    return tuple(column for column in unread if not _knows_future(column, notes))


def find_unread(
    sources: Iterable[ProfiledSource], selects: str, accounts_source: str | None
) -> tuple[UnmappedColumn, ...]:
    """The columns with values that these selects do not read, by source; `accounts_source` has a row per account."""
    return tuple(
        UnmappedColumn(source.name, profile.name, _kind(profile) if source.name == accounts_source else None)
        for source in sources
        for profile in source.profiles.values()
        if profile.filled and not _is_read(profile.name, selects)
    )


def attribute_lines(unmapped: Iterable[UnmappedColumn]) -> list[str]:
    """The declarations of the columns that could be signals, as comments of a settings file."""
    lines: list[str] = []
    for column in unmapped:
        if column.kind:
            selected = f"{quote_name(column.column)} as {column.signal}"
            lines += [
                f"# {column.source}: add {selected} to the select of accounts in the mapping",
                "# [[signals.attributes]]",
                f'# name = "{column.signal}"',
                f'# kind = "{column.kind}"',
            ]
    return [*INTRO, *lines] if lines else []


def _is_read(column: str, texts: str) -> bool:
    return re.search(rf"(?<![\w']){re.escape(column)}(?![\w'])", texts) is not None


def _knows_future(column: UnmappedColumn, notes: Sequence[DataNote]) -> bool:
    begin = KNOWS_FUTURE.format(column.column)
    return any(note.subject == column.source and note.text.startswith(begin) for note in notes)


def _kind(profile: ColumnProfile) -> AttributeKind | None:
    if profile.is_instant:
        return None
    if profile.is_flag:
        return "flag"
    if profile.is_number:
        return "number" if profile.distinct < profile.filled or profile.filled < MAX_CATEGORIES else None
    return "category" if profile.distinct <= min(MAX_CATEGORIES, profile.filled - 1) else None
