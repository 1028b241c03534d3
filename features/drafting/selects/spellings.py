"""Words that a source writes in several ways, such as SMB and smb: to a signal they would be different groups."""

from features.compute.backends.duckdb import quote_name, quote_text
from features.discovery.column_profile import MAX_SPELLINGS, ColumnProfile
from features.drafting.selects.decisions import DecisionLog, Question

GROUPING_COLUMNS = frozenset(
    {"segment", "industry", "country", "owner", "channel", "plan", "event", "kind", "reason", "by", "milestone", "play"}
)
SHOWN = 3
MEANINGS = {"same": "each is read as its most frequent spelling", "different": "they are different"}


def join_spellings(profile: ColumnProfile, expression: str, decisions: DecisionLog) -> str:
    """The expression of a column with one spelling for each word, if a person agrees that they are the same."""
    if profile.distinct > MAX_SPELLINGS:
        text = (
            f"{profile.distinct:,} distinct values are more than the {MAX_SPELLINGS} in which words that differ only in"
            " capitals or outer spaces are looked for: each is a group of its own"
        )
        decisions.note(profile.name, text)
    if not profile.spellings:
        return expression
    shown = ", ".join(f"{variant!r} beside {usual!r}" for variant, usual in list(profile.spellings.items())[:SHOWN])
    question = Question(
        f"spelling.{profile.name}",
        f"In '{profile.name}', are words the same that differ only in capitals or outer spaces?",
        f"it has {shown}",
        MEANINGS,
        "same",
    )
    if decisions.ask(question) == "different":
        return expression
    cases = [f"when {quote_text(variant)} then {quote_text(usual)}" for variant, usual in profile.spellings.items()]
    return f"case {quote_name(profile.name)}::varchar {' '.join(cases)} else {expression} end"
