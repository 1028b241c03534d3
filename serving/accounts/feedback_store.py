"""What people said: feedback on risks, marks on accounts, and what became of them. Rows are added, never changed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql

from serving.ledger.ledger import Ledger
from serving.ledger.schema import FEEDBACK, OUTCOMES
from serving.schemas.requests import FeedbackRequest, OutcomeReport

if TYPE_CHECKING:
    import pyarrow as pa

NOTICE_COLUMNS = [
    ("account_id", "string"),
    ("notified_at", "timestamp[us]"),
    ("effective_at", "timestamp[us]"),
    ("reason", "string"),
    ("voluntary", "bool"),
    ("recorded_at", "timestamp[us]"),
]


@dataclass(frozen=True)
class FeedbackStore:
    """What people said of accounts, in the ledger's database."""

    ledger: Ledger

    def save_feedback(self, said: FeedbackRequest, at: datetime) -> int:
        """Keep what was said of one risk; gives its number."""
        row = {**_storable(said.model_dump()), "received_at": at}
        with self.ledger.engine.begin() as connection:
            made = connection.execute(FEEDBACK.insert().values(row)).inserted_primary_key
        assert made is not None
        return int(made[0])

    def save_outcomes(self, reports: Sequence[OutcomeReport], at: datetime) -> None:
        """Keep what became of accounts, all of it or nothing."""
        rows = [{**_storable(one.model_dump()), "received_at": at} for one in reports]
        with self.ledger.engine.begin() as connection:
            connection.execute(OUTCOMES.insert(), rows)

    def active_marks(self, on: date, account_ids: Sequence[str] | None = None) -> dict[str, str]:
        """The mark of each account (of these, or of all) that has one on this day; the last word counts."""
        spoken = sql.or_(FEEDBACK.c.mark.is_not(None), FEEDBACK.c.unmark)
        rows = sql.select(FEEDBACK.c.account_id, FEEDBACK.c.mark, FEEDBACK.c.mark_until, FEEDBACK.c.unmark)
        if account_ids is not None:
            rows = rows.where(FEEDBACK.c.account_id.in_([one for one in account_ids if "\0" not in one]))
        found: dict[str, str] = {}
        with self.ledger.engine.connect() as connection:
            for account_id, mark, until, unmark in connection.execute(rows.where(spoken).order_by(FEEDBACK.c.id)):
                found.pop(account_id, None)
                if not unmark and (until is None or on < until):
                    found[account_id] = mark
        return found

    def notice_table(self) -> "pa.Table":
        """Who left as rows of the raw table `notices`, one per account and day, in the order of both."""
        import pyarrow as pa

        rows = sql.select(OUTCOMES).order_by(OUTCOMES.c.account_id, OUTCOMES.c.on, OUTCOMES.c.id)
        with self.ledger.engine.connect() as connection:
            told = {(row["account_id"], row["on"]): row for row in connection.execute(rows).mappings()}
        left = [_notice(row) for row in told.values() if row["outcome"] == "left"]
        return pa.Table.from_pylist(
            left, schema=pa.schema([pa.field(name, pa.type_for_alias(kind)) for name, kind in NOTICE_COLUMNS])
        )


def count_outcomes(reports: Iterable[OutcomeReport]) -> dict[str, int]:
    """How many of each kind."""
    counted: dict[str, int] = {}
    for one in reports:
        counted[one.outcome] = counted.get(one.outcome, 0) + 1
    return counted


def _notice(row: Any) -> dict[str, Any]:
    on = datetime.combine(row["on"], datetime.min.time())
    # What was told after the fact was known to us from then on only: the cut in time must not see it earlier.
    return {
        "account_id": row["account_id"],
        "notified_at": on,
        "effective_at": on,
        "reason": row["reason"] or None,
        "voluntary": row["voluntary"],
        "recorded_at": max(row["received_at"], on),
    }


def _storable(values: dict[str, Any]) -> dict[str, Any]:
    # Postgres refuses NUL in a text.
    return {name: value.replace("\0", "") if isinstance(value, str) else value for name, value in values.items()}
