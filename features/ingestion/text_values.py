"""Values that are written as text, in the contract's types: strictly, so that what is not of the type is null.

Canonical text is a number with a decimal point, an ISO 8601 date or instant, or a word or digit for true and false.
Files may write other numbers and dates; `TextFormat` says how. Words of the contract are read in capitals too, and with
spaces or hyphens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from features.tables.contract import ColumnContract
from features.tables.mapping import DATE_ORDERS, EPOCHS

# NaN and infinity are numbers here, so that validation can name them.
NUMBER = r"(?i)^[+-]?(([0-9]+{mark}?[0-9]*|{mark}[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)$"
ISO_INSTANT = (
    r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?( ?(Z|z|UTC|[+-][0-9]{2}(:?[0-9]{2})?))?)?$"
)
ORDERED_DATE = r"^([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})($|[T ]|, )"
CLOCK, ZONE = r"[0-9]:[0-9]{2}", r"(Z|z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$"
EPOCH = r"^([0-9]{8,14})(\.0+)?$"
TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
ORDERS = {"day_first": "%d/%m/%Y", "month_first": "%m/%d/%Y"}
TRUE, FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
INSTANT = dt.Timestamp(scale=6)


@ibis.udf.scalar.builtin(signature=((dt.string, dt.Array(dt.string)), INSTANT))
def try_strptime(text: str, formats: list[str]) -> datetime:
    """DuckDB's function of that name: the instant in the first format that fits, null if none does."""
    raise NotImplementedError  # ibis reads only the signature; the engine has the function


@ibis.udf.scalar.builtin(signature=((dt.int64,), INSTANT))
def make_timestamp(microseconds: int) -> datetime:
    """DuckDB's function of that name: the instant so many microseconds after 1970 began."""
    raise NotImplementedError


@ibis.udf.scalar.builtin(signature=((dt.string, INSTANT), dt.Timestamp(timezone="UTC")))
def timezone(zone: str, clock: datetime) -> datetime:
    """DuckDB's function of that name: the instant at which clocks of a zone show a time."""
    raise NotImplementedError


@dataclass(frozen=True)
class TextFormat:
    """How the text of a table writes numbers and dates; `dates` is an order, a format, or None for ISO 8601 only.

    `zone` is the time zone of times that are written without one.
    """

    decimal: str = "."
    dates: str | None = None
    zone: str | None = None


CANONICAL = TextFormat()


def from_text(text: ir.Value, column_type: str, form: TextFormat = CANONICAL) -> ir.Value:
    """The value of a text in a type of the contract; null for a text that is not of the type."""
    readers: dict[str, Callable[[ir.Value, TextFormat], ir.Value]] = {
        "number": _number,
        "instant": _instant,
        "flag": _flag,
    }
    return readers[column_type](text.strip(), form)


def is_ordered_date(text: ir.Value) -> ir.Value:
    """Whether a text is a date that needs an order of day and month."""
    return text.strip().re_search(ORDERED_DATE)


def _number(text: ir.Value, form: TextFormat) -> ir.Value:
    mark = r"\." if form.decimal == "." else form.decimal
    number = text.replace(form.decimal, ".").try_cast("float64")
    return ibis.ifelse(text.re_search(NUMBER.format(mark=mark)), number, ibis.null("float64"))


def _instant(text: ir.Value, form: TextFormat) -> ir.Value:
    instant = _written_instant(text, form)
    if form.zone is None:
        return instant
    # A day has no time of day, and so no zone: the day of a table is the same everywhere.
    is_local = text.re_search(CLOCK) & ~text.re_search(ZONE)
    return ibis.ifelse(is_local, timezone(form.zone, instant).cast(INSTANT), instant)


def _written_instant(text: ir.Value, form: TextFormat) -> ir.Value:
    if form.dates is None:
        return _iso_instant(text)
    if form.dates in EPOCHS:
        return ibis.coalesce(_epoch_instant(text, EPOCHS[form.dates]), _iso_instant(text))
    if form.dates in DATE_ORDERS:
        return ibis.coalesce(_iso_instant(text), _ordered_instant(text, ORDERS[form.dates]))
    # DuckDB also reads words such as "infinity".
    declared = ibis.ifelse(text.re_search("[0-9]"), try_strptime(text, [form.dates]), ibis.null(INSTANT))
    # A format that begins with the year may mean another order than ISO 8601.
    return declared if form.dates.lower().startswith("%y") else ibis.coalesce(declared, _iso_instant(text))


def _epoch_instant(text: ir.Value, microseconds: int) -> ir.Value:
    digits = text.re_replace(r"\.0+$", "").try_cast("int64")
    epoch = ibis.ifelse(text.re_search(EPOCH), digits, ibis.null("int64"))
    return make_timestamp(epoch * microseconds)


def _iso_instant(text: ir.Value) -> ir.Value:
    # An instant with a zone is only converted to UTC if it is read with the zone.
    plain = text.replace(",", ".").re_replace(r" (Z|z|UTC|[+-][0-9:]+)$", r"\1").re_replace("(Z|z|UTC)$", "+00:00")
    instant = plain.try_cast(dt.Timestamp(timezone="UTC")).cast(INSTANT)
    return ibis.ifelse(text.re_search(ISO_INSTANT), instant, ibis.null(INSTANT))


def _ordered_instant(text: ir.Value, order: str) -> ir.Value:
    plain = text.re_replace(ORDERED_DATE, r"\1/\2/\3 ").strip().upper()
    instant = try_strptime(plain, [order + time for time in TIMES])
    return ibis.ifelse(text.re_search(ORDERED_DATE), instant, ibis.null(INSTANT))


def _flag(text: ir.Value, _: TextFormat) -> ir.Value:
    word = text.lower()
    return ibis.cases((word.isin(TRUE), True), (word.isin(FALSE), False), else_=ibis.null("boolean"))


def fold_word(text: ir.Value) -> ir.Value:
    """The text as the contract writes words: `" In-App "` is `in_app`; blank text is null."""
    return text.strip().lower().replace(" ", "_").replace("-", "_").nullif("")


def read_word(text: ir.Value, column: ColumnContract) -> ir.Value:
    """The word of the contract that a text stands for; other words of an open column stay as they are."""
    folded = fold_word(text)
    return folded if column.values else folded.isin(column.known_values).ifelse(folded, text)
