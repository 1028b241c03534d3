"""A company with a few accounts, every table of the contract, and rows that DuckDB and Spark may read differently.

Values are missing, tie or divide by zero; a spread has one value only; rows happen exactly at `AS_OF`, are recorded
after it, or lie one second before or after the edge of a window. `quiet` has no row except its subscription.
"""

import random
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.tables.contract import CONTRACT, ColumnContract

AS_OF = datetime(2023, 6, 1)
ACCOUNTS = ("busy", "calm", "edge", "free", "late", "lone", "new", "twin", "quiet")
ACTIVE = ACCOUNTS[:-1]
ARROW_TYPES = {"text": pa.string(), "number": pa.float64(), "instant": pa.timestamp("us"), "flag": pa.bool_()}
CATEGORIES = {
    "role": ["champion", "sponsor", "exec", "admin", "user"],
    "surveys.kind": ["nps", "csat", "ces"],
    "touches.kind": ["qbr", "call", "email", "training", "meeting", "in_app", "call", "email"],
    "kind": ["defect", "how_to", "billing", "request", "outage", "question", "defect", "how_to"],
    "severity": ["low", "normal", "high", "urgent"],
}
NUMBERS = {"tickets.csat": [1.0, 2.0, 2.5, 4.0, 5.0], "surveys.score": [1.0, 2.5, 4.0, 6.0, 7.0]}
MILESTONES = ("kickoff", "integration", "first_value", "live")
WINDOWS = (7, 14, 28, 56, 91, 182, 364)
Rows = list[dict]


