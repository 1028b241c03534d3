"""Parity: whether the online store answers what the history holds of the published day, value by value."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from configs.errors import DataError
from configs.settings import Settings
from configs.state_dir import StateDir
from features.store.feast_store import open_history, read_history, read_online
from features.store.history import KEY, accounts_on
from features.store.publication import published_edition

AS_OF = "as_of"


@dataclass(frozen=True)
class Difference:
    """A value that the two stores do not agree on."""

    account_id: str
    signal: str
    online: Any
    offline: Any

    def __str__(self) -> str:
        return f"{self.signal} of account {self.account_id} is {self.online} online and {self.offline} in the history"


@dataclass(frozen=True)
class Parity:
    """How many accounts and values were compared on which day, and where they differ."""

    as_of: datetime
    accounts: int
    values: int
    differences: tuple[Difference, ...]


def compare_stores(settings: Settings, state: StateDir, most_accounts: int) -> Parity:
    """Read accounts, spread evenly over those published, from both stores; raises NotReady where none were."""
    place, as_of = published_edition(state)
    everyone = accounts_on(place, as_of)
    chosen = everyone[:: -(-len(everyone) // most_accounts)]
    store, names = open_history(state, place, settings.name), [one.name for one in place.signals]
    offline = read_history(store, pd.DataFrame({KEY: chosen, AS_OF: pd.Series(as_of, range(len(chosen)))}))[names]
    online = read_online(store, chosen)
    found = online.values.reindex(columns=names).assign(**{AS_OF: pd.Series(online.as_of).astype("datetime64[us]")})
    differences = tuple(_differences(chosen, found, offline.assign(**{AS_OF: as_of})))
    return Parity(as_of, len(chosen), len(chosen) * len(names), differences)


def refuse_differences(parity: Parity) -> None:
    """Raise DataError for the first value that differs, if one does."""
    if parity.differences:
        first, *others = parity.differences
        more = f", and {len(others)} more values differ" if others else ""
        day = f"{parity.as_of:%Y-%m-%d}"
        raise DataError(f"{first}{more}.", f"Run `oarlock publish --as-of {day} --from {day}`.")


def _differences(account_ids: list[str], online: pd.DataFrame, offline: pd.DataFrame) -> Iterator[Difference]:
    for name in offline.columns:
        here, there = online[name], offline[name]
        differs = ~((here.to_numpy() == there.to_numpy()) | (here.isna() & there.isna()).to_numpy())
        for row in np.flatnonzero(differs).tolist():
            yield Difference(account_ids[row], name, here.iat[row], there.iat[row])
