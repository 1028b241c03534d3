"""Amounts in several currencies, converted by rates that a person gives."""

from collections.abc import Mapping

from configs.errors import ConfigError
from features.compute.backends.duckdb import quote_name, quote_text
from features.discovery.column_profile import ColumnProfile
from features.discovery.recognition import ProfiledSource
from features.discovery.vocabulary import CURRENCY_WORDS
from features.drafting.selects.decisions import DecisionLog, Query, Question
from features.drafting.selects.select_draft import SelectDraft

KEY = "currency"
AMOUNTS = {"subscriptions": "mrr", "invoices": "amount"}


def convert_currencies(draft: SelectDraft, source: ProfiledSource, query: Query, decisions: DecisionLog) -> None:
    """Convert amounts of several currencies by rates that only a person can give.

    An amount without a currency, or in one that comes later, is NaN, so that validation reports its row. If all are in
    one, so are those that do not say it.
    """
    column, currency = AMOUNTS.get(draft.table, ""), source.find(CURRENCY_WORDS)
    if currency is None or currency.is_number or column not in draft.columns:
        return
    rows_by_code = _count_codes(source, currency, query)
    blank, codes = rows_by_code.pop("", 0), sorted(rows_by_code)
    if not codes:
        return
    if len(codes) == 1:
        others = f"when {_code(currency)} not in ({_listed(codes[0], '', *_blanks(currency))})"
        draft.compute(column, f"* case {others} then 'nan'::double else 1 end")
        decisions.currencies[draft.table] = codes[0]
        draft.comments.append(f"{column}: all amounts are in {codes[0]} ('{currency.name}'); one in another is NaN")
        return
    evidence = (
        f"'{currency.name}' of {draft.table} has {len(codes)} currencies, and amounts cannot be added across them"
    )
    rates = ask_rates(codes, evidence, decisions)
    decisions.currencies[draft.table] = currency_of_rates(rates)
    draft.compute(column, f"* {_rate_cases(currency, rates)}")
    draft.comments.append(f"{column}: NaN for a currency without a rate, so that validation reports the row")
    if blank:
        text = f"'{currency.name}' is empty in {blank:,} rows: their {column} is not known, and validation reports them"
        decisions.note(draft.table, text)


def _count_codes(source: ProfiledSource, currency: ColumnProfile, query: Query) -> dict[str, int]:
    """The rows of each currency, in capitals; of those without one by an empty text."""
    blanks = _blanks(currency)
    rows = query(f"select coalesce({_code(currency)}, ''), count(*) from {quote_name(source.name)} group by 1")
    counts: dict[str, int] = {}
    for text, count in rows:
        key = "" if text in blanks else text
        counts[key] = counts.get(key, 0) + count
    return counts


def ask_rates(codes: list[str], evidence: str, decisions: DecisionLog) -> dict[str, float]:
    """The rate of each currency, which only a person can give.

    Raises ConfigError if one has none: its amounts would be lost.
    """
    example = f"Answer such as {','.join(f'{code}=1' for code in codes)} with your rates"
    worth = f"What is one unit of each of {', '.join(codes)} worth in the currency of your reports? {example}"
    answer = decisions.ask(Question(KEY, worth, evidence))
    rates = {code.strip().upper(): parse_rate(rate) for code, _, rate in map(_split, answer.split(","))}
    missing = [code for code in (*codes, *rates) if not rates.get(code)]
    if missing:
        raise ConfigError(f"{KEY} = {answer} has no rate for {missing[0]}, a number above 0.", f"{example}.")
    return {code: rate for code, rate in rates.items() if rate}


def currency_of_rates(rates: Mapping[str, float]) -> str | None:
    """The currency that amounts are converted to: the one whose rate is 1; None if that is none or several.

    >>> currency_of_rates({"EUR": 1.0, "USD": 0.92}), currency_of_rates({"EUR": 1.1, "USD": 1.2})
    ('EUR', None)
    """
    codes = [code for code, rate in rates.items() if rate == 1]
    return codes[0] if len(codes) == 1 else None


def find_currency(decisions: DecisionLog) -> tuple[str | None, str]:
    """The currency of all amounts, with its evidence; None if no column says it, or amounts have several."""
    codes = sorted({code or "?" for code in decisions.currencies.values()})
    if not codes:
        return None, "currency: no column says in which currency amounts are; name it, and it stands beside each amount"
    if len(codes) > 1:
        pairs = ", ".join(f"{subject} in {code or 'none of them'}" for subject, code in decisions.currencies.items())
        decisions.note("currency", f"amounts are in several currencies ({pairs}): convert them in the selects")
        return None, f"currency: amounts are in several currencies ({pairs}); convert them in the selects, then name it"
    if codes == ["?"]:
        return None, "currency: no rate is 1, so that the currency of your reports is not known; name it"
    return codes[0], f"currency: of all amounts, by {' and '.join(decisions.currencies)}"


def parse_rate(text: str) -> float | None:
    """A number above 0, or None.

    >>> parse_rate("0.92"), parse_rate("-1"), parse_rate("")
    (0.92, None, None)
    """
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def _split(pair: str) -> tuple[str, str, str]:
    return pair.partition("=")


def _code(currency: ColumnProfile) -> str:
    return f"upper(trim({quote_name(currency.name)}::varchar))"


def _blanks(currency: ColumnProfile) -> list[str]:
    """The words for no currency."""
    return sorted({blank.strip().upper() for blank in currency.blanks})


def _listed(*texts: str) -> str:
    return ", ".join(map(quote_text, texts))


def _rate_cases(currency: ColumnProfile, rates: dict[str, float]) -> str:
    cases = " ".join(f"when {quote_text(name)} then {rate}" for name, rate in rates.items())
    return f"case {_code(currency)} {cases} else 'nan'::double end"
