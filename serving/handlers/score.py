"""Scores of requested accounts: computed now, the last known ones if the store is down, or those of a past day."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from configs.clock import format_instant
from configs.errors import StoreDown
from serving.handlers.checks import require_past_day
from serving.handlers.context import ServiceContext
from serving.ledger.reader import LedgerEntry, served_response
from serving.schemas.enums import Purpose
from serving.schemas.responses import Score, ScoreResponse, UnscoredAccount


class ScoringRequest(NamedTuple):
    """The id of a request for risks, and whether a tool makes it or a person who looks."""

    id: str
    purpose: Purpose


def score_or_last_known(
    context: ServiceContext, account_ids: Sequence[str], max_drivers: int | None, request: ScoringRequest
) -> ScoreResponse:
    """The risks of these accounts, or their last known risks if the store is down.

    Raises StoreDown if none of them has one.
    """
    ids = list(dict.fromkeys(account_ids))
    try:
        scored = context.scorer.score_accounts(ids)
    except StoreDown as error:
        return _last_known_risks(context, ids, error)
    response = context.scorer.score_and_record(scored, max_drivers, request.id, purpose=request.purpose)
    response["not_scored"] = _find_missing_from_store(context, response["not_scored"])
    return response


def score_as_of(context: ServiceContext, account_ids: Sequence[str], day: date) -> ScoreResponse:
    """The risks of these accounts on a past day, exactly as they were served."""
    require_past_day(context, day)
    ids = list(dict.fromkeys(account_ids))
    entries = context.ledger_reader.served_by(ids, day)
    return {
        "as_of": format_instant(datetime.combine(day, datetime.min.time())),
        "model": None,
        "scores": [served_response(entries[account_id]) for account_id in ids if account_id in entries],
        "not_scored": _never_scored(ids, entries),
    }


def _last_known_risks(context: ServiceContext, ids: list[str], error: StoreDown) -> ScoreResponse:
    entries, now = context.ledger_reader.last_known(ids), context.clock()
    if not entries:
        raise error
    scores = [_degraded_score(entries[account_id], error.message, now) for account_id in ids if account_id in entries]
    return {
        "as_of": max(score["signals_as_of"] for score in scores),
        "model": None,
        "scores": scores,
        "not_scored": _never_scored(ids, entries),
    }


def _degraded_score(entry: LedgerEntry, rationale: str, now: datetime) -> Score:
    age_days = round(max((now - entry.scored_at) / timedelta(days=1), 0.0), 3)
    return {
        **served_response(entry),
        "status": "degraded",
        "degraded": {"rationale": rationale, "age_days": age_days},
    }


def _never_scored(ids: Sequence[str], entries: dict[str, LedgerEntry]) -> list[UnscoredAccount]:
    return [{"account_id": account_id, "reason": "never_scored"} for account_id in ids if account_id not in entries]


def _find_missing_from_store(context: ServiceContext, unscored: list[UnscoredAccount]) -> list[UnscoredAccount]:
    """An account in the account table is not unknown if it has no signals: the store lacks it."""
    unknown = [account["account_id"] for account in unscored if account["reason"] == "unknown_account"]
    if not unknown:
        return unscored
    published = context.account_table.details(unknown)
    return [
        {"account_id": account["account_id"], "reason": "not_in_store"}
        if account["account_id"] in published and account["reason"] == "unknown_account"
        else account
        for account in unscored
    ]