def write_company(folder: Path) -> Path:
    """Write each table as a Parquet file, and a mapping that reads them unchanged; gives the path of the mapping."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in build_tables().items():
        columns = CONTRACT[name].columns
        schema = pa.schema([(column, ARROW_TYPES[columns[column].type]) for column in columns])
        pq.write_table(
            pa.Table.from_pylist([dict.fromkeys(columns) | row for row in rows], schema), _file(folder, name)
        )
    sources = "\n".join(f'{name} = "{name}.parquet"' for name in CONTRACT)
    mapping = folder / "company.toml"
    mapping.write_text(f'name = "company"\nobserved_until = 2023-07-01T00:00:00Z\n[sources]\n{sources}\n')
    return mapping


def build_tables() -> dict[str, Rows]:
    """The rows of each table, the same at every call."""
    generator = random.Random(7)
    accounts = [
        {"account_id": account_id, "created_at": _days_ago(400), **_filled("accounts", generator)}
        for account_id in ACCOUNTS
    ]
    accounts[0] |= {"employees": 0.0}
    accounts[1] |= {"segment": None, "employees": None}
    return {"accounts": accounts, "subscriptions": _subscriptions(), "usage": _usage(generator)} | {
        name: _table_rows(name, generator) for name in CONTRACT if name not in {"accounts", "subscriptions", "usage"}
    }


def _subscriptions() -> Rows:
    running = [
        _subscription(account_id, 200 + 40 * n, seats=5.0 * n, discount=0.1 * n)
        for n, account_id in enumerate(ACCOUNTS)
    ]
    running[3] |= {"mrr": 0.0, "seats": 0.0, "renews_at": running[3]["started_at"]}
    running[5] |= {"seats": None, "discount": None, "term_months": None, "renews_at": None, "auto_renew": None}
    return [
        *running,
        _subscription("busy", 182, plan="addon", seats=None),
        _subscription("twin", 91, plan="addon", mrr=100.0, ended_at=AS_OF),
        _subscription("twin", 90, plan="other", ended_at=_days_ago(28), mrr=33.3),
        _subscription("twin", 500, plan="other", ended_at=_days_ago(91)),
        _subscription("late", 10, plan="late", recorded_at=AS_OF),
        _subscription("new", 0, plan="later"),
    ]


def _subscription(account_id: str, days: float, **columns: object) -> dict:
    row = {
        "account_id": account_id,
        "subscription_id": f"{account_id}-{days}-{columns.get('plan', 'base')}",
        "mrr": 99.5,
    }
    terms = {"plan": "base", "seats": 3.0, "term_months": 12.0, "auto_renew": days % 80 == 0, "discount": 0.05}
    return {**row, **terms, "started_at": _days_ago(days), "renews_at": _days_ago(days - 365), **columns}


def _usage(generator: random.Random) -> Rows:
    rows = [
        {
            "account_id": account_id,
            "user_id": generator.choice(["u1", "u2", None]),
            "event": generator.choice(["login", "export"]),
        }
        | {"occurred_at": _days_ago(generator.random() * 300), "quantity": generator.choice([None, 0.0, 0.1, 0.7, 3.0])}
        for account_id in ACTIVE[:-1]
        for _ in range(150)
    ]
    counts = [
        {"account_id": account_id, "event": "active_users", "occurred_at": _days_ago(day), "quantity": float(day % 4)}
        for account_id in ("busy", "twin")
        for day in range(0, 120, 3)
    ]
    edges = [_event("edge", _days_ago(days) + timedelta(seconds=offset)) for days in WINDOWS for offset in (-1, 0, 1)]
    return [
        *rows,
        *counts,
        *edges,
        _event("lone", _days_ago(5)),
        _event("new", AS_OF),
        _event("late", _days_ago(1), AS_OF),
    ]


def _event(account_id: str, at: datetime, recorded_at: datetime | None = None) -> dict:
    return {"account_id": account_id, "event": "login", "occurred_at": at, "user_id": "u9", "recorded_at": recorded_at}


def _table_rows(name: str, generator: random.Random) -> Rows:
    """Rows of one table over a year: some at the edges of windows, some with the required columns only."""
    days = [*(generator.random() * 360 for _ in range(12)), *WINDOWS, 0.0]
    full = [_event_row(name, account_id, day, generator) for account_id in ACTIVE[:4] for day in days]
    required_rows = [_required_values(name, row, number) for number, row in enumerate(full[::9])]
    lone_row = _event_row(name, "lone", 5, generator) | _key_values(name, 10_000)
    late_row = {**_event_row(name, "late", 3, generator), **_key_values(name, 10_005), "recorded_at": AS_OF}
    effective = {"effective_at": _days_ago(-10)} if name == "notices" else {}
    lone_row |= effective
    return [*({**row, **_key_values(name, 100 + n)} for n, row in enumerate(full)), *required_rows, lone_row, late_row]


def _required_values(name: str, row: dict, number: int) -> dict:
    """The required columns of a row, with instants a few seconds earlier."""
    columns = CONTRACT[name].columns
    required = {column: value for column, value in row.items() if columns[column].required} | _key_values(name, number)
    return {
        column: _earlier(value) if columns[column].type == "instant" else value for column, value in required.items()
    }


def _earlier(at: datetime) -> datetime:
    return at - timedelta(seconds=11)


def _event_row(name: str, account_id: str, days: float, generator: random.Random) -> dict:
    at = CONTRACT[name].at
    row = {"account_id": account_id, **_filled(name, generator)}
    instants = [column for column, contract in CONTRACT[name].columns.items() if contract.type == "instant"]
    later = {
        column: _days_ago(days - generator.choice([0, 1, 6.5, 40]))
        for column in instants
        if column not in {at, "recorded_at"}
    }
    return {
        **row,
        **{column: generator.choice([instant, None]) for column, instant in later.items()},
        **({at: _days_ago(days)} if at else {}),
    }


def _filled(name: str, generator: random.Random) -> dict:
    columns = CONTRACT[name].columns.items()
    return {
        column: _value(f"{name}.{column}", contract, generator)
        for column, contract in columns
        if contract.type not in {"instant"} and column != "account_id"
    }


def _value(column: str, contract: ColumnContract, generator: random.Random) -> object:
    categories = CATEGORIES.get(column) or CATEGORIES.get(column.rpartition(".")[2], ["alpha", "beta"])
    if contract.type == "number":
        return generator.choice(NUMBERS.get(column, [0.0, 1.0, 2.5, 9.0, 10.0]) + [None] * (not contract.required))
    if contract.type == "flag":
        return generator.choice([True, False, None])
    return generator.choice(categories + [None] * (not contract.required))


def _key_values(name: str, number: int) -> dict:
    """Key columns that make a row unique, if the table's key has more than the account and the instant."""
    if name == "milestones":
        is_usual = number >= 100 and number % 20 < len(MILESTONES)
        return {"milestone": MILESTONES[number % 20] if is_usual else f"milestone-{number}"}
    columns = [column for column in CONTRACT[name].key if column not in {"account_id", CONTRACT[name].at, "kind"}]
    return {column: f"{column}-{number}" for column in columns}


def _days_ago(days: float) -> datetime:
    return AS_OF - timedelta(seconds=round(days * 86_400))


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.parquet"
