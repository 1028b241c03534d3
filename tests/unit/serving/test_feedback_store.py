"""Feedback: what is kept of it is made again after every feedback that is given or erased."""

from datetime import datetime
from pathlib import Path

from serving.accounts.feedback_store import FeedbackStore
from serving.ledger.ledger import Ledger
from serving.ledger.schema import FEEDBACK
from serving.schemas.requests import FeedbackRequest


def test_feedback_that_takes_the_id_of_an_erased_one_is_another_content(tmp_path: Path):
    store = FeedbackStore(Ledger(tmp_path / "ledger.db"))
    before = give(store, "a", datetime(2026, 7, 1))
    with store.ledger.engine.begin() as connection:
        connection.execute(FEEDBACK.delete().where(FEEDBACK.c.account_id == "a"))
    assert store.content_version() != before
    assert give(store, "b", datetime(2026, 7, 2)) != before


def give(store: FeedbackStore, account_id: str, at: datetime) -> tuple[int, int, datetime | None]:
    """Save feedback on an account; returns the version of the content then."""
    store.save_feedback(FeedbackRequest.model_validate({"account_id": account_id, "verdict": "wrong"}), at)
    return store.content_version()
