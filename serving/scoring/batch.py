"""Batch scoring: accounts of a published day, chunk by chunk, so that memory does not grow with how many there are.

Accounts of the newest day are read from the online store, as a request is. A past day is read from the history, and so
are accounts of which one is not of the newest day: it knows those too who left before there was an online store.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from configs.errors import NotReady
from features.store.history import KEY, Edition, accounts_on, is_complete
from features.store.publication import published_edition
from serving.scoring.champion_pointer import rebuild_outdated_bundle
from serving.scoring.scorer import Scorer
from serving.scoring.signal_lookup import SignalLookup
from training.registry.mlflow_registry import open_registry

ACCOUNTS_A_CHUNK = 2_000
ACCOUNTS_A_JOIN = 10_000  # a join in time costs by itself, however few accounts it is of


@dataclass(frozen=True)
class BatchScorer:
    """Accounts of one published day that are to be scored."""

    scorer: Scorer
    account_ids: list[str]
    history: Edition
    day: datetime
    is_online: bool
    age_reference: datetime | None = None  # a past day is looked at from itself, the newest from now

    def iter_responses(self, most_drivers: int | None) -> Iterator[dict[str, Any]]:
        """The replies for these accounts a chunk at a time, each in the ledger before it is given."""
        step = ACCOUNTS_A_CHUNK if self.is_online else ACCOUNTS_A_JOIN
        there = frozenset[str]() if self.is_online else frozenset(accounts_on(self.history, self.day))
        for start in range(0, len(self.account_ids), step):
            some = self.account_ids[start : start + step]
            signals = self.scorer.fetch_signals(some) if self.is_online else self._fetch_from_history(some, there)
            yield self.scorer.score_and_record(signals, most_drivers)

    def score_all(
        self,
        most_drivers: int | None,
        *,
        max_accounts: int | None = None,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> dict[str, Any]:
        """All replies as one, of which `keep` accounts are kept, all where None: riskiest first.

        `told` is told how many accounts are done.
        """
        whole: dict[str, Any] = {"scores": [], "not_scored": []}
        done = 0
        for reply in self.iter_responses(most_drivers):
            done += len(reply["scores"]) + len(reply["not_scored"])
            scores = sorted([*whole["scores"], *reply["scores"]], key=lambda one: -one["risk"])
            without = [*whole["not_scored"], *reply["not_scored"]]
            whole = {**reply, "scores": scores[:max_accounts], "not_scored": without[:max_accounts]}
            on_progress(done)
        return whole

    def _fetch_from_history(self, account_ids: list[str], there: frozenset[str]) -> SignalLookup:
        import pandas as pd

        from features.store.feast_store import open_history, read_history
        from features.store.online_reader import values_of

        snapshots = pd.DataFrame({KEY: account_ids, "as_of": self.day}).astype({"as_of": "datetime64[us]"})
        store = open_history(self.scorer.state, self.history, self.scorer.settings.name)
        values = read_history(store, snapshots).drop(columns=[KEY, "as_of"])
        # Feast answers for an account that left with the last signals it had: they are known, but not of this day.
        before = np.where(values.notna().any(axis=1), np.datetime64(self.day) - 1, np.datetime64("NaT"))
        known = np.where([one in there for one in account_ids], np.datetime64(self.day), before)
        categories = {one.name for one in self.history.signals if one.kind == "category"}
        return SignalLookup(
            account_ids, values_of(values, categories), known, self.day, age_reference=self.age_reference
        )


def open_batch(engine: Scorer, account_ids: list[str], as_of: datetime | None) -> BatchScorer:
    """These accounts, or every account of the day where none is named, on a published day, the newest where None.

    Raises NotReady for a day that was never published.
    """
    rebuild_outdated_bundle(engine.state, open_registry(engine.state, engine.settings.name))
    engine.champion()
    engine.threads = len(os.sched_getaffinity(0))
    place, newest = published_edition(engine.state)
    day = as_of or newest
    if not is_complete(place, day):
        raise NotReady(f"{day:%Y-%m-%d} was never published.", f"Run `oarlock publish --as-of {day:%Y-%m-%d}`.")
    there = accounts_on(place, day)
    asked = list(dict.fromkeys(account_ids)) or there
    is_online = day == newest and set(there).issuperset(asked)
    return BatchScorer(engine, asked, place, day, is_online, age_reference=day if day < newest else None)
