"""Signals of the accounts of a request, with their age, and why an account has none."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache, reduce

import numpy as np

from configs.errors import NotReady
from features.store.online_reader import Columns, Values
from serving.scoring.model_bundle import ModelBundle

UNKNOWN_ACCOUNT, NO_SUBSCRIPTION = "unknown_account", "no_running_subscription"


@dataclass(frozen=True)
class SignalLookup:
    """Signals of some accounts as they were found: `values` a row per account asked for, `as_of` their age.

    Where families were found apart, `stamps` has the age of each and `as_of` is the oldest of them. `seen_from` is the
    past day that they are looked at from; None is now.
    """

    account_ids: list[str]
    values: Values
    as_of: np.ndarray
    published_as_of: datetime
    as_of_by_family: Mapping[str, np.ndarray] = field(default_factory=dict)
    age_reference: datetime | None = None

    @property
    def newest_as_of(self) -> np.ndarray:
        """The age of the newest family of each account."""
        return reduce(np.fmax, self.as_of_by_family.values(), self.as_of)

    def take(self, rows: list[int]) -> "SignalLookup":
        """The signals of these rows."""
        ids, stamps = (
            [self.account_ids[i] for i in rows],
            {name: one[rows] for name, one in self.as_of_by_family.items()},
        )
        return replace(self, account_ids=ids, values=self.values.take(rows), as_of=self.as_of[rows], stamps=stamps)


def require_signals(model: ModelBundle, columns: Columns) -> None:
    missing = _first_missing_signal(model, columns)
    if missing is None:
        return
    raise NotReady(
        f"The champion needs the signal '{missing}', which is not published.",
        "Run `oarlock publish`, or promote a model trained on the signals there are.",
    )


@lru_cache(maxsize=2)
def _first_missing_signal(model: ModelBundle, columns: Columns) -> str | None:
    """The first signal of a model that is not there."""
    return min(model.signal_names - columns.names, default=None)


def find_unscored(signals: SignalLookup) -> dict[str, str]:
    """Why accounts have no risk: nobody knows them, or they had no subscription when signals were last published."""
    unknown = np.isnat(signals.as_of)
    gone = ~unknown & (signals.newest_as_of < np.datetime64(signals.published_as_of))
    pairs = zip(signals.account_ids, unknown, gone, strict=True)
    return {
        one: UNKNOWN_ACCOUNT if is_unknown else NO_SUBSCRIPTION
        for one, is_unknown, is_gone in pairs
        if is_unknown or is_gone
    }
