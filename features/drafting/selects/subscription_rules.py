"""What a row of subscriptions means: its monthly price, what ends it, and whether its renewal was overwritten."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from features.compute.backends.duckdb import quote_name, quote_text
from features.discovery.recognition import TableMatch
from features.discovery.vocabulary import (
    ANNUAL_WORDS,
    CENTS_WORDS,
    PERIOD_WORDS,
    STATUS_WORDS,
    column_words,
    normalise,
)
from features.drafting.selects.decisions import DecisionLog, Query, Question
from features.drafting.selects.select_draft import SelectDraft

MONTHS: Mapping[str, int] = {
    **dict.fromkeys(("month", "monthly", "mo", "1 month", "p1m"), 1),
    **dict.fromkeys(("quarter", "quarterly", "3 months", "p3m"), 3),
    **dict.fromkeys(("half-year", "half year", "semiannual", "semi-annual", "semiannually", "6 months", "p6m"), 6),
    **dict.fromkeys(("year", "yearly", "annual", "annually", "1 year", "12 months", "p1y"), 12),
    **dict.fromkeys(("biennial", "2 years", "24 months", "p2y"), 24),
}
MAX_MONTHS = 60
LEFT_WORDS = r"(?i)^(churned|cancell?ed|terminated|expired|inactive|lost|closed|former)$"
MOSTLY, RARELY = 0.9, 0.1
SHOWN = 5
YEAR_DAYS = 365
KEY_WORDS = {"account_id": "account", "started_at": "start", "plan": "plan", "ended_at": "end"}


def complete_subscription(draft: SelectDraft, match: TableMatch, query: Query, decisions: DecisionLog) -> None:
    """Give a draft the key and the monthly price that its source does not have."""
    if "subscription_id" not in draft.columns:
        _make_key(draft, query)
    source = normalise(match.columns.get("mrr", ""))
    if not source:
        decisions.note("subscriptions", "no column is a price: each subscription counts 1, and revenue is not known")
        draft.columns["mrr"] = "1"
        draft.comments.append("mrr: no column is a price, so that each subscription counts 1")
    elif source in ANNUAL_WORDS:
        draft.compute("mrr", "/ 12")
        draft.comments.append(f"mrr: '{match.columns['mrr']}' is a yearly amount, by its name")
    elif source in CENTS_WORDS:
        draft.compute("mrr", "/ 100")
        draft.comments.append(f"mrr: '{match.columns['mrr']}' is in cents, by its name")
    if source and source not in ANNUAL_WORDS and not source.startswith("m"):
        _divide_by_period(draft, match, decisions)


def _make_key(draft: SelectDraft, query: Query) -> None:
    """A key of account and start, and of plan and end as far as it takes to tell all different rows apart."""
    columns = draft.columns
    names = [name for name in ("account_id", "started_at", "plan", "ended_at") if name in columns]
    rows = _count_distinct(draft, list(columns), query)
    lengths = range(2, len(names) + 1)
    length = next((length for length in lengths if _count_distinct(draft, names[:length], query) == rows), len(names))
    parts = [columns["account_id"], f"{columns['started_at']}::varchar"]
    parts += [f"coalesce({columns[name]}::varchar, '')" for name in names[2:length]]
    columns["subscription_id"] = " || '/' || ".join(parts)
    words = ", ".join(KEY_WORDS[name] for name in names[: length - 1])
    draft.comments.append(
        f"subscription_id: the source has no key; {words} and {KEY_WORDS[names[length - 1]]} make one"
    )


def _count_distinct(draft: SelectDraft, names: Sequence[str], query: Query) -> int:
    values = ", ".join(draft.columns[name] for name in names)
    return query(f"select count(distinct ({values})) from {draft.origin}")[0][0]


def _divide_by_period(draft: SelectDraft, match: TableMatch, decisions: DecisionLog) -> None:
    period = match.source.find(PERIOD_WORDS)
    months = {value: _months_of(value) for value in period.values} if period else {}
    longer = {value: count for value, count in months.items() if count and count > 1}
    if period is None or (period.is_number and not longer):
        _divide_by_year(draft, match.columns["mrr"], decisions)
        return
    if unknown := [repr(value) for value, count in months.items() if count is None]:
        text = f"'{period.name}' = {', '.join(unknown[:SHOWN])} is no period that is known: such prices count per month"
        decisions.note("subscriptions", text)
    if not longer:
        return
    question = Question(
        "price_period",
        f"Is the price of a row with {period.name} = {', '.join(longer)} that of its whole period?",
        f"'{period.name}' has {', '.join(map(repr, months))}, and the price column does not say per month",
        {"period": "the price is of the period, and divided by its months", "month": "the price is of a month"},
    )
    if decisions.ask(question) == "period":
        name = quote_name(period.name)
        cases = " ".join(f"when {name}::varchar = {quote_text(value)} then {n}" for value, n in longer.items())
        draft.compute("mrr", f"/ case {cases} else 1 end")


def _months_of(period: str) -> int | None:
    """The months of a billing period, as a word or their number; None if it is not known."""
    word = period.strip().lower()
    if word.isdigit():
        return int(word) if 1 <= int(word) <= MAX_MONTHS else None
    return MONTHS.get(word)


def _divide_by_year(draft: SelectDraft, column: str, decisions: DecisionLog) -> None:
    question = Question(
        "price_period",
        f"Is '{column}' the price of a month or of a year?",
        "neither its name nor another column says so",
        {"month": "it is the price of a month", "year": "it is the price of a year, and divided by 12"},
        "month",
    )
    if decisions.ask(question) == "year":
        draft.compute("mrr", "/ 12")


def find_end_in_accounts(draft: SelectDraft, accounts: TableMatch, decisions: DecisionLog) -> None:
    """Take the end of subscriptions from the accounts, if only they have the day on which an account left."""
    if "ended_at" in draft.columns or draft.origin == quote_name(accounts.source.name):
        return
    ended = accounts.source.find(column_words("subscriptions", "ended_at"))
    if ended is None or not ended.is_instant:
        return
    key, column = quote_name(accounts.link.column), quote_name(ended.name)
    left = (
        f"(select {key}::varchar as left_id, {column} as left_at from {quote_name(accounts.source.name)}) as departure"
    )
    draft.origin = f"{draft.origin} left join {left} on {draft.columns['account_id']} = departure.left_id"
    draft.columns["ended_at"] = "departure.left_at"
    text = (
        f"'{ended.name}' of {accounts.source.name} ends the subscriptions of an account: they have no end of their own"
    )
    draft.comments.append(f"ended_at: {text}")
    decisions.note("subscriptions", text)


def decide_end(draft: SelectDraft, end: datetime, query: Query, decisions: DecisionLog) -> None:
    """Decide whether `ended_at` is an actual end or the end of a paid term."""
    if "ended_at" not in draft.columns:
        _note_missing_end(draft, decisions)
        return
    rows, filled, future = query(
        f"select count(*), count(ended_at), count(*) filter (ended_at > timestamp '{end}') from drafted_subscriptions"
    )[0]
    if not filled:
        decisions.note("subscriptions", "no subscription has ended, so that there is no churn to learn from")
    if rows and filled >= MOSTLY * rows and future:
        evidence = (
            f"{filled:,} of {rows:,} rows have an end, {future:,} of them after {end:%Y-%m-%d}, when the data end"
        )
        question = Question(
            "subscriptions.ends",
            "Is the end of a subscription the day on which it really ended, or the end of the paid term?",
            evidence,
            {
                "term": "it is the end of the paid term; an account left if no later subscription follows",
                "actual": "it is the day on which the subscription ended or will end",
            },
            "term",
        )
        if decisions.ask(question) == "term":
            _end_with_term(draft, end)
    elif future:
        decisions.note(
            "subscriptions", f"{future:,} of {filled:,} ends are after {end:%Y-%m-%d}: cancelled, still active"
        )


def _end_with_term(draft: SelectDraft, end: datetime) -> None:
    ended = draft.columns["ended_at"]
    draft.columns.setdefault("renews_at", ended)
    draft.columns["ended_at"] = f"case when cast({ended} as timestamp) < timestamp '{end}' then {ended} end"
    draft.comments.append("ended_at: the end of the paid term, once it has passed; the next row continues it")


def _note_missing_end(draft: SelectDraft, decisions: DecisionLog) -> None:
    match = draft.match
    status = match.source.find(STATUS_WORDS) if match else None
    left = f" '{status.name}' says who left, but not when." if status and not status.is_number else ""
    decisions.note(
        "subscriptions",
        f"no column says when a subscription ended.{left} Add such a column, named ended_at, to the export",
    )


def drop_overwritten_columns(draft: SelectDraft, end: datetime, query: Query, decisions: DecisionLog) -> None:
    """Leave out a renewal day and a price that later events have overwritten: past snapshots would see the future."""
    if "renews_at" in draft.columns and _is_renewal_overwritten(end, query):
        del draft.columns["renews_at"]
        text = (
            "renews_at knows the future: subscriptions of more than a year renew after the data end, so that it was"
            " overwritten at each renewal. It is left out. Map the end of each past term, a row per term, instead"
        )
        decisions.note("subscriptions", text)
        draft.comments.append(text)
    for name in ("mrr", "seats", "plan", "discount", "auto_renew"):
        if name in draft.columns and "ended_at" in draft.columns:
            _drop_if_overwritten(draft, name, query, decisions)


def _is_renewal_overwritten(end: datetime, query: Query) -> bool:
    """Whether long-running open subscriptions, a row each, all renew after the end of the data."""
    rows, later, accounts, total = query(
        f"""select count(*) filter (is_long), count(*) filter (is_long and renews_at >= timestamp '{end}'),
        count(distinct account_id), count(*) from (select *, ended_at is null and renews_at is not null and
        started_at < timestamp '{end}' - interval {YEAR_DAYS + 35} day and
        coalesce(datediff('month', started_at, renews_at), 0) > 13 as is_long from drafted_subscriptions)"""
        if "ended_at" in _columns(query)
        else "select 0, 0, 1, 1"
    )[0]
    return rows >= 5 and later >= MOSTLY * rows and total < 1.5 * accounts


def _columns(query: Query) -> set[str]:
    return {row[0] for row in query("describe drafted_subscriptions")}


def _drop_if_overwritten(draft: SelectDraft, name: str, query: Query, decisions: DecisionLog) -> None:
    empty = f"({name} is null or {name}::varchar in ('0', '0.0', 'false', ''))"
    ended, ended_empty, running, running_empty = query(
        f"""select count(*) filter (ended_at is not null), count(*) filter (ended_at is not null and {empty}),
        count(*) filter (ended_at is null), count(*) filter (ended_at is null and {empty}) from drafted_subscriptions"""
    )[0]
    if ended < 5 or running < 5 or ended_empty < MOSTLY * ended or running_empty > RARELY * running:
        return
    text = (
        f"{name} knows the future: it is empty or 0 in {ended_empty:,} of {ended:,} ended subscriptions and"
        f" {running_empty:,} of {running:,} running ones, so that it was overwritten when they ended"
    )
    if name == "mrr":
        draft.columns[name] = "1"
        text += ". Each subscription counts 1; export the price before the end instead"
    else:
        del draft.columns[name]
        text += ". It is left out"
    decisions.note("subscriptions", text)
    draft.comments.append(text)


def running_subscriptions(query: Query) -> str:
    """The drafted subscriptions in SQL as settings read them by default: they begin when their trial ends."""
    columns = _columns(query)
    if "trial_until" not in columns:
        return "drafted_subscriptions"
    ended_at = "ended_at" if "ended_at" in columns else "null::timestamp"
    starts = "greatest(started_at, coalesce(trial_until, started_at))"
    is_paid = f"trial_until is null or {ended_at} is null or {ended_at} > trial_until"
    return f"(select * replace ({starts} as started_at) from drafted_subscriptions where {is_paid}) as running"
