"""The revenue of a past day, built from the raw tables in the background.

The published table is of one day: one for every day would take about 1 kB per account and day.
"""

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from configs.errors import BeingComputed, ConfigError, DataError, NotReady
from configs.settings import Settings
from configs.state_dir import StateDir
from features.store.revenue_table import RevenueHistory

if TYPE_CHECKING:
    from features.tables.dataset import Dataset

WAIT_SECONDS = 2.0  # a request that waited for all of it on a busy machine would time out
MAX_DAYS = 3
MAX_WAITING = 3  # somebody who opens many days does not keep others waiting


class PastRevenueSource(Protocol):
    """Where the revenue of a past day comes from: that of everybody, or that of an owner's accounts."""

    def read(self, day: datetime, version: str) -> RevenueHistory:
        """The revenue as it was known on a day; raises BeingComputed until it is built."""
        ...


class PastRevenue:
    """Builds one day at a time and keeps the newest few; safe to use from many threads."""

    def __init__(self, settings: Settings, state: StateDir, wait_seconds: float = WAIT_SECONDS) -> None:
        self._settings, self._state, self._wait_seconds = settings, state, wait_seconds
        self._builder = ThreadPoolExecutor(1, "past-revenue")
        self._days: OrderedDict[tuple[str, datetime], Future[RevenueHistory]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, day: datetime, version: str) -> RevenueHistory:
        """The revenue as it was known on a day.

        `version` is that of the publication: with another one the day is built again. Raises BeingComputed until it is
        built, NotReady if the tables are not converted, DataError or ConfigError if they cannot be read.
        """
        try:
            return self._find_or_start((version, day)).result(self._wait_seconds)
        except TimeoutError:
            raise _being_computed(day) from None

    def _find_or_start(self, key: tuple[str, datetime]) -> "Future[RevenueHistory]":
        with self._lock:
            building = self._days.get(key)
            if building is None or _has_failed(building):
                self._make_room(key[1])
                building = self._days[key] = self._builder.submit(_build_published, self._settings, self._state, key[1])
            self._days.move_to_end(key)
            return building

    def _make_room(self, day: datetime) -> None:
        done = [key for key, built in self._days.items() if built.done()]
        if len(self._days) - len(done) >= MAX_WAITING:
            raise _being_computed(day)
        for key in done[: max(len(done) + 1 - MAX_DAYS, 0)]:
            del self._days[key]


def build_past_revenue(
    settings: Settings, state: StateDir, as_of: datetime, dataset: "Dataset | None" = None
) -> RevenueHistory:
    """The revenue as the raw tables had it on a day.

    Raises ConfigError if the data set has no subscriptions, and as `open_dataset`.
    """
    from features.publishing.open_dataset import open_dataset
    from features.publishing.revenue_table_builder import build_revenue_history

    opened = open_dataset(settings, state, dataset)
    shortest = settings.stages.shortest_term_months
    history = build_revenue_history(opened.tables, as_of, opened.dataset.observed_from, shortest)
    if history is None:
        raise ConfigError("The data set has no subscriptions, so no recurring revenue.", "Map the table.")
    return replace(history, currency=opened.dataset.mapping.currency)


def _build_published(settings: Settings, state: StateDir, as_of: datetime) -> RevenueHistory:
    """The same in a service, which copies and converts nothing: what is read is what a publish prepared."""
    from features.compute.backends.duckdb import duckdb_errors
    from features.ingestion.conversion import find_conversion
    from features.tables.dataset import read_dataset

    # Requests are answered meanwhile, so it takes one thread, whatever computes the signals.
    engine = settings.engine.model_copy(update={"kind": "duckdb", "threads": 1})
    dataset = read_dataset(settings.data, settings.signals)
    try:
        if find_conversion(dataset, state.converted) is None:
            raise NotReady("The present files are not converted yet.", "Run `oarlock publish`, which converts them.")
        return build_past_revenue(settings.model_copy(update={"engine": engine}), state, as_of, dataset)
    except (OSError, *duckdb_errors()) as error:
        message = f"The raw tables cannot be read: {' '.join(str(error).split())[:200]}."
        raise DataError(message, "Publish again, or see `oarlock validate`.") from None


def _has_failed(building: "Future[RevenueHistory]") -> bool:
    return building.done() and building.exception() is not None


def _being_computed(day: datetime) -> BeingComputed:
    return BeingComputed(f"The retention of {day:%Y-%m-%d} is being computed.", "Ask again in a few seconds.")
