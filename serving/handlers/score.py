"""Scores of requested accounts: computed now, the last known ones if the store is down, or those of a past day."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from configs.clock import format_instant
from configs.errors import StoreDown
from serving.handlers.checks import require_past_day
from serving.handlers.context import ServiceContext
from serving.ledger.ledger import ScoreSource
from serving.ledger.reader import LedgerEntry, served_response
from serving.load.pending_reply import PendingReply
from serving.schemas.enums import Purpose
from serving.schemas.responses import Score, ScoreResponse, UnscoredAccount
from serving.scoring.champion import LoadedModel


class ScoringRequest(NamedTuple):
    """The id of a request for risks, whether a tool makes it or a person who looks, and its reply."""

    id: str
    purpose: Purpose
    reply: PendingReply


class ComputedScores(NamedTuple):
    """A response with risks that are not recorded yet; without a champion they are the last known ones, which are."""

    response: ScoreResponse
    champion: LoadedModel | None


def score_and_record(
    context: ServiceContext, account_ids: Sequence[str], max_drivers: int | None, request: ScoringRequest
) -> ScoreResponse:
    """The risks of these accounts, computed now and recorded; raises StoreDown if the store cannot be read."""
    computed = compute_scores(context, account_ids, max_drivers)
    record_scores(context, computed, request)
    return computed.response


def compute_scores(context: ServiceContext, account_ids: Sequence[str], max_drivers: int | None) -> ComputedScores:
    """The risks of these accounts, computed now; raises StoreDown if the store cannot be read."""
    scored = context.scorer.score_accounts(list(dict.fromkeys(account_ids)))
    response = context.scorer.to_response(scored, max_drivers)
    response["not_scored"] = _find_missing_from_store(context, response["not_scored"])
    return ComputedScores(response, scored.champion)


def compute_or_last_known(
    context: ServiceContext, account_ids: Sequence[str], max_drivers: int | None
) -> ComputedScores:
    """The risks of these accounts, or their last known risks if the store is down.

    Raises StoreDown if none of them has one.
    """
    try:
        return compute_scores(context, account_ids, max_drivers)
    except StoreDown as error:
        return ComputedScores(last_known_risks(context, account_ids, error), None)


def record_scores(context: ServiceContext, computed: ComputedScores, request: ScoringRequest) -> None:
    """Record computed risks. It comes last: a response that fails after it would be in the ledger as given.

    Raises ReplyAbandoned, and records nothing, if nobody waits for the response.
    """
    if computed.champion:
        record_risks(context, computed.champion, computed.response["scores"], request)


def record_risks(
    context: ServiceContext, champion: LoadedModel, scores: Sequence[Score], request: ScoringRequest
) -> ScoreSource:
    """Record risks of a champion that are about to be returned; raises ReplyAbandoned if nobody waits for them.

    Returns what the ledger holds of all of them.
    """
    request.reply.commit()
    return context.scorer.append_to_ledger(champion, scores, request.id, purpose=request.purpose)


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


def last_known_risks(context: ServiceContext, account_ids: Sequence[str], error: StoreDown) -> ScoreResponse:
    """The last known risks of these accounts; raises `error`, why none can be computed, if there are none."""
    ids = list(dict.fromkeys(account_ids))
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
