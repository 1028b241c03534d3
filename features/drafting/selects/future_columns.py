"""Names the columns that know the future: filled or changed only when an account left, and never dated."""

from features.compute.backends.duckdb import quote_name
from features.discovery.recognition import ProfiledSource, TableMatch
from features.drafting.selects.decisions import DecisionLog, Query
from features.drafting.selects.select_draft import SelectDraft
from features.tables.contract import CONTRACT

MIN_ACCOUNTS = 5
MOSTLY, RARELY = 0.9, 0.05
MAX_WORDS = 12  # a column with more values is no status
KNOWS_FUTURE = "'{}' knows the future"  # how the note of such a column begins


def leave_out_future_columns(draft: SelectDraft, match: TableMatch, query: Query, decisions: DecisionLog) -> None:
    """Find them among all columns of a source, by whether the account has left, and leave out those that are mapped."""
    source, key = match.source, match.link.column
    if "ended_at" not in {row[0] for row in query("describe drafted_subscriptions")}:
        return
    for profile in source.profiles.values():
        if profile.name == key or not profile.filled or profile.is_instant:
            continue
        reason = _set_when_left(source, key, profile.name, query)
        if reason is None and profile.distinct <= MAX_WORDS:
            reason = _value_of_left(source, key, profile.name, query)
        if reason:
            mapped = _columns_from(draft, match, profile.name)
            for name in mapped:
                del draft.columns[name]
            verb = "is left out" if mapped else "is not mapped"
            decisions.note(source.name, f"{KNOWS_FUTURE.format(profile.name)}: {reason}. It {verb}")


def _columns_from(draft: SelectDraft, match: TableMatch, column: str) -> list[str]:
    """The columns of a draft that are read from a column of its source.

    A required one that is more than the name of its source may have been replaced already, and stays.
    """
    plain, contract = {column, quote_name(column)}, CONTRACT[draft.table].columns
    return [
        name
        for name, sql in draft.columns.items()
        if sql in plain or (match.columns.get(name) == column and not contract[name].required)
    ]


def _accounts(source: ProfiledSource, key: str, column: str) -> str:
    """Each account with whether it left, and its value in a column."""
    return f"""(select source.{quote_name(column)}::varchar as value, departures.has_left
    from {quote_name(source.name)} source join (select account_id, bool_and(ended_at is not null) as has_left
    from drafted_subscriptions group by 1) departures on departures.account_id = source.{quote_name(key)}::varchar)"""


def _set_when_left(source: ProfiledSource, key: str, column: str, query: Query) -> str | None:
    """Filled in for accounts that left, and nearly never for others."""
    left, filled, stayed, others = query(
        f"""select count(*) filter (has_left), count(value) filter (has_left), count(*) filter (not has_left),
        count(value) filter (not has_left) from {_accounts(source, key, column)}"""
    )[0]
    if min(left, stayed) < MIN_ACCOUNTS or filled < 0.5 * left or others > RARELY * stayed:
        return None
    return f"it is set in {filled:,} of {left:,} accounts that left and {others:,} of {stayed:,} others"


def _value_of_left(source: ProfiledSource, key: str, column: str, query: Query) -> str | None:
    """A value that nearly all accounts that left have, and nearly no other."""
    rows = query(
        f"""select value, count(*) filter (has_left) as departed, count(*) filter (not has_left) as others,
        sum(count(*) filter (has_left)) over () as total_left, sum(count(*) filter (not has_left)) over () as total
        from {_accounts(source, key, column)} where value is not null group by value"""
    )
    for value, departed, others, total_left, total in rows:
        if min(total_left, total) >= MIN_ACCOUNTS and departed >= MOSTLY * total_left and others <= RARELY * total:
            who = f"{departed:,} of {total_left:,} accounts that left and {others:,} of {total:,} others"
            return f"{value!r} is the value of {who}"
    return None
