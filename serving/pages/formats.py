"""Texts of numbers, days and names, as every page shows them."""

from datetime import date, datetime

from features.signals.base import family_label
from serving.scoring.sentences import format_value

MISSING = "\u2013"


def format_percent(share: float | None, decimals: int = 1) -> str:
    """A share as a percentage, with a no-break space before the sign.

    >>> format_percent(0.876)
    '87.6\\xa0%'
    """
    return MISSING if share is None else f"{share * 100:.{decimals}f}\u00a0%"


def format_points(points: float | None, decimals: int = 1) -> str:
    """A difference of risks in percentage points, with a true minus sign.

    >>> format_points(0.0312), format_points(-0.004) == "\\u22120.4"
    ('+3.1', True)
    """
    if points is None:
        return MISSING
    text = f"{points * 100:+.{decimals}f}"
    return format_signed_text(text)


def format_tenths(tenths: int, decimals: int = 1) -> str:
    """Points that were rounded to whole units of 10 ** -decimals, with their sign.

    >>> format_tenths(31), format_tenths(0)
    ('+3.1', '0.0')
    """
    return format_signed_text(f"{tenths / 10**decimals:+.{decimals}f}")


def format_signed_text(text: str) -> str:
    """A signed number with a true minus sign; no sign before zero."""
    if not text.strip("+-0."):
        return text.lstrip("+-")
    return text.replace("-", "\u2212")


def format_amount(amount: float | None) -> str:
    """An amount without decimals, where a heading names its currency."""
    return MISSING if amount is None else f"{amount:,.0f}"


def format_signed_amount(amount: float | None) -> str:
    """A difference of amounts, where a heading names their currency."""
    return MISSING if amount is None else format_signed_text(f"{amount:+,.0f}")


def format_money(amount: float | None, currency: str | None) -> str:
    """An amount without decimals and its currency, if that is declared.

    >>> format_money(1250.4, "EUR"), format_money(1250.4, None)
    ('1,250\xa0EUR', '1,250')
    """
    return _with_currency(format_amount(amount), currency)


def name_currency(label: str, currency: str | None) -> str:
    """The heading of a column of amounts.

    >>> name_currency("MRR", "EUR"), name_currency("MRR", None)
    ('MRR, EUR', 'MRR')
    """
    return f"{label}, {currency}" if currency else label


def format_signed_money(amount: float | None, currency: str | None) -> str:
    """A difference of amounts and their currency, if that is declared."""
    return _with_currency(format_signed_amount(amount), currency)


def _with_currency(text: str, currency: str | None) -> str:
    return f"{text}\u00a0{currency}" if currency and text != MISSING else text


def format_count(count: float | None) -> str:
    """A number of things."""
    return MISSING if count is None else f"{count:,.0f}"


def format_signed_count(count: float | None) -> str:
    """A difference of counts."""
    return MISSING if count is None else format_signed_text(f"{count:+,.0f}")


def format_day(day: date | None) -> str:
    """A day in words.

    >>> format_day(date(2026, 7, 1))
    '1 July 2026'
    """
    return MISSING if day is None else f"{day.day} {day:%B %Y}"


def format_weekday(day: date) -> str:
    """A day with its weekday.

    >>> format_weekday(date(2026, 6, 24))
    'Wednesday 24 June'
    """
    return f"{day:%A} {day.day} {day:%B}"


def format_time(instant: datetime | None) -> str:
    """An instant with its zone.

    >>> format_time(datetime(2026, 7, 1, 6, 30))
    '1 July 2026, 06:30 UTC'
    """
    return MISSING if instant is None else f"{format_day(instant)}, {instant:%H:%M} UTC"


# The filters that also take the currency of their page.
IN_CURRENCY = {"money": format_money, "signed_money": format_signed_money, "in_currency": name_currency}
FILTERS = {
    "percent": format_percent,
    "points": format_points,
    "tenths": format_tenths,
    "amount": format_amount,
    "signed_amount": format_signed_amount,
    "count": format_count,
    "signed_count": format_signed_count,
    "day": format_day,
    "weekday": format_weekday,
    "time": format_time,
    "family": family_label,
    "value": format_value,
}
