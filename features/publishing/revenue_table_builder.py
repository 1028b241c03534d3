"""Builds the revenue table: the recurring revenue of every account at the start of each month, as known on a day."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np
import pandas as pd

from features.retention.periods import MONTHS_KEPT, month_starts, months_before, quarters_before
from features.retention.terms import next_term_ends
from features.store.revenue_table import INSTANT, UNKNOWN, RevenueHistory
from features.tables.contract import ACCOUNT_ID
from features.tables.point_in_time import CONTINUES, filter_as_of
from features.tables.raw_table import RawTable

ATTRIBUTES = ("segment", "owner", "channel", "industry")
NOTICE_COLUMNS = ("notified_at", "effective_at", "reason", "voluntary")
FIRST_VALUE = "first_value"


def build_revenue_history(
    tables: Mapping[str, RawTable], as_of: datetime, observed_from: datetime | None, shortest_term_months: float
) -> RevenueHistory | None:
    """The history of every account that had a subscription before the day; None if the data set has no subscriptions.

    No instant is before `observed_from`: what is known of the time before is only what outlived it. The end of a term
    that is shorter than `shortest_term_months` is not kept: such terms are renewed all the time.
    """
    if "subscriptions" not in tables:
        return None
    subscriptions = _read(tables, "subscriptions", as_of)
    ids, codes = np.unique(subscriptions[ACCOUNT_ID].to_numpy(object), return_inverse=True)
    first = observed_from or subscriptions.started_at.min()
    instants, origins = (_from(first, days) for days in (_instants(as_of), quarters_before(as_of)))
    periods = _Periods.read(subscriptions, codes, shortest_term_months)
    value_at = _first_value(tables, as_of).reindex(ids).to_numpy(INSTANT)
    notices = _last_notices(tables, as_of).reindex(ids)
    started = pd.Series(subscriptions.started_at.to_numpy(INSTANT)).groupby(codes).min()
    return RevenueHistory(
        as_of=as_of,
        instants=instants,
        account_ids=ids,
        cents=_columns([periods.cents_at(instant, len(ids)) for instant in instants], len(ids)),
        first_started=started.to_numpy(INSTANT),
        notified_at=notices.notified_at.to_numpy(INSTANT),
        effective_at=notices.effective_at.to_numpy(INSTANT),
        reasons=_texts(notices.reason),
        voluntary=notices.voluntary.map({True: 1, False: 0}).fillna(UNKNOWN).to_numpy(np.int8),
        attributes=_attributes(tables, as_of, ids),
        has_notices="notices" in tables,
        origins=origins,
        term_ends=_columns([periods.known_by(origin).term_ends(origin, len(ids)) for origin in origins], len(ids)),
        due_cents=_columns([periods.known_by(origin).cents_at(origin, len(ids)) for origin in origins], len(ids)),
        first_value_at=value_at,
        value_term_ends_at=periods.term_ends(value_at, len(ids)),
        has_milestones="milestones" in tables,
    )


@dataclass(frozen=True)
class _Periods:
    """The rows of subscriptions as arrays; `codes` are the rows of their accounts. Ends of short terms are NaT."""

    codes: np.ndarray
    started: np.ndarray
    ended: np.ndarray
    continues: np.ndarray
    cents: np.ndarray
    term_end: np.ndarray
    term_months: np.ndarray
    recorded: np.ndarray

    @classmethod
    def read(cls, rows: pd.DataFrame, codes: np.ndarray, shortest_term_months: float) -> "_Periods":
        months = rows.term_months.to_numpy("float64")
        ends = rows.renews_at.to_numpy("datetime64[us]")
        return cls(
            codes=codes,
            started=rows.started_at.to_numpy("datetime64[us]"),
            ended=rows.ended_at.to_numpy("datetime64[us]"),
            continues=rows[CONTINUES].to_numpy(bool) if CONTINUES in rows else np.zeros(len(codes), bool),
            cents=np.rint(rows.mrr.fillna(0).to_numpy("float64") * 100),
            term_end=np.where(months >= shortest_term_months, ends, np.datetime64("NaT")),
            term_months=months,
            recorded=rows.recorded_at.to_numpy("datetime64[us]"),
        )

    def take(self, rows: np.ndarray) -> "_Periods":
        return _Periods(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    def known_by(self, origin: datetime) -> "_Periods":
        """The rows that were known just before an instant."""
        return self.take(~(self.recorded >= np.datetime64(origin)))

    def is_running(self, instant: np.datetime64 | np.ndarray) -> np.ndarray:
        """Whether each row runs at an instant, or at one each: one that starts there does not, as for signals."""
        has_ended = (self.ended < instant) | ((self.ended == instant) & ~self.continues)
        return (self.started < instant) & ~has_ended

    def cents_at(self, instant: datetime, accounts: int) -> np.ndarray:
        """The revenue of each account at an instant."""
        running = self.take(self.is_running(np.datetime64(instant)))
        return np.bincount(running.codes, running.cents, accounts).astype(np.int64)

    def term_ends(self, instant: datetime | np.ndarray, accounts: int) -> np.ndarray:
        """The end of the term that runs at an instant, or at one of each account: the first to come of its rows."""
        instants = np.broadcast_to(np.asarray(instant, INSTANT), accounts)[self.codes]
        rows = self.is_running(instants) & ~np.isnat(self.term_end)
        running = self.take(rows)
        ends = next_term_ends(
            running.term_end.astype(INSTANT), running.started.astype(INSTANT), running.term_months, instants[rows]
        )
        first = pd.Series(ends).groupby(running.codes).min()
        return first.reindex(range(accounts)).to_numpy(INSTANT)


def _instants(as_of: datetime) -> list[datetime]:
    return sorted({*month_starts(as_of, MONTHS_KEPT), *months_before(as_of), *quarters_before(as_of), as_of})


def _from(first: datetime, instants: list[datetime]) -> tuple[datetime, ...]:
    return tuple(instant for instant in instants if pd.isna(first) or instant >= first)


def _columns(columns: list[np.ndarray], accounts: int) -> np.ndarray:
    return np.column_stack(columns) if columns else np.empty((accounts, 0), np.int64)


def _first_value(tables: Mapping[str, RawTable], as_of: datetime) -> pd.Series:
    """When each account reached its first value."""
    if "milestones" not in tables:
        return pd.Series([], dtype=INSTANT)
    milestones = _read(tables, "milestones", as_of)
    reached = milestones[(milestones.milestone == FIRST_VALUE) & milestones.reached_at.notna()]
    return reached.groupby(ACCOUNT_ID).reached_at.min()


def _last_notices(tables: Mapping[str, RawTable], as_of: datetime) -> pd.DataFrame:
    if "notices" not in tables:
        empty: dict[str, list[object]] = {name: [] for name in NOTICE_COLUMNS}
        return pd.DataFrame(empty, index=pd.Index([], dtype=object)).astype(
            {"notified_at": INSTANT, "effective_at": INSTANT}
        )
    notices = _read(tables, "notices", as_of).sort_values("notified_at", kind="stable")
    return notices.drop_duplicates(ACCOUNT_ID, keep="last").set_index(ACCOUNT_ID)[list(NOTICE_COLUMNS)]


def _attributes(tables: Mapping[str, RawTable], as_of: datetime, ids: np.ndarray) -> dict[str, np.ndarray]:
    accounts = _read(tables, "accounts", as_of).drop_duplicates(ACCOUNT_ID).set_index(ACCOUNT_ID).reindex(ids)
    present = [name for name in ATTRIBUTES if name in tables["accounts"].source_columns]
    return {name: _texts(accounts[name]) for name in present}


def _texts(column: pd.Series) -> np.ndarray:
    return np.array([None if pd.isna(text) else text for text in column], dtype=object)


def _read(tables: Mapping[str, RawTable], name: str, as_of: datetime) -> pd.DataFrame:
    return filter_as_of(tables[name].rows, tables[name].contract, as_of).to_pandas()
