"""Hearing: what people say of accounts is kept, and told back as it was understood."""

from typing import Any

from serving.accounts.feedback_store import count_outcomes
from serving.handlers.context import ServiceContext
from serving.schemas.requests import FeedbackRequest, OutcomesRequest


def save_feedback(desk: ServiceContext, said: FeedbackRequest) -> dict[str, Any]:
    """Keep what was said of one risk. Raises RequestError (404) for nobody's id."""
    desk.require_account(said.account_id)
    at = desk.now()
    return {
        "id": desk.feedback.keep_feedback(said, at),
        "account_id": said.account_id,
        "verdict": said.verdict,
        "mark": desk.marks([said.account_id]).get(said.account_id),
        "received_at": at.isoformat(),
    }


def save_outcomes(desk: ServiceContext, said: OutcomesRequest) -> dict[str, Any]:
    """Keep what became of accounts."""
    at = desk.now()
    desk.feedback.keep_outcomes(said.outcomes, at)
    return {"kept": len(said.outcomes), "by_outcome": count_outcomes(said.outcomes), "received_at": at.isoformat()}
