"""Stores what people report: feedback on risks, marks on accounts, and outcomes. Rows are added, never changed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sql

from serving.ledger.database import without_nul
from serving.ledger.ledger import Ledger
from serving.ledger.schema import FEEDBACK, OUTCOMES
from serving.schemas.enums import Outcome
from serving.schemas.requests import FeedbackRequest, OutcomeReport

if TYPE_CHECKING:
    import pyarrow as pa

# Older releases took any day: what no raw table may hold is left out.
CONTRACT_DAYS = date(1970, 1, 1), date(2100, 12, 31)
NOTICE_COLUMNS = (
    ("account_id", "string"),
    ("notified_at", "timestamp[us]"),
    ("effective_at", "timestamp[us]"),
    ("reason", "string"),
    ("voluntary", "bool"),
    ("recorded_at", "timestamp[us]"),
)


@dataclass(frozen=True)
class FeedbackStore:
    """The feedback and outcomes in the ledger's database; a method works in the transaction it is given, if any."""

    ledger: Ledger

    @contextmanager
    def transaction(self, outer: sql.Connection | None = None) -> Iterator[sql.Connection]:
        """A transaction: the outer one, or one of its own that is committed when the block ends without an error."""
        if outer is not None:
            yield outer
            return
        with self.ledger.engine.begin() as connection:
            yield connection

    def save_feedback(self, feedback: FeedbackRequest, at: datetime, outer: sql.Connection | None = None) -> int:
        """Store the feedback on one risk; returns its id."""
        with self.transaction(outer) as connection:
            key = connection.execute(FEEDBACK.insert().values(_to_row(feedback, at))).inserted_primary_key
        assert key is not None
        return int(key[0])

    def save_outcomes(
        self, reports: Sequence[OutcomeReport], at: datetime, outer: sql.Connection | None = None
    ) -> None:
        """Store outcomes, all of them or none."""
        with self.transaction(outer) as connection:
            connection.execute(OUTCOMES.insert(), [_to_row(report, at) for report in reports])

    def active_marks(
        self, day: date, account_ids: Sequence[str] | None = None, outer: sql.Connection | None = None
    ) -> dict[str, str]:
        """The mark of each account (of these, or of all) that has one on a day. The newest mark or unmark counts."""
        changes = sql.select(FEEDBACK.c.account_id, FEEDBACK.c.mark, FEEDBACK.c.mark_until, FEEDBACK.c.unmark)
        changes = changes.where(sql.or_(FEEDBACK.c.mark.is_not(None), FEEDBACK.c.unmark)).order_by(FEEDBACK.c.id)
        if account_ids is not None:
            changes = changes.where(FEEDBACK.c.account_id.in_([name for name in account_ids if "\0" not in name]))
        marks: dict[str, str] = {}
        with self.transaction(outer) as connection:
            for account_id, mark, until, unmark in connection.execute(changes):
                marks.pop(account_id, None)
                if not unmark and (until is None or day < until):
                    marks[account_id] = mark
        return marks

    def newest_judgements(self, since: datetime) -> dict[str, tuple[str, date]]:
        """The newest mark or verdict on each account from an instant on, with the day of the risk that it is about.

        An account whose mark was removed last has none.
        """
        names = ("account_id", "verdict", "mark", "unmark", "as_of", "received_at")
        columns = [FEEDBACK.c[name] for name in names]
        query = sql.select(*columns).where(FEEDBACK.c.received_at >= since).order_by(FEEDBACK.c.id)
        judgements: dict[str, tuple[str, date]] = {}
        with self.ledger.engine.connect() as connection:
            for row in connection.execute(query).mappings():
                judgements.pop(row["account_id"], None)
                if not row["unmark"]:
                    day = row["as_of"] or row["received_at"].date()
                    judgements[row["account_id"]] = row["mark"] or row["verdict"], day
        return judgements

    def content_version(self) -> tuple[int, int, datetime | None]:
        """What changes with every feedback that is given or erased: how many there are, the newest id, and its time.

        SQLite gives the id of the newest row again once that row is erased.
        """
        newest = sql.func.max(FEEDBACK.c.id), sql.func.max(FEEDBACK.c.received_at)
        with self.ledger.engine.connect() as connection:
            count, newest_id, received_at = connection.execute(sql.select(sql.func.count(), *newest)).one()
        return count, newest_id or 0, received_at

    def feedback_on(self, account_id: str, before: datetime) -> list[tuple[datetime, str]]:
        """When feedback on an account was given before an instant, and its verdict or mark, oldest first."""
        if "\0" in account_id:
            return []
        columns = FEEDBACK.c.received_at, FEEDBACK.c.verdict, FEEDBACK.c.mark
        query = sql.select(*columns).where(FEEDBACK.c.account_id == account_id, FEEDBACK.c.received_at < before)
        with self.ledger.engine.connect() as connection:
            rows = connection.execute(query.order_by(FEEDBACK.c.id)).all()
        return [(at, f"feedback: {(mark or verdict).replace('_', ' ')}") for at, verdict, mark in rows]

    def notice_table(self) -> "pa.Table":
        """Departures as rows of the raw table `notices`, one per account and day, sorted by both.

        Days to come when they were reported, and days that no raw table may hold, are left out.
        """
        import pyarrow as pa

        query = sql.select(OUTCOMES).order_by(OUTCOMES.c.account_id, OUTCOMES.c.on, OUTCOMES.c.id)
        with self.ledger.engine.connect() as connection:
            rows = connection.execute(query.where(OUTCOMES.c.on.between(*CONTRACT_DAYS))).mappings()
            newest = {(row["account_id"], row["on"]): row for row in rows if row["on"] <= row["received_at"].date()}
        notices = [_to_notice(row) for row in newest.values() if row["outcome"] == "left"]
        schema = pa.schema([pa.field(name, pa.type_for_alias(alias)) for name, alias in NOTICE_COLUMNS])
        return pa.Table.from_pylist(notices, schema=schema)


def count_outcomes(reports: Iterable[OutcomeReport]) -> dict[Outcome, int]:
    """The number of reports of each outcome."""
    return dict(Counter(report.outcome for report in reports))


def _to_row(report: FeedbackRequest | OutcomeReport, at: datetime) -> dict[str, object]:
    values = {name: without_nul(value) for name, value in report.model_dump().items()}
    return {**values, "received_at": at}


def _to_notice(row: sql.RowMapping) -> dict[str, object]:
    left_on = datetime.combine(row["on"], datetime.min.time())
    return {
        "account_id": row["account_id"],
        "notified_at": left_on,
        "effective_at": left_on,
        "reason": row["reason"] or None,
        "voluntary": row["voluntary"],
        # A departure that was reported late was not known earlier: the point-in-time filter must not see it before.
        "recorded_at": max(row["received_at"], left_on),
    }
