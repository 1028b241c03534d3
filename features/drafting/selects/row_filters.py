"""Rows that are no paying customers: tests, trials and deleted rows."""

from features.compute.backends.duckdb import quote_name, quote_text
from features.discovery.column_profile import ColumnProfile
from features.discovery.recognition import ProfiledSource
from features.discovery.vocabulary import (
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
    """Leave out the subscriptions that are trials or free plans, as far as no column says when their trial ends."""
    words = [source.find(("plan", "plan_name", "product", "tier"))]
    if "trial_until" in draft.columns:
        draft.comments.append("trial_until: trials are not at risk, unless label.trials_at_risk is true")
    else:
        words.append(source.find(STATUS_WORDS))
        if flag := _find_flag(source, TRIAL_FLAGS):
            _leave_out(draft, _rule_of_flag("trials", flag), query, decisions)
    for profile in filter(None, words):
        condition = f"regexp_matches(trim({quote_name(profile.name)}::varchar), {quote_text(TRIAL_WORDS)})"
        _leave_out(draft, ("trials", f"'{profile.name}' says free or trial", condition), query, decisions)


def leave_out_deleted(draft: SelectDraft, source: ProfiledSource, query: Query, decisions: DecisionLog) -> None:
    """Leave out the rows that their tool has deleted."""
    if flag := _find_flag(source, DELETED_WORDS):
        _leave_out(draft, _rule_of_flag("deleted", flag), query, decisions)


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
