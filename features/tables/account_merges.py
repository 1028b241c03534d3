"""Merged accounts: once a merge is known, the rows of the old account are those of the account that is left.

Before that nothing changes. So each row of a merged account is there once per owner, with the time of each: the
point-in-time cut (`point_in_time.filter_as_of`) keeps the one that owned it, as far as was known then. What describes
the old account itself (`ENDS_WITH_ACCOUNT`) ends with it. If both accounts have one and the same row, which a source
has copied, only the own one of the account that is left counts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from itertools import groupby
from operator import itemgetter, or_

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from configs.errors import DataError
from features.tables.contract import ACCOUNT_ID, ACCOUNT_MERGES
from features.tables.point_in_time import OWNED_FROM, OWNED_UNTIL, WRITTEN_ID
from features.tables.raw_table import RawTable

# They describe the account itself: those of the account that is left stay as they are.
ENDS_WITH_ACCOUNT = frozenset({"accounts", "attributes", "notices"})
OWNER_SCHEMA = pa.schema(
    {
        "written": pa.string(),
        "owner": pa.string(),
        OWNED_FROM: pa.timestamp("us"),
        OWNED_UNTIL: pa.timestamp("us"),
    }
)


@dataclass(frozen=True)
class AccountMerge:
    """An account that was merged into another one, when, and when that was recorded (None: at once)."""

    account_id: str
    merged_into: str
    merged_at: datetime
    recorded_at: datetime | None = None

    @property
    def known_at(self) -> datetime:
        """From when on it can be known."""
        return max(self.merged_at, self.recorded_at or self.merged_at)


@dataclass(frozen=True)
class Owner:
    """Who an account is from an instant on; None: from the start."""

    account_id: str
    since: datetime | None


def read_merges(tables: Mapping[str, RawTable]) -> tuple[AccountMerge, ...]:
    """The merges of a data set, in the order of their accounts; none if it has no such table.

    Raises DataError for accounts that are merged into one another in a circle.
    """
    if ACCOUNT_MERGES.name not in tables:
        return ()
    rows = tables[ACCOUNT_MERGES.name].rows.select(ACCOUNT_ID, "merged_into", "merged_at", "recorded_at")
    merges = tuple(AccountMerge(**row) for row in rows.order_by(ACCOUNT_ID).to_pyarrow().to_pylist())
    _raise_for_cycle({merge.account_id: merge.merged_into for merge in merges})
    return merges


def owners_of(merges: Iterable[AccountMerge], *, as_known: bool) -> dict[str, tuple[Owner, ...]]:
    """Who each merged account is over time, itself first: by when merges were known, or by when they happened.

    >>> on = lambda day: datetime(2024, 1, day)
    >>> chain = [AccountMerge("a", "b", on(5)), AccountMerge("b", "c", on(9))]
    >>> [(owner.account_id, owner.since and owner.since.day) for owner in owners_of(chain, as_known=True)["a"]]
    [('a', None), ('b', 5), ('c', 9)]
    """
    by_account = {merge.account_id: merge for merge in merges}
    return {account_id: tuple(_follow(by_account, account_id, as_known)) for account_id in by_account}


def assign_rows(tables: Mapping[str, RawTable], store: Callable[[pa.Table], ir.Table]) -> dict[str, RawTable]:
    """The tables with the rows of merged accounts once per owner; as they are without a merge.

    `store` makes a table of the backend. Raises DataError as `read_merges`.
    """
    merges = read_merges(tables)
    if not merges:
        return dict(tables)
    owners = store(_owner_rows(owners_of(merges, as_known=True)))
    own = {name: table for name, table in tables.items() if name != ACCOUNT_MERGES.name}
    return {**tables, **{name: replace(table, rows=_assign(table, owners)) for name, table in own.items()}}


def owners_on(merges: Iterable[AccountMerge], days: Sequence[datetime]) -> pa.Table:
    """As `OWNER_SCHEMA`: the accounts that each account is made of on some days in order, by when merges are known.

    The days on which it is made of the same ones are one time, in which it owns all of their rows: what is aggregated
    by account and time is then complete, also what cannot be added up, such as distinct people.

    >>> on = lambda day: datetime(2024, 1, day)
    >>> rows = owners_on([AccountMerge("a", "b", on(5))], [on(3), on(4), on(6), on(8)]).to_pylist()
    >>> [(r["written"], r["owner"], r[OWNED_FROM], r[OWNED_UNTIL] and r[OWNED_UNTIL].day) for r in rows[:2]]
    [('a', 'a', None, 4), ('b', 'b', None, 4)]
    >>> [(r["written"], r["owner"], r[OWNED_FROM].day, r[OWNED_UNTIL]) for r in rows[2:]]
    [('a', 'b', 4, None), ('b', 'b', 4, None)]
    """
    all_merges = tuple(merges)
    paths = owners_of(all_merges, as_known=True)
    paths |= {m.merged_into: (Owner(m.merged_into, None),) for m in all_merges if m.merged_into not in paths}
    members = [_members_on(paths, day) for day in days]
    owners = sorted({owner.account_id for path in paths.values() for owner in path})
    times = (_times_of(owner, days, [by_owner.get(owner, ()) for by_owner in members]) for owner in owners)
    return pa.Table.from_pylist([row for rows in times for row in rows], schema=OWNER_SCHEMA)


def assign_usage(usage: RawTable, owners: ir.Table) -> RawTable:
    """The usage of `assign_rows` once per owner and time in a table of `owners_on`."""
    return replace(usage, rows=_assign(replace(usage, rows=rows_as_written(usage.rows)), owners))


def _members_on(paths: Mapping[str, Sequence[Owner]], day: datetime) -> dict[str, tuple[str, ...]]:
    """The accounts that each account is made of just before a day."""
    members: dict[str, tuple[str, ...]] = {}
    for written, path in sorted(paths.items()):
        owner = _owner_on(path, day)
        members[owner] = (*members.get(owner, ()), written)
    return members


def _times_of(
    owner: str, days: Sequence[datetime], members: Sequence[tuple[str, ...]]
) -> Iterator[dict[str, str | datetime | None]]:
    """A row per account that an account is made of, for each time in which these stay the same."""
    since: datetime | None = None
    for written, group in groupby(zip(days, members, strict=True), key=itemgetter(1)):
        last = [day for day, _ in group][-1]
        until = None if last == days[-1] else last
        yield from ({"written": name, "owner": owner, OWNED_FROM: since, OWNED_UNTIL: until} for name in written)
        since = last


def _owner_on(path: Sequence[Owner], day: datetime) -> str:
    """Who an account is just before a day."""
    return next(owner.account_id for owner in reversed(path) if owner.since is None or owner.since < day)


def rows_as_written(rows: ir.Table) -> ir.Table:
    """The rows of `assign_rows` with the account that their source names, each once."""
    if WRITTEN_ID not in rows.columns:
        return rows
    own = rows.filter(rows[OWNED_FROM].isnull())
    return own.drop(OWNED_FROM, OWNED_UNTIL, WRITTEN_ID)


def tables_as_written(tables: Mapping[str, RawTable]) -> dict[str, RawTable]:
    """The tables of `assign_rows` before it."""
    return {name: replace(table, rows=rows_as_written(table.rows)) for name, table in tables.items()}


def _raise_for_cycle(merged_into: Mapping[str, str]) -> None:
    for first in merged_into:
        path = [first]
        while (following := merged_into.get(path[-1])) and following not in path:
            path.append(following)
        if following:
            circle = [*path[path.index(following) :], following]
            raise DataError(
                f"account_merges: accounts are merged in a circle: {' into '.join(circle)}.",
                "Remove the merge that did not happen: one account has to be left.",
            )


def _follow(by_account: Mapping[str, AccountMerge], account_id: str, as_known: bool) -> Iterator[Owner]:
    """The account, and every later owner that it has for some time."""
    since: datetime | None = None
    while merge := by_account.get(account_id):
        at = merge.known_at if as_known else merge.merged_at
        until = at if since is None else max(since, at)
        if until != since:
            yield Owner(account_id, since)
        account_id, since = merge.merged_into, until
    yield Owner(account_id, since)


def _owner_rows(owners: Mapping[str, Sequence[Owner]]) -> pa.Table:
    """One row per merged account and owner, with the time of it; no account is without an owner at any time."""
    rows = [
        {"written": written, "owner": owner.account_id, OWNED_FROM: owner.since, OWNED_UNTIL: until}
        for written, path in owners.items()
        for owner, until in zip(path, [*(following.since for following in path[1:]), None], strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=OWNER_SCHEMA)


def _assign(table: RawTable, owners: ir.Table) -> ir.Table:
    rows = table.rows
    joined = rows.left_join(owners, rows[ACCOUNT_ID] == owners.written)
    owned = joined.select(
        *(name for name in rows.columns if name != ACCOUNT_ID),
        OWNED_FROM,
        OWNED_UNTIL,
        **{ACCOUNT_ID: ibis.coalesce(joined.owner, joined[ACCOUNT_ID]), WRITTEN_ID: joined[ACCOUNT_ID]},
    )
    own = owned.filter(owned[OWNED_FROM].isnull())
    if table.contract.name in ENDS_WITH_ACCOUNT:
        return own
    return own.union(_without_copies(owned, table)) if table.contract.key else owned


def _without_copies(owned: ir.Table, table: RawTable) -> ir.Table:
    """The rows from other accounts, without those that their owner has too, or has from an account merged earlier."""
    contract, moved = table.contract, owned.filter(owned[OWNED_FROM].notnull())
    at = [contract.at] if contract.at and contract.at not in contract.key else []
    parts = [*contract.key, *at]
    same = ibis.window(group_by=parts, order_by=[OWNED_FROM, WRITTEN_ID])
    numbered = moved.mutate(_copy=ibis.row_number().over(same))
    is_keyless = reduce(or_, (numbered[name].isnull() for name in contract.key))
    first = numbered.filter((numbered["_copy"] == 0) | is_keyless).drop("_copy")
    own = table.rows.select(**{f"_{name}": table.rows[name] for name in parts})
    return first.anti_join(own, [first[name] == own[f"_{name}"] for name in parts])
