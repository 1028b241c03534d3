"""Reference values: some signals computed in plain Python, one account and one row at a time.

Nothing is shared with the product except the names of signals, tables and columns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

Row = dict[str, Any]
EVENT_TIMES = {
    "accounts": "created_at",
    "subscriptions": "started_at",
    "usage": "occurred_at",
    "tickets": "opened_at",
    "invoices": "issued_at",
    "surveys": "sent_at",
    "touches": "at",
    "contacts": "joined_at",
}
KNOWN_TIMES = {
    "subscriptions": {"ended_at": "ended_at"},
    "tickets": {"first_response_at": "first_response_at", "resolved_at": "resolved_at"},
    "invoices": {"paid_at": "paid_at"},
    "surveys": {"answered_at": "answered_at", "score": "answered_at"},
    "contacts": {"left_at": "left_at"},
    "milestones": {"reached_at": "reached_at"},
}
CLOSING = {"ended_at"}  # a period does not contain its end


@dataclass(frozen=True)
class Snapshot:
    """An account at an instant, with all rows of the company."""

    company: dict[str, list[Row]]
    account: str
    as_of: datetime

    def __getitem__(self, table: str) -> Iterator[Row]:
        """The account's rows of a table as they were known just before `as_of`."""
        for row in self.company[table]:
            is_recorded_later = row["recorded_at"] is not None and row["recorded_at"] >= self.as_of
            is_later = table in EVENT_TIMES and row[EVENT_TIMES[table]] >= self.as_of
            if row["account_id"] == self.account and not is_recorded_later and not is_later:
                yield {name: self._visible_value(table, row, name) for name in row}

    def _visible_value(self, table: str, row: Row, name: str) -> Any:
        if name not in KNOWN_TIMES.get(table, {}):
            return row[name]
        known_at = row[KNOWN_TIMES[table][name]]
        is_known = known_at is not None and (known_at < self.as_of or (known_at == self.as_of and name in CLOSING))
        return row[name] if is_known else None

    def age(self, instant: datetime) -> float:
        """Days from an instant to `as_of`."""
        return (self.as_of - instant) / timedelta(days=1)

    def within(self, instant: datetime | None, days: int) -> bool:
        """Whether an instant lies in the last `days` days."""
        return instant is not None and self.age(instant) <= days


def snapshots(company: dict[str, list[Row]], as_of: datetime) -> list[Snapshot]:
    """Each account with a subscription that runs at `as_of`."""
    accounts = sorted({row["account_id"] for row in company["subscriptions"]})
    candidates = [Snapshot(company, account, as_of) for account in accounts]
    return [snapshot for snapshot in candidates if any(row["ended_at"] is None for row in snapshot["subscriptions"])]


def _is_event(row: Row) -> bool:
    return row["event"] != "active_users" and row["quantity"] != 0


def _events(snapshot: Snapshot, newest: int, oldest: int) -> float:
    total = 0.0
    for row in snapshot["usage"]:
        if row["event"] != "active_users" and newest < snapshot.age(row["occurred_at"]) <= oldest:
            total += 1 if row["quantity"] is None else row["quantity"]
    return total


def events_28d(snapshot: Snapshot) -> float:
    return _events(snapshot, newest=-1, oldest=28)


def events_trend_28d(snapshot: Snapshot) -> float | None:
    before = _events(snapshot, newest=28, oldest=56)
    return _events(snapshot, newest=-1, oldest=28) / before if before else None


def lost_users_28d(snapshot: Snapshot) -> float:
    events = [row for row in snapshot["usage"] if row["user_id"] and _is_event(row)]
    half_a_year = {row["user_id"] for row in events if snapshot.within(row["occurred_at"], 182)}
    return len(half_a_year - {row["user_id"] for row in events if snapshot.within(row["occurred_at"], 28)})


def longest_usage_gap_91d(snapshot: Snapshot) -> float | None:
    latest: dict[date, datetime] = {}
    for row in snapshot["usage"]:
        if _is_event(row) and snapshot.within(row["occurred_at"], 182):
            day = row["occurred_at"].date()
            latest[day] = max(latest.get(day, row["occurred_at"]), row["occurred_at"])
    ages = [snapshot.age(latest[day]) for day in sorted(latest)]
    gaps = [before - after for before, after in pairwise(ages) if after <= 91]
    return max([*gaps, ages[-1]]) if ages else None


def long_pause_share_91d(snapshot: Snapshot) -> float | None:
    """Counted day by day: was there a day with usage among the 91 that followed?"""
    today = snapshot.as_of.date()
    events = (row for row in snapshot["usage"] if _is_event(row) and snapshot.within(row["occurred_at"], 728))
    active = {(today - row["occurred_at"].date()).days for row in events}
    past = range(92, max(active, default=0) + 1)
    followed = sum(1 for day in past if not any(day - 91 <= later < day for later in active))
    return followed / len(past) if past else None


