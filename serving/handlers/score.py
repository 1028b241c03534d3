"""The last known risk: what is answered where the store of signals is down, marked so and with its age."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from configs.errors import StoreDown
from serving.handlers.context import Desk
from serving.ledger.reader import Given, as_served


def score(desk: Desk, account_ids: Sequence[str], most_drivers: int | None, request_id: str) -> dict[str, Any]:
    """The risks of these accounts, or where the store is down the last ones they were given.

    Raises StoreDown where none of them was ever given one.
    """
    ids = list(dict.fromkeys(account_ids))
    try:
        reply = desk.engine.score(ids, most_drivers, request_id)
    except StoreDown as problem:
        return _last_known(desk, ids, problem)
    return _with_empty_store(desk, reply)


def _last_known(desk: Desk, ids: list[str], problem: StoreDown) -> dict[str, Any]:
    found, now = desk.past.last(ids), desk.now()
    if not found:
        raise problem
    scores = [_degraded(found[one], problem.message, now) for one in ids if one in found]
    return {
        "as_of": max(one["signals_as_of"] for one in scores),
        "model": None,
        "scores": scores,
        "not_scored": [{"account_id": one, "reason": "never_scored"} for one in ids if one not in found],
    }


def _degraded(one: Given, because: str, now: datetime) -> dict[str, Any]:
    age = max((now - one.given_at) / timedelta(days=1), 0.0)
    return {**as_served(one), "status": "degraded", "degraded": {"because": because, "age_days": round(age, 3)}}


def _with_empty_store(desk: Desk, reply: dict[str, Any]) -> dict[str, Any]:
    """An account that is at risk by its facts and not in the store is not unknown: the store lacks it."""
    unknown = [one["account_id"] for one in reply["not_scored"] if one["reason"] == "unknown_account"]
    lacking = desk.facts.of(unknown) if unknown else {}
    for one in reply["not_scored"]:
        if one["account_id"] in lacking:
            one["reason"] = "not_in_store"
    return reply


def as_of(desk: Desk, account_ids: Sequence[str], day: Any) -> dict[str, Any]:
    """The risks of these accounts on a past day, exactly as they were served."""
    desk.refuse_days_ahead(day)
    ids = list(dict.fromkeys(account_ids))
    found = desk.past.last(ids, day)
    return {
        "as_of": datetime.combine(day, datetime.min.time()).isoformat(),
        "model": None,
        "scores": [as_served(found[one]) for one in ids if one in found],
        "not_scored": [{"account_id": one, "reason": "never_scored"} for one in ids if one not in found],
    }
