"""Served values: whether the online store holds what the history holds of the published day, value by value."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from configs.files import exclusive_lock
from configs.state_dir import StateDir
from features.online.online_store import open_online_reader
from features.store.history import HistoryFolder, published_day
from features.store.history_reader import read_history_frame
from features.store.online_reader import OnlineSignals
from monitoring.verdicts.verdict import ONLINE_STORE, SourceFault

MAX_ACCOUNTS = 200
Published = tuple[HistoryFolder, datetime]  # a history, and the day of it that is online


@dataclass(frozen=True)
class ServedValues:
    """How many accounts and values of a day were compared, how many differ, one of them, and the age of the oldest."""

    as_of: datetime
    accounts: int
    values: int
    differing: int
    example: str
    oldest: datetime
    age_days: float


def check_served_values(state: StateDir, published: Published, now: datetime) -> ServedValues:
    """Compare what is served with what was published when a run began.

    A publish since then changes what is served: so values that differ are compared again with what is published now,
    while nothing else is. Raises Busy if another process is publishing.
    """
    served = compare_served_values(state, *published, now)
    if not served.differing:
        return served
    with exclusive_lock(state.publish_lock, "publishing into"):
        return compare_served_values(state, *published_day(state), now)


def compare_served_values(state: StateDir, history: HistoryFolder, as_of: datetime, now: datetime) -> ServedValues:
    """Compare what is served of accounts spread evenly over the published ones with the history of the same day.

    All values of an account whose served values are of another day differ.
    """
    frame = read_history_frame(history.folder, as_of)
    sample = frame.iloc[:: -(-max(len(frame), 1) // MAX_ACCOUNTS)]
    online = open_online_reader(state).read([str(account) for account in sample.index])
    differs = _find_differences(sample, online) | (online.as_of != np.datetime64(as_of))[:, np.newaxis]
    rows, columns = np.nonzero(differs.to_numpy())
    example = f"{sample.columns[columns[0]]} of account {sample.index[rows[0]]}" if len(rows) else ""
    oldest = _oldest(online, as_of)
    age_days = (now - oldest) / timedelta(days=1)
    return ServedValues(as_of, len(sample), differs.size, len(rows), example, oldest, age_days)


def describe_served(served: ServedValues) -> str:
    """How many served values were compared with the history, how many differ, and of which day they are."""
    compared = f"{served.values:,} values of {served.accounts} accounts compared with the history"
    return f"{compared}, {served.differing} differ; the oldest is of {served.oldest:%Y-%m-%d}"


def served_fault(served: ServedValues) -> tuple[SourceFault, ...]:
    """The fault of the online store, if a value differs."""
    if not served.differing:
        return ()
    text = f"{ONLINE_STORE}: {served.differing:,} of {served.values:,} values differ from the history"
    return (SourceFault(ONLINE_STORE, served.as_of, f"{text}, such as {served.example}"),)


def _oldest(online: OnlineSignals, as_of: datetime) -> datetime:
    days = online.as_of[~np.isnat(online.as_of)]
    return pd.Timestamp(days.min()).to_pydatetime() if len(days) else as_of


def _find_differences(sample: pd.DataFrame, online: OnlineSignals) -> pd.DataFrame:
    """Whether each value differs, in the rows and columns of the sample; a signal that is not served differs."""
    values, index = online.values, online.values.columns
    differs = pd.DataFrame(True, sample.index, sample.columns)
    numbers = [name for name in sample.columns if name in index.numbers]
    online_values = values.numbers[:, [index.numbers[name] for name in numbers]]
    expected = sample[numbers].to_numpy("float64")
    differs[numbers] = (online_values != expected) & ~(np.isnan(online_values) & np.isnan(expected))
    for name in [name for name in sample.columns if name in index.categories]:
        texts = pd.Series([row[index.categories[name]] for row in values.categories], sample.index, dtype=object)
        differs[name] = ~((texts == sample[name]) | (texts.isna() & sample[name].isna()))
    return differs
