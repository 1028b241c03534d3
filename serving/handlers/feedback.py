"""Saves feedback and outcomes that people report, and returns what was understood.

The response is kept for the request's idempotency key in the transaction that saves the report: if a process is killed
in between, neither is there, so that a client that sends the request again has its report counted once.
"""

from configs.clock import format_instant
from serving.accounts.feedback_store import count_outcomes
from serving.handlers.checks import require_account, require_known_accounts, require_past_day
from serving.handlers.context import ServiceContext
from serving.load.pending_reply import PendingReply
from serving.schemas.requests import FeedbackRequest, OutcomesRequest
from serving.schemas.responses import FeedbackResponse, OutcomesResponse


def save_feedback(context: ServiceContext, feedback: FeedbackRequest, reply: PendingReply) -> FeedbackResponse:
    """Save feedback on one risk. Raises RequestError (404) for an account that does not exist."""
    require_account(context, feedback.account_id)
    account_id, received_at = feedback.account_id, context.clock()
    reply.commit()
    with context.feedback.transaction() as connection:
        feedback_id = context.feedback.save_feedback(feedback, received_at, connection)
        response: FeedbackResponse = {
            "id": feedback_id,
            "account_id": account_id,
            "verdict": feedback.verdict,
            "mark": context.feedback.active_marks(context.today(), [account_id], connection).get(account_id),
            "received_at": format_instant(received_at),
        }
        reply.keep(connection, response)
    return response


def save_outcomes(context: ServiceContext, reported: OutcomesRequest, reply: PendingReply) -> OutcomesResponse:
    """Save what happened to accounts; raises RequestError (422) for an unknown account or a day to come."""
    for report in reported.outcomes:
        require_past_day(context, report.on)
    require_known_accounts(context, [report.account_id for report in reported.outcomes])
    received_at = context.clock()
    reply.commit()
    response: OutcomesResponse = {
        "accepted": len(reported.outcomes),
        "by_outcome": count_outcomes(reported.outcomes),
        "received_at": format_instant(received_at),
    }
    with context.feedback.transaction() as connection:
        context.feedback.save_outcomes(reported.outcomes, received_at, connection)
        reply.keep(connection, response)
    return response
