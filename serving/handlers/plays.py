"""The play for a scored account, from what the context knows about the account."""

from collections.abc import Mapping, Sequence

from features.store.account_table import AccountDetails
from serving.accounts.playbook import ContactLimits, suggest_play
from serving.handlers.context import ServiceContext
from serving.schemas.responses import Score, SuggestedPlay


def active_marks(context: ServiceContext, account_ids: Sequence[str] | None = None) -> Mapping[str, str]:
    """The marks that hold today, of these accounts or of all."""
    return context.feedback.active_marks(context.today(), account_ids)


def suggest_play_for(
    context: ServiceContext, score: Score, details: AccountDetails | None, mark: str | None
) -> SuggestedPlay | None:
    """The play for the driver that raises a risk most; None if nothing raises it."""
    limits = ContactLimits(context.settings.work_list.touched_within_days, mark)
    return suggest_play(context.playbook, score, details or AccountDetails(score["account_id"]), limits)
