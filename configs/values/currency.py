"""The currency of amounts, and the units of amounts in it."""

import re
from typing import Annotated

from pydantic import StringConstraints

CODE = "[A-Z]{3}"
Currency = Annotated[str, StringConstraints(pattern=f"^{CODE}$")]
UNITS = {"money": "{}", "MRR": "{} a month", "MRR per employee": "{} a month per employee"}
UNIT_IN_CURRENCY = re.compile(rf"(?!MRR)({CODE})(?: a month(?: per employee)?)?")


def amount_unit(unit: str, currency: str | None) -> str:
    """The unit of an amount in a currency; that of any other number stays as it is.

    >>> amount_unit("MRR", "EUR"), amount_unit("MRR", None), amount_unit("days", "EUR")
    ('EUR a month', 'MRR', 'days')
    """
    return UNITS[unit].format(currency) if currency and unit in UNITS else unit


def unit_currency(unit: str) -> str | None:
    """The currency that a unit names; None if it names none.

    >>> unit_currency("EUR a month"), unit_currency("MRR"), unit_currency("days")
    ('EUR', None, None)
    """
    match = UNIT_IN_CURRENCY.fullmatch(unit)
    return match[1] if match else None
