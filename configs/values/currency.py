"""The currency of amounts, and the units of amounts in it."""

import re
from functools import lru_cache
from typing import Annotated

from pydantic import StringConstraints

CODE = "[A-Z]{3}"
Currency = Annotated[str, StringConstraints(pattern=f"^{CODE}$")]
UNITS = {"money": "{}", "MRR": "{} a month", "MRR per employee": "{} a month per employee"}
# The built-in signals that are amounts. A unit of a signal of your own may look like a currency: SMS, API.
AMOUNT_SIGNALS = frozenset(
    {
        *("mrr", "mrr_per_employee", "overdue_amount", "contraction_91d", "contraction_364d"),
        *("unused_seat_mrr_28d", "unused_seat_mrr_91d"),
    }
)
UNIT_IN_CURRENCY = re.compile(rf"(?!MRR)({CODE})(?: a month(?: per employee)?)?")


def amount_unit(unit: str, currency: str | None) -> str:
    """The unit of an amount in a currency; that of any other number stays as it is.

    >>> amount_unit("MRR", "EUR"), amount_unit("MRR", None), amount_unit("days", "EUR")
    ('EUR a month', 'MRR', 'days')
    """
    return UNITS[unit].format(currency) if currency and unit in UNITS else unit


@lru_cache(maxsize=256)  # asked for each value of a response
def unit_currency(unit: str) -> str | None:
    """The currency that a unit names; None if it names none.

    >>> unit_currency("EUR a month"), unit_currency("MRR"), unit_currency("days")
    ('EUR', None, None)
    """
    match = UNIT_IN_CURRENCY.fullmatch(unit)
    return match[1] if match else None
