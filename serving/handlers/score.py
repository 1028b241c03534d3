"""The last known risk: what is answered where the store of signals is down, marked so and with its age."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from configs.errors import StoreDown
from serving.handlers.context import ServiceContext
from serving.ledger.reader import Given, as_served


def score_or_last_known(
    desk: ServiceContext, account_ids: Sequence[str], most_drivers: int | None, request_id: str
) -> dict[str, Any]:
    """The risks of these accounts, or where the store is down the last ones they were given.

    Raises StoreDown where none of them was ever given one.
    """
    ids = list(dict.fromkeys(account_ids))
    try:
        reply = desk.scorer.score(ids, most_drivers, request_id)
    except StoreDown as problem:
        return _last_known_risks(desk, ids, problem)
    return _mark_missing_from_store(desk, reply)


def _last_known_risks(desk: ServiceContext, ids: list[str], problem: StoreDown) -> dict[str, Any]:
    found, now = desk.ledger_reader.last(ids), desk.now()
    if not found:
        raise problem
    scores = [_degraded_score(found[one], problem.message, now) for one in ids if one in found]
    return {
        "as_of": max(one["signals_as_of"] for one in scores),
        "model": None,
        "scores": scores,
        "not_scored": [{"account_id": one, "reason": "never_scored"} for one in ids if one not in found],
    }


def _degraded_score(one: Given, because: str, now: datetime) -> dict[str, Any]:
    age = max((now - one.given_at) / timedelta(days=1), 0.0)
    return {**as_served(one), "status": "degraded", "degraded": {"because": because, "age_days": round(age, 3)}}


def _mark_missing_from_store(desk: ServiceContext, reply: dict[str, Any]) -> dict[str, Any]:
    """An account that is at risk by its facts and not in the store is not unknown: the store lacks it."""
    unknown = [one["account_id"] for one in reply["not_scored"] if one["reason"] == "unknown_account"]
    lacking = desk.account_table.fetch(unknown) if unknown else {}
    for one in reply["not_scored"]:
        if one["account_id"] in lacking:
            one["reason"] = "not_in_store"
    return reply


def score_as_of(desk: ServiceContext, account_ids: Sequence[str], day: Any) -> dict[str, Any]:
    """The risks of these accounts on a past day, exactly as they were served."""
    desk.require_past_day(day)
    ids = list(dict.fromkeys(account_ids))
    found = desk.ledger_reader.last(ids, day)
    return {
        "as_of": datetime.combine(day, datetime.min.time()).isoformat(),
        "model": None,
        "scores": [as_served(found[one]) for one in ids if one in found],
        "not_scored": [{"account_id": one, "reason": "never_scored"} for one in ids if one not in found],
    }
