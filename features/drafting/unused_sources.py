"""Sources that no table reads: what they lack of the table that their name says they are."""

from collections.abc import Iterable, Mapping

from features.discovery.recognition import Link, ProfiledSource, missing_columns
from features.discovery.vocabulary import TABLE_WORDS, column_words, table_word_score
from features.drafting.selects.decisions import DecisionLog, Question

SHOWN_COLUMNS, SHOWN_NAMES = 8, 4
WHOLE_NAME = 2
WITHOUT = {"without": "they are left out, and churn is a long time without usage"}


def explain_unused(source: ProfiledSource, link: Link | None) -> str:
    """Why a source is no table, with what it would need.

    >>> missing_text("subscriptions", {"started_at"})
    'it is named like subscriptions, but has no column for started_at (such as started_at, start_date, started, start)'
    """
    shown = ", ".join(list(source.profiles)[:SHOWN_COLUMNS])
    if link is None:
        return f"none of its columns names an account ({shown})"
    table = max(TABLE_WORDS, key=lambda table: table_word_score(source.name, table))
    missing = missing_columns(source, table, link) if table_word_score(source.name, table) else set()
    return f"{missing_text(table, missing) if missing else 'it is like no further table'}. It has {shown}"


def missing_text(table: str, missing: Iterable[str]) -> str:
    """Which columns of a table are missing, and how they may be named."""
    names = [f"{name} (such as {', '.join(column_words(table, name)[:SHOWN_NAMES])})" for name in sorted(missing)]
    return f"it is named like {table}, but has no column for {' and '.join(names)}"


def ask_for_subscriptions(sources: Iterable[ProfiledSource], links: Mapping[str, Link], decisions: DecisionLog) -> None:
    """Ask whether to go on without a source that is named like subscriptions: churn would be something else."""
    for source in sources:
        link, score = links.get(source.name), table_word_score(source.name, "subscriptions")
        if score >= WHOLE_NAME or (score and link):
            decisions.ask(
                Question(
                    f"unused.{source.name}",
                    f"Go on without '{source.name}'? Otherwise rename its columns, and run init again",
                    explain_unused(source, link),
                    WITHOUT,
                )
            )
