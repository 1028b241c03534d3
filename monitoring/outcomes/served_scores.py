"""Served scores: what the ledger holds of risks that were really served, with their parts by family."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypedDict, cast

import numpy as np
import pandas as pd
import sqlalchemy as sql

from serving.ledger.ledger import SNAPSHOT, Ledger, is_served
from serving.ledger.schema import RISKS

IDS_PER_QUERY = 900  # SQLite binds at most 999 values in old builds
LATE_DAYS = 7
NEVER_CERTAIN = 1e-6


class ServedDriver(TypedDict):
    """A driver of a served score."""

    family: str
    points: float


class ServedScore(TypedDict):
    """The parts of a served score that outcomes are compared with."""

    risk: float
    base: float
    risks: Mapping[str, float]
    drivers: Sequence[ServedDriver]
    protective_drivers: Sequence[ServedDriver]


def read_served_snapshots(ledger: Ledger, label_hash: str, until: datetime) -> pd.DataFrame:
    """The last row that was served of each snapshot, by any version: id, version, risk, account_id, as_of.

    A risk that was served later than a week after its day does not count: its account may have left by then.
    """
    is_due = is_served() & (RISKS.c.label_hash == label_hash) & (RISKS.c.as_of <= until)
    last_rows = sql.select(sql.func.max(RISKS.c.id)).where(is_due, _is_in_time(ledger.engine.dialect.name))
    last_rows = last_rows.group_by(*(RISKS.c[name] for name in SNAPSHOT))
    query = sql.select(*(RISKS.c[name] for name in ("id", "version", "risk", *SNAPSHOT)))
    with ledger.engine.connect() as connection:
        return pd.read_sql(
            query.where(RISKS.c.id.in_(last_rows)).order_by(RISKS.c.id), connection, parse_dates=["as_of"]
        )


def _is_in_time(dialect: str) -> sql.ColumnElement[bool]:
    if dialect == "sqlite":  # which has text for instants, and no intervals
        return RISKS.c.scored_at < sql.func.datetime(RISKS.c.as_of, f"+{LATE_DAYS} days")
    return RISKS.c.scored_at < RISKS.c.as_of + timedelta(days=LATE_DAYS)


def read_bands(ledger: Ledger, ids: Sequence[int]) -> pd.DataFrame:
    """The id, band, risk, recurring revenue and its currency of these rows of the ledger."""
    names = ("id", "band", "risk", "mrr", "currency")
    columns = [RISKS.c[name] for name in names]
    frames = [pd.DataFrame({name: [] for name in names})]
    with ledger.engine.connect() as connection:
        for start in range(0, len(ids), IDS_PER_QUERY):
            chunk = [int(row_id) for row_id in ids[start : start + IDS_PER_QUERY]]
            frames.append(pd.read_sql(sql.select(*columns).where(RISKS.c.id.in_(chunk)), connection))
    frame = pd.concat(frames if len(frames) == 1 else frames[1:], ignore_index=True)
    return frame.astype({"id": "int64", "risk": "float64", "mrr": "float64"})


def read_scores(ledger: Ledger, ids: Sequence[int]) -> list[ServedScore]:
    """The scores of these rows of the ledger, in their order."""
    scores: dict[int, ServedScore] = {}
    with ledger.engine.connect() as connection:
        for start in range(0, len(ids), IDS_PER_QUERY):
            chunk = [int(row_id) for row_id in ids[start : start + IDS_PER_QUERY]]
            query = sql.select(RISKS.c.id, RISKS.c.score).where(RISKS.c.id.in_(chunk))
            scores |= {row.id: cast(ServedScore, json.loads(row.score)) for row in connection.execute(query)}
    return [scores[row_id] for row_id in ids]


def risk_within(risks_by_days: Mapping[str, float], days: int) -> float:
    """The risk of leaving within some days, from risks by horizon; the hazard is constant between horizons.

    >>> round(risk_within({"30": 0.19, "90": 0.5}, 15), 3)
    0.1
    """
    horizons = sorted(int(horizon) for horizon in risks_by_days)
    log_stays = [float(np.log1p(-min(risks_by_days[str(horizon)], 1 - NEVER_CERTAIN))) for horizon in horizons]
    return -float(np.expm1(np.interp(days, [0, *horizons], [0.0, *log_stays])))


def log_odds_by_family(score: ServedScore) -> dict[str, float]:
    """Each family's part of the log-odds of a served risk: its points, on the scale of log-odds.

    >>> score = {"risk": 0.5, "base": 0.2, "risks": {}, "drivers": [{"family": "adoption", "points": 0.3}]}
    >>> {family: round(part, 3) for family, part in log_odds_by_family({**score, "protective_drivers": []}).items()}
    {'adoption': 1.386}
    """
    risk, base = (min(max(value, NEVER_CERTAIN), 1 - NEVER_CERTAIN) for value in (score["risk"], score["base"]))
    points = risk - base
    moved = float(np.log(risk / (1 - risk)) - np.log(base / (1 - base)))
    per_point = moved / points if abs(points) > NEVER_CERTAIN else 1 / (risk * (1 - risk))
    return {driver["family"]: driver["points"] * per_point for driver in _drivers(score)}


def _drivers(score: ServedScore) -> list[ServedDriver]:
    return [*score["drivers"], *score["protective_drivers"]]
