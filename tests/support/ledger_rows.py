"""Risks as a reply holds them, for tests of what becomes of them; nothing heavy, so that a killed child starts fast."""

from datetime import datetime

DAY = datetime(2024, 1, 1)
OF = {"given_at": DAY, "request_id": "r", "model": "m", "version": 1, "label_hash": "l", "signal_set": "s"}


def score(account_id: str, risk: float = 0.1, **more: object) -> dict:
    """One account's part of a reply."""
    one = {"account_id": account_id, "risk": risk, "base": 0.05, "band": "high", "status": "scored"}
    return {**one, "revenue": {"mrr": 100.0, "at_risk": 10.0}, "signals_as_of": "2024-01-01T00:00:00", **more}