def mrr_change_182d(snapshot: Snapshot) -> float | None:
    current = earlier = 0.0
    half_a_year_ago = snapshot.as_of - timedelta(days=182)
    for row in snapshot["subscriptions"]:
        current += row["mrr"] if row["ended_at"] is None else 0
        was_running = row["started_at"] <= half_a_year_ago and (
            row["ended_at"] is None or row["ended_at"] > half_a_year_ago
        )
        earlier += row["mrr"] if was_running else 0
    return current / earlier if earlier else None


def downsells_364d(snapshot: Snapshot) -> float:
    steps: dict[date, list[tuple[datetime, float]]] = {}
    for row in snapshot["subscriptions"]:
        steps.setdefault(row["started_at"].date(), []).append((row["started_at"], row["mrr"]))
        if row["ended_at"] is not None:
            steps.setdefault(row["ended_at"].date(), []).append((row["ended_at"], -row["mrr"]))
    first = min(steps)
    down = [day for day, step in steps.items() if day != first and round(sum(money for _, money in step), 2) < 0]
    return sum(1 for day in down if snapshot.within(max(at for at, _ in steps[day]), 364))


def first_response_hours_91d(snapshot: Snapshot) -> float | None:
    tickets = [row for row in snapshot["tickets"] if snapshot.within(row["opened_at"], 91) and row["first_response_at"]]
    hours = [(row["first_response_at"] - row["opened_at"]) / timedelta(hours=1) for row in tickets]
    return sum(hours) / len(hours) if hours else None


def ticket_backlog_growth_28d(snapshot: Snapshot) -> float:
    growth = 0
    for row in snapshot["tickets"]:
        growth += snapshot.within(row["opened_at"], 28)
        growth -= snapshot.within(row["resolved_at"], 28)
    return growth


def contacts_left_share_182d(snapshot: Snapshot) -> float | None:
    total = left_contacts = 0
    for row in snapshot["contacts"]:
        if snapshot.age(row["joined_at"]) > 182 and (row["left_at"] is None or snapshot.within(row["left_at"], 182)):
            total += 1
            left_contacts += row["left_at"] is not None
    return left_contacts / total if total else None


def last_nps(snapshot: Snapshot) -> float | None:
    answers = [
        row for row in snapshot["surveys"] if row["kind"] == "nps" and None not in (row["answered_at"], row["score"])
    ]
    answers.sort(key=lambda row: (row["answered_at"], row["score"]))
    return answers[-1]["score"] if answers else None


def late_payment_share_364d(snapshot: Snapshot) -> float | None:
    due_invoices = late_invoices = 0
    for row in snapshot["invoices"]:
        is_credit_note = row["amount"] is not None and row["amount"] <= 0
        if not is_credit_note and row["due_at"] is not None and 1 < snapshot.age(row["due_at"]) <= 364:
            due_invoices += 1
            late_invoices += row["paid_at"] is None or row["paid_at"] > row["due_at"] + timedelta(days=1)
    return late_invoices / due_invoices if due_invoices else None


def consecutive_unanswered_touches(snapshot: Snapshot) -> float:
    settled = [row for row in snapshot["touches"] if snapshot.age(row["at"]) > 14 and row["responded"] is not None]
    settled.sort(key=lambda row: (row["at"], row["responded"]))
    run = 0
    while settled and not settled[-1]["responded"]:
        settled.pop()
        run += 1
    return run


def average_touch_gap_364d(snapshot: Snapshot) -> float | None:
    touches = sorted(row["at"] for row in snapshot["touches"] if snapshot.within(row["at"], 364))
    gaps = [(later - earlier) / timedelta(days=1) for earlier, later in pairwise(touches)]
    return sum(gaps) / len(gaps) if gaps else None


def onboarding_stalled_days(snapshot: Snapshot) -> float | None:
    overdue, reached = False, []
    for row in snapshot["milestones"]:
        if row["reached_at"] is not None:
            reached.append(row["reached_at"])
        elif row["due_at"] is not None and row["due_at"] < snapshot.as_of:
            overdue = True
    if not overdue:
        return 0
    started = [row["created_at"] for row in snapshot["accounts"]]
    last_instant = max(reached) if reached else max(started, default=None)
    return None if last_instant is None else snapshot.age(last_instant)


REFERENCE: dict[str, Callable[[Snapshot], float | None]] = {
    formula.__name__: formula
    for formula in (
        events_28d,
        events_trend_28d,
        lost_users_28d,
        longest_usage_gap_91d,
        long_pause_share_91d,
        mrr_change_182d,
        downsells_364d,
        first_response_hours_91d,
        ticket_backlog_growth_28d,
        contacts_left_share_182d,
        last_nps,
        late_payment_share_364d,
        consecutive_unanswered_touches,
        average_touch_gap_364d,
        onboarding_stalled_days,
    )
}
