"""Batch scoring: the accounts of a published day, chunk by chunk, so that memory does not grow with their number.

Accounts of the newest day are read from the online store, as for a request. A past day is read from the history, and so
are accounts of which one is not in the newest day: the history also has accounts that left before there was an online
store.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from configs.clock import format_instant
from configs.errors import NotReady
from configs.state_dir import StateDir
from features.own_signals.own_catalogue import open_catalogue
from features.store.history import HistoryVersion, accounts_on, is_complete, published_history
from features.tables.contract import ACCOUNT_ID
from serving.schemas.enums import Purpose
from serving.schemas.responses import ScoreResponse
from serving.scoring.champion_pointer import rebuild_outdated_bundle
from serving.scoring.scorer import Scorer
from serving.scoring.signal_lookup import SignalLookup, fetch_signals, published_columns
from serving.telemetry.request_ids import new_request_id
from training.registry.mlflow_registry import open_registry

ACCOUNTS_PER_CHUNK = 2_000
ACCOUNTS_PER_JOIN = 10_000  # a point-in-time join has a fixed cost, however few accounts it is for


@dataclass(frozen=True)
class BatchScorer:
    """Scores accounts of one published day; `age_reference` is that day if it is not the newest.

    A past day is recomputed with today's model; what it gives was not served then, and is not recorded as such.
    """

    state: StateDir
    scorer: Scorer
    account_ids: list[str]
    history: HistoryVersion
    day: datetime
    is_online: bool
    request_id: str
    age_reference: datetime | None = None
    purpose: Purpose = "served"

    def only_viewed(self) -> "BatchScorer":
        """The same for a person who looks, or a tool that gets nothing: no risk of it counts as served."""
        return self if self.purpose == "recomputed" else replace(self, purpose="viewed")

    def continued(self, request_id: str, scored: Collection[str]) -> "BatchScorer":
        """The same under the id of a request that was stopped, without the accounts that it scored."""
        remaining = [account_id for account_id in self.account_ids if account_id not in scored]
        return replace(self, request_id=request_id, account_ids=remaining)

    def iter_responses(self, max_drivers: int | None) -> Iterator[ScoreResponse]:
        """The responses for these accounts a chunk at a time, each recorded in the ledger first."""
        size = ACCOUNTS_PER_CHUNK if self.is_online else ACCOUNTS_PER_JOIN
        published = frozenset[str]() if self.is_online else frozenset(accounts_on(self.history, self.day))
        for start in range(0, len(self.account_ids), size):
            ids = self.account_ids[start : start + size]
            scored = self.scorer.score_signals(self._fetch(ids, published))
            yield self.scorer.score_and_record(scored, max_drivers, self.request_id, purpose=self.purpose)

    def score_all(
        self,
        max_drivers: int | None,
        *,
        max_accounts: int | None = None,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> ScoreResponse:
        """All responses as one, highest risk first; with at most `max_accounts` accounts, all if None.

        `on_progress` is called with the number of accounts scored so far.
        """
        merged: ScoreResponse = {"as_of": format_instant(self.day), "model": None, "scores": [], "not_scored": []}
        scored_count = 0
        for response in self.iter_responses(max_drivers):
            scored_count += len(response["scores"]) + len(response["not_scored"])
            scores = sorted([*merged["scores"], *response["scores"]], key=lambda score: -score["risk"])
            not_scored = [*merged["not_scored"], *response["not_scored"]]
            merged = {**response, "scores": scores[:max_accounts], "not_scored": not_scored[:max_accounts]}
            on_progress(scored_count)
        return merged

    def _fetch(self, account_ids: list[str], published: frozenset[str]) -> SignalLookup:
        if self.is_online:
            return fetch_signals(self.scorer.signals, account_ids)
        return self._fetch_from_history(account_ids, published)

    def _fetch_from_history(self, account_ids: list[str], published: frozenset[str]) -> SignalLookup:
        import pandas as pd

        from features.store.feast_store import open_history_store, read_historical_signals
        from features.store.online_reader import values_from_frame

        snapshots = pd.DataFrame({ACCOUNT_ID: account_ids, "as_of": self.day}).astype({"as_of": "datetime64[us]"})
        store = open_history_store(self.state, self.history, self.scorer.settings.name)
        values = read_historical_signals(store, snapshots).drop(columns=[ACCOUNT_ID, "as_of"])
        # For an account that left Feast returns its last signals: it is known, but not on this day.
        earlier = np.where(values.notna().any(axis=1), np.datetime64(self.day) - 1, np.datetime64("NaT"))
        is_published = [account_id in published for account_id in account_ids]
        as_of = np.where(is_published, np.datetime64(self.day), earlier)
        categories = {signal.name for signal in self.history.signals if signal.kind == "category"}
        online = values_from_frame(values, categories, published_columns(self.scorer.signals).currency)
        return SignalLookup(account_ids, online, as_of, self.day, age_reference=self.age_reference)


def open_batch(state: StateDir, scorer: Scorer, account_ids: Sequence[str], as_of: datetime | None) -> BatchScorer:
    """These accounts, or all accounts of the day if none is named, on a published day, the newest if None.

    Uses all cores. Raises NotReady for a day that was never published.
    """
    rebuild_outdated_bundle(state, open_registry(state, scorer.settings.name))
    scorer.champions.champion()
    history, newest = published_history(state, open_catalogue(scorer.settings, state).signals)
    day = as_of or newest
    if not is_complete(history, day):
        raise NotReady(f"{day:%Y-%m-%d} was never published.", f"Run `oarlock publish --as-of {day:%Y-%m-%d}`.")
    published = accounts_on(history, day)
    requested = list(dict.fromkeys(account_ids)) or published
    return BatchScorer(
        state=state,
        scorer=replace(scorer, threads=len(os.sched_getaffinity(0))),
        account_ids=requested,
        history=history,
        day=day,
        is_online=day == newest and set(published).issuperset(requested),
        request_id=new_request_id(),
        age_reference=day if day < newest else None,
        purpose="recomputed" if day < newest else "served",
    )
