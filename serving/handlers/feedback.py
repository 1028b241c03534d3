"""Saves feedback and outcomes that people report, and returns what was understood."""

from configs.clock import format_instant
from serving.accounts.feedback_store import count_outcomes
from serving.handlers.checks import require_account, require_known_accounts, require_past_day
from serving.handlers.context import ServiceContext
from serving.handlers.plays import active_marks
from serving.load.pending_reply import PendingReply
from serving.schemas.requests import FeedbackRequest, OutcomesRequest
from serving.schemas.responses import FeedbackResponse, OutcomesResponse


def save_feedback(context: ServiceContext, feedback: FeedbackRequest, reply: PendingReply) -> FeedbackResponse:
    """Save feedback on one risk. Raises RequestError (404) for an account that does not exist."""
    require_account(context, feedback.account_id)
    received_at = context.clock()
    reply.commit()
    return {
        "id": context.feedback.save_feedback(feedback, received_at),
        "account_id": feedback.account_id,
        "verdict": feedback.verdict,
        "mark": active_marks(context, [feedback.account_id]).get(feedback.account_id),
        "received_at": format_instant(received_at),
    }


def save_outcomes(context: ServiceContext, reported: OutcomesRequest, reply: PendingReply) -> OutcomesResponse:
    """Save what happened to accounts; raises RequestError (422) for an unknown account or a day to come."""
    for report in reported.outcomes:
        require_past_day(context, report.on)
    require_known_accounts(context, [report.account_id for report in reported.outcomes])
    received_at = context.clock()
    reply.commit()
    context.feedback.save_outcomes(reported.outcomes, received_at)
    return {
        "accepted": len(reported.outcomes),
        "by_outcome": count_outcomes(reported.outcomes),
        "received_at": format_instant(received_at),
    }
