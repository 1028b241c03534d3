"""Words of a column that vanish: a kind of event or ticket that is renamed, or no longer sent.

Signals look for such words by name, so they would read a renamed kind as one that nobody uses.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scipy.special import bdtr

from features.publishing.source_weeks import MIN_WORD_ACCOUNTS, SourceWeek
from monitoring.sources.columns import ColumnFault, Weeks
from monitoring.sources.rhythm import MIN_ROWS, WeekShare, follow_weeks

WEEKS_WITH_WORD = 26  # the word was in each of them: it is neither new nor of a season
MAX_NAMED = 3  # in a sentence


@dataclass(frozen=True)
class _MissingWord:
    word: str
    since: int
    accounts_before: int


def find_word_faults(weeks: Sequence[SourceWeek], level: float) -> Iterator[ColumnFault]:
    """The columns of a table, whose weeks are given, the newest first, in which usual words are missing."""
    full = [(number, week) for number, week in enumerate(weeks) if week.rows >= MIN_ROWS]
    for column in sorted({name for _, week in full for name in week.words}):
        absent = sorted(_words(full, column) - _words(full[:1], column))
        missing = [fault for word in absent if (fault := _find_missing(full, column, word, level=level))]
        if missing:
            since = max(fault.since for fault in missing)
            yield ColumnFault(column, since, _describe(missing, _new_words(full, column, since)))


def _words(weeks: Weeks, column: str) -> set[str]:
    return {word for _, week in weeks for word in week.words.get(column, {})}


def _find_missing(full: Weeks, column: str, word: str, *, level: float) -> _MissingWord | None:
    """The word, if it is missing, and how many accounts had it at least in the weeks before."""
    counts = [(number, week.words.get(column, {}).get(word, 0), week.accounts) for number, week in full]
    shares = [(number, WeekShare(count, accounts)) for number, count, accounts in counts]
    since, past = follow_weeks(shares, lambda now, past: _is_missing(now, past[-WEEKS_WITH_WORD:], level))
    if since is None:
        return None
    return _MissingWord(word, since, min(before.count for before in past[-WEEKS_WITH_WORD:]))


def _is_missing(now: WeekShare, past: Sequence[WeekShare], level: float) -> bool:
    """Whether few accounts have the word, beyond chance if each has it as seldom as in the lowest week before."""
    if now.count >= MIN_WORD_ACCOUNTS or len(past) < WEEKS_WITH_WORD:
        return False
    lowest = min(before.share for before in past)
    return bool(bdtr(MIN_WORD_ACCOUNTS - 1, now.total, lowest) < level)


def _new_words(full: Weeks, column: str, since: int) -> list[str]:
    """The words of the newest week that no week had before."""
    before = [(number, week) for number, week in full if number > since]
    return sorted(_words(full[:1], column) - _words(before, column))


def _describe(missing: Sequence[_MissingWord], new: Sequence[str]) -> str:
    usual = [f"'{fault.word}', which at least {fault.accounts_before:,} accounts a week had" for fault in missing]
    renamed = f"; new: {_list_words([repr(word) for word in new])}" if new else ""
    return f"no longer has {_list_words(usual)}{renamed}"


def _list_words(words: Sequence[str]) -> str:
    more = [f"{len(words) - MAX_NAMED} more"] if len(words) > MAX_NAMED else []
    return ", ".join([*words[:MAX_NAMED], *more])
