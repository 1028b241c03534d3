"""Merged accounts in labels: merging is not leaving, and from the merge on an account leaves when the one left does.

A snapshot of an account sees its own rows, and from when other accounts are one with it, theirs. So an account that is
merged stays if the account that is left stays, and leaves when that leaves. Here counts when accounts were merged, not
when it became known: a label looks ahead anyway.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import ibis
import ibis.expr.types as ir
import pandas as pd

from features.tables.account_merges import (
    ENDS_WITH_ACCOUNT,
    AccountMerge,
    Owner,
    owners_of,
    read_merges,
    tables_as_written,
)
from features.tables.contract import ACCOUNT_ID, ACCOUNT_MERGES
from features.tables.raw_table import RawTable

SEPARATOR = "\x1f"  # no id of an account has a control character
MEMBER_TYPES = {
    **dict.fromkeys(("member", "group"), "str"),
    **dict.fromkeys(("joined_at", "owned_at", "merged_at"), "datetime64[us]"),
    "is_itself": "bool",
}


@dataclass(frozen=True)
class FollowedSnapshots:
    """Tables and snapshots in which accounts that were one with others at as_of have names of their own.

    There is no table of merges in them, because they hold what follows from it.
    """

    tables: Mapping[str, RawTable]
    snapshots: pd.DataFrame


def follow_merges(tables: Mapping[str, RawTable], snapshots: pd.DataFrame) -> FollowedSnapshots:
    """The tables as the labels of these snapshots (account_id, as_of) read them; the snapshots keep their order."""
    written = tables_as_written(tables)
    merges = read_merges(written)
    if not merges:
        return FollowedSnapshots(written, snapshots)
    groups = _Groups.of(merges)
    names = [groups.name_at(*row) for row in zip(snapshots[ACCOUNT_ID], snapshots.as_of, strict=True)]
    by_name = {row[0]: row for row in zip(names, snapshots[ACCOUNT_ID], snapshots.as_of, strict=True)}
    others = {account: (account, account, pd.Timestamp.min) for account in groups.owners if account not in by_name}
    rows = [row for named in (*by_name.values(), *others.values()) for row in groups.members_of(*named)]
    members = ibis.memtable(pd.DataFrame(rows, columns=list(MEMBER_TYPES)).astype(MEMBER_TYPES))
    own = {name: table for name, table in written.items() if name != ACCOUNT_MERGES.name}
    followed = {name: replace(table, rows=_follow(table, members)) for name, table in own.items()}
    return FollowedSnapshots(followed, snapshots.assign(**{ACCOUNT_ID: names}))


def written_name(name: str) -> str:
    """The account that a name in followed tables stands for.

    >>> written_name("a" + SEPARATOR + "2"), written_name("b")
    ('a', 'b')
    """
    return name.partition(SEPARATOR)[0]


@dataclass(frozen=True)
class _Groups:
    """Who each account of a merge is over time, the accounts that end as one, and when each was merged away."""

    owners: Mapping[str, Sequence[Owner]]
    groups: Mapping[str, Sequence[str]]
    merged_at: Mapping[str, datetime]

    @classmethod
    def of(cls, merges: Sequence[AccountMerge]) -> "_Groups":
        owners: dict[str, Sequence[Owner]] = dict(owners_of(merges, as_known=False))
        owners |= {m.merged_into: (Owner(m.merged_into, None),) for m in merges if m.merged_into not in owners}
        groups: dict[str, list[str]] = {}
        for account, path in owners.items():
            groups.setdefault(path[-1].account_id, []).append(account)
        return cls(owners, groups, {merge.account_id: merge.merged_at for merge in merges})

    def name_at(self, account: str, as_of: pd.Timestamp) -> str:
        """The account with the number of accounts that it is one with."""
        if account not in self.owners:
            return account
        joined = sum(at is not None and at <= as_of for at in self._joins(account).values())
        return f"{account}{SEPARATOR}{joined}" if joined else account

    def members_of(self, name: str, account: str, as_of: pd.Timestamp) -> Iterator[dict[str, object]]:
        """Which accounts' rows a snapshot sees, from when, and from when the account was one of them."""
        if account not in self.owners:
            return
        owned_at = {owner.account_id: owner.since for owner in self.owners[account]}
        for member, joined_at in self._joins(account).items():
            is_one = joined_at is not None and joined_at <= as_of
            yield {
                "member": member,
                "group": name,
                "joined_at": None if is_one else joined_at,
                "owned_at": owned_at.get(member),
                "merged_at": self.merged_at.get(member),
                "is_itself": member == account,
            }

    def _joins(self, account: str) -> dict[str, datetime | None]:
        """When each account of the group became one with an account; None for itself."""
        path = self.owners[account]
        own = {owner.account_id: owner.since for owner in path}
        joins: dict[str, datetime | None] = {}
        for member in self.groups[path[-1].account_id]:
            meeting = next(owner for owner in self.owners[member] if owner.account_id in own)
            times = [at for at in (meeting.since, own[meeting.account_id]) if at is not None]
            joins[member] = max(times, default=None)
        return joins


def _follow(table: RawTable, members: ir.Table) -> ir.Table:
    """The rows that the snapshots of merged accounts see, under their names, and all rows of other accounts."""
    joined = table.rows.left_join(members, table.rows[ACCOUNT_ID] == members.member)
    others = [name for name in table.rows.columns if name != ACCOUNT_ID]
    visible = joined.filter(joined.member.isnull() | _visible(table, joined))
    named = visible.mutate(**{ACCOUNT_ID: ibis.coalesce(visible.group, visible[ACCOUNT_ID])})
    if table.contract.name == "subscriptions":
        starts_later = named.joined_at.isnull() | (named.started_at >= named.joined_at)
        named = named.mutate(started_at=starts_later.ifelse(named.started_at, named.joined_at))
    return named.select(ACCOUNT_ID, *others)


def _visible(table: RawTable, rows: ir.Table) -> ir.Value:
    """Whether a snapshot sees a row: from when its account is one of its own."""
    contract, at_once = table.contract, rows.joined_at.isnull()
    if contract.name == "notices":
        # A notice that was to take effect at the merge or later was overtaken by it.
        effective_at = ibis.coalesce(rows.effective_at, rows.notified_at)
        is_overtaken = rows.merged_at.notnull() & (effective_at >= rows.merged_at)
        return (rows.is_itself | (rows.notified_at >= rows.owned_at)) & ~is_overtaken
    if contract.name in ENDS_WITH_ACCOUNT:
        return rows.is_itself
    if contract.name == "subscriptions":
        return at_once | rows.ended_at.isnull() | (rows.ended_at > rows.joined_at)
    return at_once | (rows[contract.at] >= rows.joined_at) if contract.at else at_once
