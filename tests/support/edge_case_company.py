"""A company of a few accounts that brings every table of the contract, with the rows that engines read differently.

Values are missing, tie, divide by zero, stand alone where a spread needs two, happen exactly at `AS_OF`, are recorded
after it, or lie one second on either side of a window's edge; `quiet` has no row but its subscription.
"""

import random
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.tables.contract import CONTRACT, Column

AS_OF = datetime(2023, 6, 1)
ACCOUNTS = ("busy", "calm", "edge", "free", "late", "lone", "new", "twin", "quiet")
ACTIVE = ACCOUNTS[:-1]
ARROW_TYPES = {"text": pa.string(), "number": pa.float64(), "instant": pa.timestamp("us"), "flag": pa.bool_()}
WORDS = {
    "role": ["champion", "sponsor", "exec", "admin", "user"],
    "surveys.kind": ["nps", "csat", "ces"],
    "kind": ["qbr", "call", "email", "training", "defect", "how_to", "billing", "request"],
    "severity": ["low", "normal", "high", "urgent"],
}
MILESTONES = ("kickoff", "integration", "first_value", "live")
WINDOWS = (7, 14, 28, 56, 91, 182, 364)
Rows = list[dict]


def write_company(folder: Path) -> Path:
    """Write every table as Parquet and the mapping that reads them as they are; gives the mapping's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in company().items():
        columns = CONTRACT[name].columns
        schema = pa.schema([(column, ARROW_TYPES[columns[column].type]) for column in columns])
        pq.write_table(
            pa.Table.from_pylist([dict.fromkeys(columns) | row for row in rows], schema), _file(folder, name)
        )
    sources = "\n".join(f'{name} = "{name}.parquet"' for name in CONTRACT)
    mapping = folder / "company.toml"
    mapping.write_text(f'name = "company"\nobserved_until = 2023-07-01T00:00:00Z\n[sources]\n{sources}\n')
    return mapping


def company() -> dict[str, Rows]:
    """The rows of every table: the same at every call."""
    chance = random.Random(7)
    accounts = [{"account_id": one, "created_at": _ago(400), **_filled("accounts", chance)} for one in ACCOUNTS]
    accounts[0] |= {"employees": 0.0}
    accounts[1] |= {"segment": None, "employees": None}
    return {"accounts": accounts, "subscriptions": _subscriptions(), "usage": _usage(chance)} | {
        name: _happenings(name, chance) for name in CONTRACT if name not in {"accounts", "subscriptions", "usage"}
    }


def _subscriptions() -> Rows:
    running = [_subscription(one, 200 + 40 * n, seats=5.0 * n, discount=0.1 * n) for n, one in enumerate(ACCOUNTS)]
    running[3] |= {"mrr": 0.0, "seats": 0.0, "renews_at": running[3]["started_at"]}
    running[5] |= {"seats": None, "discount": None, "term_months": None, "renews_at": None, "auto_renew": None}
    return [
        *running,
        _subscription("busy", 182, plan="addon", seats=None),
        _subscription("twin", 91, plan="addon", mrr=100.0, ended_at=AS_OF),
        _subscription("twin", 90, plan="other", ended_at=_ago(28), mrr=33.3),
        _subscription("twin", 500, plan="other", ended_at=_ago(91)),
        _subscription("late", 10, plan="late", recorded_at=AS_OF),
        _subscription("new", 0, plan="later"),
    ]


def _subscription(account_id: str, days: float, **more: object) -> dict:
    row = {"account_id": account_id, "subscription_id": f"{account_id}-{days}-{more.get('plan', 'base')}", "mrr": 99.5}
    terms = {"plan": "base", "seats": 3.0, "term_months": 12.0, "auto_renew": days % 80 == 0, "discount": 0.05}
    return {**row, **terms, "started_at": _ago(days), "renews_at": _ago(days - 365), **more}


def _usage(chance: random.Random) -> Rows:
    rows = [
        {"account_id": one, "user_id": chance.choice(["u1", "u2", None]), "event": chance.choice(["login", "export"])}
        | {"occurred_at": _ago(chance.random() * 300), "quantity": chance.choice([None, 0.0, 0.1, 0.7, 3.0])}
        for one in ACTIVE[:-1]
        for _ in range(150)
    ]
    counts = [
        {"account_id": one, "event": "active_users", "occurred_at": _ago(day), "quantity": float(day % 4)}
        for one in ("busy", "twin")
        for day in range(0, 120, 3)
    ]
    edges = [_event("edge", _ago(days) + timedelta(seconds=side)) for days in WINDOWS for side in (-1, 0, 1)]
    return [*rows, *counts, *edges, _event("lone", _ago(5)), _event("new", AS_OF), _event("late", _ago(1), AS_OF)]


def _event(account_id: str, at: datetime, recorded_at: datetime | None = None) -> dict:
    return {"account_id": account_id, "event": "login", "occurred_at": at, "user_id": "u9", "recorded_at": recorded_at}


def _happenings(name: str, chance: random.Random) -> Rows:
    """Rows of one table over a year, some of them at the edges of windows, some with only what is required."""
    days = [*(chance.random() * 360 for _ in range(12)), *WINDOWS, 0.0]
    full = [_happening(name, account_id, day, chance) for account_id in ACTIVE[:4] for day in days]
    bare = [_bare(name, row, number) for number, row in enumerate(full[::9])]
    lone = _happening(name, "lone", 5, chance) | _key(name, 10_000)
    late = {**_happening(name, "late", 3, chance), **_key(name, 10_005), "recorded_at": AS_OF}
    ahead = {"effective_at": _ago(-10)} if name == "notices" else {}
    lone |= ahead
    return [*({**row, **_key(name, 100 + n)} for n, row in enumerate(full)), *bare, lone, late]


def _bare(name: str, row: dict, number: int) -> dict:
    """A row with only what is required, a little before the one it is made of."""
    columns = CONTRACT[name].columns
    kept = {column: value for column, value in row.items() if columns[column].required} | _key(name, number)
    return {column: _earlier(value) if columns[column].type == "instant" else value for column, value in kept.items()}


def _earlier(at: datetime) -> datetime:
    return at - timedelta(seconds=11)


def _happening(name: str, account_id: str, days: float, chance: random.Random) -> dict:
    at = CONTRACT[name].at
    row = {"account_id": account_id, **_filled(name, chance)}
    instants = [column for column, about in CONTRACT[name].columns.items() if about.type == "instant"]
    later = {one: _ago(days - chance.choice([0, 1, 6.5, 40])) for one in instants if one not in {at, "recorded_at"}}
    return {
        **row,
        **{one: chance.choice([moment, None]) for one, moment in later.items()},
        **({at: _ago(days)} if at else {}),
    }


def _filled(name: str, chance: random.Random) -> dict:
    columns = CONTRACT[name].columns.items()
    return {
        column: _value(f"{name}.{column}", about, chance)
        for column, about in columns
        if about.type not in {"instant"} and column != "account_id"
    }


def _value(column: str, about: Column, chance: random.Random) -> object:
    words = WORDS.get(column) or WORDS.get(column.rpartition(".")[2], ["alpha", "beta"])
    if about.type == "number":
        return chance.choice([0.0, 1.0, 2.5, 9.0, 10.0] + [None] * (not about.required))
    if about.type == "flag":
        return chance.choice([True, False, None])
    return chance.choice(words + [None] * (not about.required))


def _key(name: str, number: int) -> dict:
    """What makes the row's key its own, for tables that have one beyond their instant."""
    if name == "milestones":
        is_usual = number >= 100 and number % 20 < len(MILESTONES)
        return {"milestone": MILESTONES[number % 20] if is_usual else f"milestone-{number}"}
    own = [column for column in CONTRACT[name].key if column not in {"account_id", CONTRACT[name].at, "kind"}]
    return {column: f"{column}-{number}" for column in own}


def _ago(days: float) -> datetime:
    return AS_OF - timedelta(seconds=round(days * 86_400))


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.parquet"
