"""The SQL that brings a source column into the form that the contract reads, each step with its evidence."""

from collections.abc import Mapping
from dataclasses import dataclass

from features.compute.backends.duckdb import quote_name, quote_text
from features.discovery.column_profile import EPOCH_MILLISECONDS, EPOCH_SECONDS, TWO_DIGIT_YEARS, ColumnProfile
from features.drafting.selects.decisions import DecisionLog, Question
from features.tables.contract import ColumnContract

SHOWN = 3
# Words of tools for the words of the contract.
WORDS: Mapping[str, str] = {
    **{"medium": "normal", "p1": "urgent", "p2": "high", "p3": "normal", "p4": "low", "critical": "urgent"},
    **{"moderate": "normal", "major": "high", "minor": "low", "blocker": "urgent", "standard": "normal"},
    **{"phone": "call", "phone_call": "call", "e_mail": "email", "mail": "email", "demo": "meeting"},
    **{"quarterly_business_review": "qbr", "business_review": "qbr", "webinar": "training", "chat": "in_app"},
    **{"executive": "exec", "ceo": "exec", "cto": "exec", "administrator": "admin", "owner": "admin"},
    **{"member": "user", "end_user": "user", "decision_maker": "sponsor", "net_promoter_score": "nps"},
}


@dataclass(frozen=True)
class SourceStyle:
    """How the text of a source writes numbers and dates, as its mapping declares it."""

    decimal: str = "."
    dates: str | None = None
    zone: str | None = None


def column_sql(profile: ColumnProfile, column: ColumnContract, style: SourceStyle, decisions: DecisionLog) -> str:
    """The expression for a column of the contract; a value that it cannot read stays as it is, for validation."""
    name = quote_name(profile.name)
    if column.type == "text" and not column.values:
        return name
    value = _without_blanks(profile, name, decisions)
    if column.type == "text":
        return _word(profile, column, value, decisions)
    if column.type in {"instant", "day"}:
        return _instant(profile, value, decisions)
    return _number(profile, value, style, decisions) if column.type == "number" else value


def _without_blanks(profile: ColumnProfile, value: str, decisions: DecisionLog) -> str:
    if not profile.blanks:
        return value
    words = sorted({blank.strip().lower() for blank in profile.blanks})
    decisions.note(profile.name, f"{', '.join(map(repr, words))} means an empty cell, and is read as one")
    return f"case when lower(trim({value})) in ({', '.join(map(quote_text, words))}) then null else {value} end"


def _instant(profile: ColumnProfile, value: str, decisions: DecisionLog) -> str:
    if profile.sentinels:
        shown = ", ".join(profile.sentinels[:SHOWN])
        rows = profile.counts["sentinel"]
        decisions.note(profile.name, f"{shown} stands for no date in {rows:,} rows, and is read as empty")
        values = ", ".join(map(quote_text, profile.sentinels))
        value = f"case when {quote_name(profile.name)}::varchar in ({values}) then null else {value} end"
    if not profile.date_formats:
        return value
    form = _date_format(profile, decisions)
    example = next(iter(profile.values), "")
    decisions.note(profile.name, f"dates are written as {form}, such as {example}")
    if form in {EPOCH_SECONDS, EPOCH_MILLISECONDS}:
        factor = 1_000_000 if form == EPOCH_SECONDS else 1_000
        instant = f"make_timestamp(try_cast(trim({value}) as bigint) * {factor})"
    else:
        instant = f"try_strptime(trim({value}), {quote_text(form)})"
    return f"coalesce({instant}::varchar, {value}::varchar)"


def _date_format(profile: ColumnProfile, decisions: DecisionLog) -> str:
    """The format of dates; of a day and month with a year of two digits a person says the order if both fit."""
    orders = [form for form in TWO_DIGIT_YEARS if form in profile.date_formats]
    if len(orders) < 2:
        return profile.date_formats[0]
    question = Question(
        f"dates.{profile.name}",
        f"In '{profile.name}', which comes first in {profile.values[0]}: the day or the month?",
        "both orders fit equally many dates",
        {"day_first": "the day comes first", "month_first": "the month comes first"},
    )
    return orders[0] if decisions.ask(question) == "day_first" else orders[1]


def _number(profile: ColumnProfile, value: str, style: SourceStyle, decisions: DecisionLog) -> str:
    counts = profile.counts
    if counts["money"]:
        decisions.note(profile.name, f"{counts['money']:,} values carry a sign or code of a currency, which is removed")
        value = f"regexp_replace({value}, '[€$£¥ ]|EUR|USD|GBP|CHF', '', 'g')"
    if counts["thousands_point"] or counts["thousands_comma"]:
        mark = "." if counts["thousands_point"] else ","
        decisions.note(profile.name, f"'{mark}' separates thousands, and is removed")
        value = f"replace({value}, '{mark}', '')"
        is_comma = mark == "."
    else:
        is_comma = _has_decimal_comma(profile, decisions)
        if counts["comma_number"] and not is_comma:
            value = f"replace({value}, ',', '')"
    return f"replace({value}, ',', '.')" if is_comma and style.decimal == "." else value


def _has_decimal_comma(profile: ColumnProfile, decisions: DecisionLog) -> bool:
    if not profile.counts["comma_number"]:
        return False
    if profile.counts["comma_not_thousands"]:
        return True
    example = next((value for value in profile.values if "," in value), "")
    question = Question(
        f"comma.{profile.name}",
        f"In '{profile.name}', does the comma of {example} separate decimals or thousands?",
        "every value with a comma has three digits behind it",
        {"decimals": f"{example} is a number between two integers", "thousands": "the comma is removed"},
    )
    return decisions.ask(question) == "decimals"


def _word(profile: ColumnProfile, column: ColumnContract, value: str, decisions: DecisionLog) -> str:
    """The words of the contract for those of the source.

    Words that are none of the contract's are named here and left out. One that comes later stays as it is, so that
    validation names it.
    """
    folded = {text: text.strip().lower().replace(" ", "_").replace("-", "_") for text in profile.values}
    words = {text: WORDS.get(fold, fold) for text, fold in folded.items()}
    renamed = {text: word for text, word in words.items() if word in column.values and word != folded[text]}
    unknown = [text for text, word in words.items() if word not in column.values]
    if not renamed and not unknown:
        return value
    name = quote_name(profile.name)
    cases = [f"when {name} = {quote_text(text)} then {quote_text(word)}" for text, word in renamed.items()]
    if unknown:
        shown, allowed = ", ".join(map(repr, unknown)), ", ".join(column.values)
        decisions.note(profile.name, f"{shown} are no words of the contract ({allowed}), and are read as empty")
        cases.append(f"when {name} in ({', '.join(map(quote_text, unknown))}) then null")
    if renamed:
        decisions.note(profile.name, "; ".join(f"{text!r} is read as {word}" for text, word in renamed.items()))
    return f"case {' '.join(cases)} else {value} end"
