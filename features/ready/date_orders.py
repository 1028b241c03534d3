"""The order of day and month in a vendor's files, where their dates are not ISO 8601: shown by them, or named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from features.compute.backends.duckdb import quote_name, quote_text
from features.discovery.loaded_sources import LoadedSource
from features.drafting.selects.decisions import DecisionLog, Query, Question
from features.ingestion.text_values import ORDERED_DATE, ORDERS, TIMES
from features.ready.part import ReadyPart

CAST = r"\b((?:\w+\.)?\w+)::timestamp\b"
MEANINGS = {"day_first": "the day comes first", "month_first": "the month comes first"}


@dataclass(frozen=True)
class _DateCounts:
    """How many values of a column are dates that need an order, how many fit each order, and an example."""

    column: str
    dates: int
    fitting: Mapping[str, int]
    example: str


def find_date_order(
    part: ReadyPart, sources: Sequence[LoadedSource], query: Query, decisions: DecisionLog
) -> str | None:
    """The order in which dates of a part are written; None if all are ISO 8601. A person says it if both fit."""
    dates = [counts for counts in _count_dates(sources, query) if counts.dates]
    if not dates:
        return None
    fitting = [order for order in ORDERS if all(counts.fitting[order] == counts.dates for counts in dates)]
    column, example = dates[0].column, dates[0].example
    if len(fitting) == 1:
        decisions.note(part.name, f"dates are {fitting[0].replace('_', ' ')}: the other order does not fit every row")
        return fitting[0]
    question = Question(
        f"dates.{part.name}",
        f"In the files of {part.name}, which comes first in {column} = {example}: the day or the month?",
        "both orders fit every date" if fitting else "neither order fits every date",
        MEANINGS,
    )
    return decisions.ask(question)


def with_date_order(part: ReadyPart, order: str) -> ReadyPart:
    """The part whose selects read the dates that they compute with in an order."""
    formats = ", ".join(f"'{ORDERS[order]}{time}'" for time in (*TIMES, *(f",{time}" for time in TIMES[1:])))
    for column in sorted(part.cast_columns(CAST)):
        read = f"coalesce(try_strptime({column}::varchar, [{formats}]), try_cast({column} as timestamp))"
        part = part.with_text(rf"(?<![\w.]){column}::timestamp\b", read)
    return part


def _count_dates(sources: Sequence[LoadedSource], query: Query) -> list[_DateCounts]:
    """The dates of each column of some sources, by one query: it is faster than one for each column."""
    columns = [(source.name, column) for source in sources for column in source.columns]
    if not columns:
        return []
    selects = [_count_in_column(*column, position) for position, column in enumerate(columns)]
    return [
        _DateCounts(columns[position][1], dates, dict(zip(ORDERS, fitting, strict=True)), example)
        for position, dates, *fitting, example in sorted(query(" union all ".join(selects)))
    ]


def _count_in_column(source: str, column: str, position: int) -> str:
    """Counts the values of a column that are dates which need an order, and those that fit each order."""
    name = quote_name(column)
    numbers = [f"regexp_extract(trim({name}::varchar), {quote_text(ORDERED_DATE)}, {group})" for group in (1, 2, 3)]
    fits = ", ".join(f"count(try_strptime(concat_ws('/', {', '.join(numbers)}), '{form}'))" for form in ORDERS.values())
    return f"""select {position}, count(*), {fits}, min({name}::varchar) from {quote_name(source)}
    where regexp_matches(trim({name}::varchar), {quote_text(ORDERED_DATE)})"""
