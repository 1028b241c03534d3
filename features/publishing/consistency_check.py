"""The consistency check: whether the online store equals the history of the published day, value by value."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from configs.errors import DataError
from configs.settings import Settings
from configs.state_dir import StateDir
from features.own_signals.own_catalogue import open_catalogue
from features.store.feast_store import open_history_store, read_historical_signals, read_online_signals
from features.store.history import accounts_on, published_history
from features.tables.contract import ACCOUNT_ID

AS_OF = "as_of"


@dataclass(frozen=True)
class ValueDifference:
    """A value that differs between the two stores."""

    account_id: str
    signal: str
    online: object
    offline: object

    def __str__(self) -> str:
        return f"{self.signal} of account {self.account_id} is {self.online} online and {self.offline} in the history"


@dataclass(frozen=True)
class ConsistencyReport:
    """How many accounts and values of which day were compared, and the differences."""

    as_of: datetime
    accounts: int
    values: int
    differences: tuple[ValueDifference, ...]


def compare_stores(settings: Settings, state: StateDir, max_accounts: int) -> ConsistencyReport:
    """Compare both stores for accounts spread evenly over the published ones; raises NotReady if there are none."""
    history, as_of = published_history(state, open_catalogue(settings, state).signals)
    account_ids = accounts_on(history, as_of)
    sample = account_ids[:: -(-len(account_ids) // max_accounts)]
    store, names = open_history_store(state, history, settings.name), [signal.name for signal in history.signals]
    snapshots = pd.DataFrame({ACCOUNT_ID: sample, AS_OF: pd.Series(as_of, range(len(sample)))})
    offline = read_historical_signals(store, snapshots)[names]
    rows = read_online_signals(store, sample)
    online = rows.values.reindex(columns=names).assign(**{AS_OF: pd.Series(rows.as_of).astype("datetime64[us]")})
    differences = tuple(_differences(sample, online, offline.assign(**{AS_OF: as_of})))
    return ConsistencyReport(as_of, len(sample), len(sample) * len(names), differences)


def raise_for_differences(report: ConsistencyReport) -> None:
    """Raise DataError for the first value that differs, if one does."""
    if report.differences:
        first, *others = report.differences
        more = f", and {len(others)} more values differ" if others else ""
        day = f"{report.as_of:%Y-%m-%d}"
        raise DataError(f"{first}{more}.", f"Run `oarlock publish --as-of {day} --backfill-from {day}`.")


def _differences(account_ids: list[str], online: pd.DataFrame, offline: pd.DataFrame) -> Iterator[ValueDifference]:
    for name in offline.columns:
        left, right = online[name], offline[name]
        differs = ~((left.to_numpy() == right.to_numpy()) | (left.isna() & right.isna()).to_numpy())
        for row in np.flatnonzero(differs).tolist():
            yield ValueDifference(account_ids[row], name, left.iat[row], right.iat[row])
