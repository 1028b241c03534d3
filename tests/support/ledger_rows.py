"""Scores to append to a ledger. Nothing slow is imported, because a child process that is killed imports this."""

from datetime import datetime
from typing import cast

from serving.ledger.ledger import ScoreSource
from serving.schemas.responses import Score

DAY = datetime(2024, 1, 1)
SOURCE: ScoreSource = {
    "scored_at": DAY,
    "request_id": "r",
    "purpose": "served",
    "model": "m",
    "version": 1,
    "label_hash": "l",
    "signal_set": "s",
    "currency": None,
}


def score(account_id: str, risk: float = 0.1, **fields: object) -> Score:
    """The part of a response about one account."""
    columns = {"account_id": account_id, "risk": risk, "base": 0.05, "band": "high", "status": "scored"}
    revenue = {"mrr": 100.0, "revenue_at_risk": 10.0}
    return cast(Score, {**columns, "revenue": revenue, "signals_as_of": "2024-01-01T00:00:00Z", **fields})


def source_at(scored_at: datetime, version: int = 1) -> ScoreSource:
    """The source of scores that a version served at an instant."""
    return {**SOURCE, "scored_at": scored_at, "version": version}
