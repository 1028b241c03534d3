"""Random companies: every table of the contract, from a seed, with the edge cases in which signals go wrong.

Rows lie exactly at `AS_OF`, at the edges of windows, and several at the same instant. Values are missing, tables are
empty, and some accounts have no rows. All rows obey the contract.
"""

from random import Random
from typing import Any

from features.own_signals.generated_tables import (
    draw_instant,
    keep_unique,
    latest_day,
    order_spans,
)
from features.tables.contract import CONTRACT, ColumnContract, TableContract

CATEGORIES = {
    "event": ("open", "search", "export", "share", "active_users"),
    "user_id": ("ada", "ben", "cleo"),
    "severity": ("low", "normal", "high", "urgent"),
    "role": ("champion", "sponsor", "exec", "admin", "user"),
    "milestone": ("kickoff", "integration", "first_value", "live"),
    "plan": ("basic", "pro", "support"),
    "by": ("owner-1", "owner-2"),
    "respondent_id": ("ada", "ben"),
    ("surveys", "kind"): ("nps", "csat", "ces"),
    ("tickets", "kind"): ("how_to", "defect", "billing", "request"),
    ("touches", "kind"): ("qbr", "call", "email", "meeting", "training", "in_app"),
}
NUMBERS = {
    "mrr": (0.0, 19.99, 49.9, 100.0),
    "seats": (0.0, 1.0, 5.0, 20.0),
    "discount": (0.0, 0.1, 0.25),
    "term_months": (1.0, 12.0),
    "employees": (0.0, 12.0, 300.0),
    "quantity": (0.0, 1.0, 2.0, 10.0),
    "amount": (-40.0, 0.0, 120.0, 480.5),
    "csat": (1.0, 2.0, 3.0, 5.0),
    "score": (0.0, 3.0, 6.0, 7.0, 9.0, 10.0),
}
MAX_ROWS = {"usage": 60, "accounts": 1, "subscriptions": 5, "milestones": 12, "surveys": 30, "invoices": 20}
MISSING_RATES = {"ended_at": 0.6}  # if a column is not listed, 15 % of its values are missing
DAYS_BACK = 500

Row = dict[str, Any]
Company = dict[str, list[Row]]


def random_company(seed: int, accounts: int = 10) -> Company:
    """A company with this number of accounts, always the same for the same seed."""
    random = Random(seed)
    names = [f"A{number}" for number in range(accounts)]
    return {name: _rows(random, table, names) for name, table in CONTRACT.items()}


def _rows(random: Random, table: TableContract, accounts: list[str]) -> list[Row]:
    if not table.required and random.random() < 0.1:
        return []
    rows = [
        _row(random, table, account)
        for account in accounts
        if table.name == "accounts" or random.random() < 0.85
        for _ in range(random.randint(1, MAX_ROWS.get(table.name, 12)))
    ]
    return keep_unique(rows, table)


def _row(random: Random, table: TableContract, account: str) -> Row:
    row: Row = {name: _value(random, table, name, column) for name, column in table.columns.items()}
    row["account_id"] = account
    row["recorded_at"] = draw_instant(random, days_back=DAYS_BACK) if random.random() < 0.15 else None
    if row.get("score") is not None and row["kind"] != "nps":  # on another scale, from 1 to 7
        row["score"] = 1 + row["score"] % 7
    return order_spans(row, table)


def _value(random: Random, table: TableContract, name: str, column: ColumnContract) -> object:
    if not column.required and random.random() < MISSING_RATES.get(name, 0.15):
        return None
    if column.type == "instant":
        return draw_instant(random, latest_day(table, name), DAYS_BACK)
    if column.type == "flag":
        return random.random() < 0.5
    if column.type == "number":
        return random.choice(NUMBERS[name])
    categories = CATEGORIES.get((table.name, name)) or CATEGORIES.get(name) or [f"{name}-{random.randrange(10**6)}"]
    return random.choice(categories)
