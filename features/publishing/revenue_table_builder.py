"""Builds the revenue table: the recurring revenue of every account at the start of each month, as known on a day."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pandas as pd

from features.retention.periods import MONTHS_KEPT, month_starts, months_before
from features.store.revenue_table import INSTANT, UNKNOWN, RevenueHistory
from features.tables.contract import ACCOUNT_ID
from features.tables.point_in_time import CONTINUES, filter_as_of
from features.tables.raw_table import RawTable

ATTRIBUTES = ("segment", "owner", "channel", "industry")
NOTICE_COLUMNS = ("notified_at", "effective_at", "reason", "voluntary")


def build_revenue_history(
    tables: Mapping[str, RawTable], as_of: datetime, observed_from: datetime | None
) -> RevenueHistory | None:
    """The history of every account that had a subscription before the day; None if the data set has no subscriptions.

    No instant is before `observed_from`: what is known of the time before is only what outlived it.
    """
    if "subscriptions" not in tables:
        return None
    subscriptions = _read(tables, "subscriptions", as_of)
    ids, codes = np.unique(subscriptions[ACCOUNT_ID].to_numpy(object), return_inverse=True)
    first = observed_from or subscriptions.started_at.min()
    instants = tuple(instant for instant in _instants(as_of) if pd.isna(first) or instant >= first)
    notices = _last_notices(tables, as_of).reindex(ids)
    started = pd.Series(subscriptions.started_at.to_numpy(INSTANT)).groupby(codes).min()
    return RevenueHistory(
        as_of=as_of,
        instants=instants,
        account_ids=ids,
        cents=_running_cents(subscriptions, codes, instants, len(ids)),
        first_started=started.to_numpy(INSTANT),
        notified_at=notices.notified_at.to_numpy(INSTANT),
        effective_at=notices.effective_at.to_numpy(INSTANT),
        reasons=_texts(notices.reason),
        voluntary=notices.voluntary.map({True: 1, False: 0}).fillna(UNKNOWN).to_numpy(np.int8),
        attributes=_attributes(tables, as_of, ids),
        has_notices="notices" in tables,
    )


def _instants(as_of: datetime) -> list[datetime]:
    return sorted({*month_starts(as_of, MONTHS_KEPT), *months_before(as_of), as_of})


def _running_cents(
    subscriptions: pd.DataFrame, codes: np.ndarray, instants: tuple[datetime, ...], accounts: int
) -> np.ndarray:
    """The revenue of the subscriptions that run at each instant: one that starts there does not, as for signals."""
    started, ended = (subscriptions[name].to_numpy("datetime64[us]") for name in ("started_at", "ended_at"))
    continues = subscriptions[CONTINUES].to_numpy(bool) if CONTINUES in subscriptions else np.zeros(len(codes), bool)
    cents = np.rint(subscriptions.mrr.fillna(0).to_numpy("float64") * 100)
    columns = []
    for instant in map(np.datetime64, instants):
        is_running = (started < instant) & ~((ended < instant) | ((ended == instant) & ~continues))
        columns.append(np.bincount(codes[is_running], cents[is_running], accounts))
    return np.column_stack(columns).astype(np.int64) if columns else np.empty((accounts, 0), np.int64)


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
