"""Small made-up companies for any contract, with the edge cases in which signals go wrong.

Rows lie exactly at `AS_OF`, at the edges of windows, and several at one instant; values are missing and some accounts
have no rows. Texts and numbers are those that the contract and the formulas name, so that conditions are met.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

import ibis.expr.operations as ops

from features.compute.fingerprints import formula_value
from features.signals.base import Signal
from features.tables.contract import ACCOUNT_ID, ColumnContract, NumberRange, TableContract

AS_OF = datetime(2024, 5, 15)
ACCOUNTS = tuple(f"A{number}" for number in range(8))
EDGES = (0, 0, 7, 14, 28, 56, 91, 182, 364)
WORDS, NUMBERS = ("a", "b", "c"), (0.0, 1.0, 2.0, 10.0)
MAX_ROWS, LATEST_DAY = 20, 60
PAST_TABLES = {"accounts", "subscriptions"}  # dated in the past, or there would be few snapshots

Value = float | str | bool | datetime | None
Row = dict[str, Value]
Company = Mapping[str, list[Row]]


@dataclass(frozen=True)
class Vocabulary:
    """The texts and numbers that formulas compare with."""

    texts: tuple[str, ...]
    numbers: tuple[float, ...]


def vocabulary_of(signals: Iterable[Signal]) -> Vocabulary:
    """The literals in the formulas of these signals."""
    values = [literal.value for signal in signals for literal in formula_value(signal).op().find(ops.Literal)]
    texts = sorted({value for value in values if isinstance(value, str)})
    numbers = sorted({float(value) for value in values if isinstance(value, int | float) and value >= 0})
    return Vocabulary((*WORDS, *texts), (*NUMBERS, *numbers))


def generate_company(contract: Mapping[str, TableContract], vocabulary: Vocabulary, seed: int) -> Company:
    """A company with these tables, always the same for the same seed; all of its rows obey the contract."""
    random = Random(seed)
    return {name: _rows(random, table, vocabulary) for name, table in contract.items()}


def shift_company(company: Company, days: int) -> dict[str, list[Row]]:
    """The same company with every instant moved by this number of days."""
    delta = timedelta(days=days)

    def shift(value: Value) -> Value:
        return value + delta if isinstance(value, datetime) else value

    return {name: [{c: shift(value) for c, value in row.items()} for row in rows] for name, rows in company.items()}


def keep_unique(rows: list[Row], table: TableContract) -> list[Row]:
    """The last row of each key, or all if the table has none."""
    return list({tuple(row[name] for name in table.key): row for row in rows}.values()) if table.key else rows


def order_spans(row: Row, table: TableContract) -> Row:
    """The row with each end mirrored behind its start if it was before it."""
    for start, end in table.spans:
        first, last = row.get(start), row.get(end)
        if isinstance(first, datetime) and isinstance(last, datetime) and last < first:
            row[end] = first + (first - last)
    return row


def latest_day(table: TableContract, column: str) -> int:
    """The last day after `AS_OF` of an instant of a table."""
    return 0 if table.name in PAST_TABLES and column == table.at else LATEST_DAY


def draw_instant(random: Random, latest: int = LATEST_DAY, days_back: int = 400) -> datetime:
    """An instant near `AS_OF`: often at the edge of a window or one second off, at most `latest` days after `AS_OF`."""
    if random.random() < 0.3:
        return AS_OF - timedelta(days=random.choice(EDGES), seconds=random.choice((0, 0, 1, -1)))
    return AS_OF + timedelta(days=random.randint(-days_back, latest) + random.choice((0.0, 0.25, 0.5)))


def _rows(random: Random, table: TableContract, vocabulary: Vocabulary) -> list[Row]:
    rows = [
        _row(random, table, account, vocabulary)
        for account in ACCOUNTS
        if table.required or random.random() < 0.9
        for _ in range(1 if table.required else random.randint(1, MAX_ROWS))
    ]
    return keep_unique(rows, table)


def _row(random: Random, table: TableContract, account: str, vocabulary: Vocabulary) -> Row:
    columns = [name for name, column in table.columns.items() if not column.cuts_periods]
    row = {name: _value(random, table, name, vocabulary) for name in columns}
    row[ACCOUNT_ID] = account
    if table.at != "recorded_at":
        row["recorded_at"] = draw_instant(random) if random.random() < 0.15 else None
    return order_spans(row, table)


def _value(random: Random, table: TableContract, name: str, vocabulary: Vocabulary) -> Value:
    column = table.columns[name]
    if not column.required and random.random() < 0.15:
        return None
    if column.type == "instant":
        return draw_instant(random, latest_day(table, name))
    if column.type == "flag":
        return random.random() < 0.5
    if column.type == "number":
        return random.choice([number for number in vocabulary.numbers if _is_inside(number, column)] or [1.0])
    return _text(random, name, column, vocabulary)


def _text(random: Random, name: str, column: ColumnContract, vocabulary: Vocabulary) -> str:
    if name.endswith("_id") and name != "user_id":
        return f"{name}-{random.randrange(10**6)}"
    if column.number_for or column.flag_for:
        return random.choice(("0", "1"))
    return random.choice(column.values or (*column.known_values, *vocabulary.texts))


def _is_inside(number: float, column: ColumnContract) -> bool:
    limits = [limit for limit in (column.range, *column.ranges.values()) if limit]
    return all(_is_within(number, limit) for limit in limits)


def _is_within(number: float, limits: NumberRange) -> bool:
    is_above = limits.above is None or number > limits.above
    is_high = limits.minimum is None or number >= limits.minimum
    return is_above and is_high and (limits.maximum is None or number <= limits.maximum)
