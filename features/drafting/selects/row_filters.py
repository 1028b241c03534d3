"""Rows that are no paying customers (tests, trials, deleted rows) and amounts in several currencies."""

from configs.errors import ConfigError
from features.compute.backends.duckdb import quote_name, quote_text
from features.discovery.column_profile import ColumnProfile
from features.discovery.recognition import ProfiledSource
from features.discovery.vocabulary import (
    CURRENCY_WORDS,
    DELETED_WORDS,
    EMAIL_WORDS,
    STATUS_WORDS,
    TEST_WORDS,
    column_words,
)
from features.drafting.selects.decisions import NO, YES, DecisionLog, Query, Question
from features.drafting.selects.select_draft import SelectDraft

TRUE_WORDS = "('true', 't', 'yes', 'y', '1')"
TEST_NAME = r"(?i)(^|[^a-z])(test|demo|dummy|sandbox|qa|internal)([^a-z]|$)|@example\.(com|org)$"
TRIAL_FLAGS = ("is_trial", "trial", "in_trial")
TRIAL_WORDS = r"(?i)^(free|trial|trialing|trialling|freemium|free[ _-]?trial)$"
LEAVE_OUT = {YES: "they are left out", NO: "they count like all others"}
SHOWN = 5
AMOUNTS = {"subscriptions": "mrr", "invoices": "amount"}


def leave_out_test_accounts(draft: SelectDraft, source: ProfiledSource, query: Query, decisions: DecisionLog) -> None:
    """Leave out the accounts that a flag, a name or an email says are tests."""
    if flag := _find_flag(source, TEST_WORDS):
        _leave_out(draft, _rule_of_flag("test_accounts", flag), query, decisions)
        return
    names = [profile for words in (column_words("accounts", "name"), EMAIL_WORDS) if (profile := source.find(words))]
    for profile in names:
        condition = f"regexp_matches({quote_name(profile.name)}::varchar, {quote_text(TEST_NAME)})"
        _leave_out(draft, ("test_accounts", f"'{profile.name}' reads like a test", condition), query, decisions)


def leave_out_trials(draft: SelectDraft, source: ProfiledSource, query: Query, decisions: DecisionLog) -> None:
    """Leave out the subscriptions that are trials or free plans."""
    if flag := _find_flag(source, TRIAL_FLAGS):
        _leave_out(draft, _rule_of_flag("trials", flag), query, decisions)
    for profile in filter(None, (source.find(("plan", "plan_name", "product", "tier")), source.find(STATUS_WORDS))):
        condition = f"regexp_matches(trim({quote_name(profile.name)}::varchar), {quote_text(TRIAL_WORDS)})"
        _leave_out(draft, ("trials", f"'{profile.name}' says free or trial", condition), query, decisions)


def leave_out_deleted(draft: SelectDraft, source: ProfiledSource, query: Query, decisions: DecisionLog) -> None:
    """Leave out the rows that their tool has deleted."""
    if flag := _find_flag(source, DELETED_WORDS):
        _leave_out(draft, _rule_of_flag("deleted", flag), query, decisions)


def convert_currencies(draft: SelectDraft, source: ProfiledSource, query: Query, decisions: DecisionLog) -> None:
    """Convert amounts of several currencies by rates that only a person can give.

    An amount without a currency, or in one that comes later, is NaN, so that validation reports its row.
    """
    column, currency = AMOUNTS.get(draft.table, ""), source.find(CURRENCY_WORDS)
    if currency is None or currency.is_number or column not in draft.columns:
        return
    rows_by_code = _count_codes(source, currency, query)
    blank, codes = rows_by_code.pop("", 0), sorted(rows_by_code)
    if len(codes) < 2:
        draft.comments.append(f"{column}: all amounts are in {codes[0] if codes else '?'} ('{currency.name}')")
        return
    answer = decisions.ask(
        Question(
            "currency",
            f"What is one unit of each of {', '.join(codes)} worth in the currency of your reports?"
            f" Answer such as {','.join(f'{code}=1' for code in codes)} with your rates",
            f"'{currency.name}' of {draft.table} has {len(codes)} currencies, and amounts cannot be added across them",
        )
    )
    draft.compute(column, f"* {_rate_cases(currency, _rates(answer, codes))}")
    draft.comments.append(f"{column}: NaN for a currency without a rate, so that validation reports the row")
    if blank:
        text = f"'{currency.name}' is empty in {blank:,} rows: their {column} is not known, and validation reports them"
        decisions.note(draft.table, text)


def _count_codes(source: ProfiledSource, currency: ColumnProfile, query: Query) -> dict[str, int]:
    """The rows of each currency, in capitals; of those without one by an empty text."""
    blanks = {blank.strip().upper() for blank in currency.blanks}
    code = f"upper(trim({quote_name(currency.name)}::varchar))"
    rows = query(f"select coalesce({code}, ''), count(*) from {quote_name(source.name)} group by 1")
    counts: dict[str, int] = {}
    for text, count in rows:
        key = "" if text in blanks else text
        counts[key] = counts.get(key, 0) + count
    return counts


def _rates(answer: str, codes: list[str]) -> dict[str, float]:
    """The rate of each currency. Raises ConfigError if one has none: its amounts would be lost."""
    pairs = [part.partition("=") for part in answer.split(",")]
    rates = {code.strip().upper(): parse_positive(rate) for code, _, rate in pairs}
    missing = [code for code in codes if not rates.get(code)]
    if missing or None in rates.values():
        raise ConfigError(
            f"'{answer}' does not give a rate above 0 for each currency.",
            f"Answer such as {','.join(f'{code}=1' for code in codes)} with your rates.",
        )
    return {code: rate for code, rate in rates.items() if rate}


def parse_positive(text: str) -> float | None:
    """A number above 0, or None.

    >>> parse_positive("0.92"), parse_positive("-1"), parse_positive("")
    (0.92, None, None)
    """
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def _rate_cases(currency: ColumnProfile, rates: dict[str, float]) -> str:
    code = f"upper(trim({quote_name(currency.name)}::varchar))"
    cases = " ".join(f"when {quote_text(name)} then {rate}" for name, rate in rates.items())
    return f"case {code} {cases} else 'nan'::double end"


def _find_flag(source: ProfiledSource, words: tuple[str, ...]) -> ColumnProfile | None:
    column = source.find(words)
    return column if column and column.is_flag else None


def _rule_of_flag(name: str, flag: ColumnProfile) -> tuple[str, str, str]:
    return name, f"{flag.name} is true", f"lower({quote_name(flag.name)}::varchar) in {TRUE_WORDS}"


def _leave_out(draft: SelectDraft, rule: tuple[str, str, str], query: Query, decisions: DecisionLog) -> None:
    name, reason, condition = rule
    rows = query(f"select count(*), count(*) filter ({condition}) from {draft.origin}")[0]
    if not rows[1] or rows[1] == rows[0]:
        return
    evidence = f"{reason} in {rows[1]:,} of {rows[0]:,} rows of {draft.table}{_examples(draft, condition, query)}"
    question = Question(f"{draft.table}.{name}", f"Leave out {name.replace('_', ' ')}?", evidence, LEAVE_OUT, YES)
    if decisions.ask(question) == YES:
        draft.conditions.append(f"not coalesce({condition}, false)")


def _examples(draft: SelectDraft, condition: str, query: Query) -> str:
    shown = draft.columns.get("name") or draft.columns["account_id"]
    rows = query(
        f"select distinct {shown}::varchar as shown from {draft.origin} where {condition} order by 1 limit {SHOWN}"
    )
    return f", such as {', '.join(repr(row[0]) for row in rows)}"
