"""What happened to an account: rows of the raw tables as they were known before an instant, a sentence each."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from configs.errors import DataError, NotReady
from configs.settings import Settings
from configs.state_dir import StateDir
from features.store.events.event_words import BEGAN, ENDED, EventFamily

if TYPE_CHECKING:
    import pyarrow as pa


PARAMETERS = ("account_id", "as_of")
OPENING_SECONDS = 2.0  # a page that waited for the first opening on a busy machine would time out


@dataclass(frozen=True)
class AccountEvent:
    """Something that happened at an instant (UTC), and whether the timeline of a risk marks it."""

    at: datetime
    family: EventFamily
    text: str
    is_marked: bool


class AccountEvents:
    """Reads the events of one account at a time; the tables are opened when the first account is asked for.

    Safe to use from many threads, one after another: a connection answers one query at a time.
    """

    def __init__(self, settings: Settings, state: StateDir) -> None:
        self._settings, self._state = settings, state
        self._opener = ThreadPoolExecutor(1, "account-events")
        self._opening: tuple[str, Future[_OpenEvents]] | None = None
        self._opening_lock, self._query_lock = threading.Lock(), threading.Lock()

    def read(self, account_id: str, as_of: datetime, version: str) -> list[AccountEvent]:
        """The newest 1,000 events known before `as_of`, newest first.

        `version` is that of the publication: with another one the tables are opened again. Raises NotReady while they
        are being opened or not converted, DataError or ConfigError if they cannot be read.
        """
        opened = self.open(version, OPENING_SECONDS)
        try:
            with self._query_lock:
                rows = opened.rows({"account_id": account_id, "as_of": as_of.isoformat(" ")})
        except opened.error_types as error:
            self._opening = None
            raise _unreadable(error) from None
        return join_renewals([AccountEvent(**row) for row in rows.to_pylist()])

    def open(self, version: str, timeout_seconds: float | None = None) -> "_OpenEvents":
        """Open the tables of a publication, unless they are; raises as `read`. Without a timeout it waits."""
        with self._opening_lock:
            if self._opening is None or self._opening[0] != version or _has_failed(self._opening[1]):
                self._opening = version, self._opener.submit(_open_events, self._settings, self._state)
            _, opening = self._opening
        try:
            return opening.result(timeout_seconds)
        except TimeoutError:
            raise NotReady("The raw tables are being opened.", "Load the page again in a few seconds.") from None


@dataclass(frozen=True)
class _OpenEvents:
    """A query of events, and what it may raise."""

    rows: "Callable[[Mapping[str, str]], pa.Table]"
    error_types: tuple[type[Exception], ...]


def join_renewals(events: Sequence[AccountEvent]) -> list[AccountEvent]:
    """The events with a period that ends as the next one of its plan begins as one: a renewal.

    >>> day = datetime(2026, 7, 1)
    >>> texts = ["pro began: 90 a month", "pro ended", "team ended"]
    >>> [event.text for event in join_renewals([AccountEvent(day, "contract", text, True) for text in texts])]
    ['pro renewed: 90 a month', 'team ended']
    """
    began = {(event.at, event.text.partition(BEGAN)[0]) for event in events if BEGAN in event.text}
    ended = {(event.at, event.text.removesuffix(ENDED)) for event in events if event.text.endswith(ENDED)}
    joined: list[AccountEvent] = []
    for event in events:
        plan, separator, terms = event.text.partition(BEGAN)
        if separator and (event.at, plan) in ended:
            joined.append(replace(event, text=f"{plan} renewed:{terms}"))
        elif not (event.text.endswith(ENDED) and (event.at, event.text.removesuffix(ENDED)) in began):
            joined.append(event)
    return joined


def _has_failed(opening: Future[_OpenEvents]) -> bool:
    return opening.done() and opening.exception() is not None


def _unreadable(error: Exception) -> DataError:
    message = f"The raw tables cannot be read: {' '.join(str(error).split())[:200]}."
    return DataError(message, "Publish again, or see `oarlock validate`.")


def _open_events(settings: Settings, state: StateDir) -> _OpenEvents:
    from features.compute.backends.duckdb import duckdb_errors

    try:
        return _open_tables(settings, state)
    except (OSError, *duckdb_errors()) as error:
        raise _unreadable(error) from None


def _open_tables(settings: Settings, state: StateDir) -> _OpenEvents:
    import pyarrow as pa

    from features.ingestion.reader import cast_tables, open_converted
    from features.store.events.event_queries import BUILDERS, select_events
    from features.tables.dataset import read_dataset

    # DuckDB reads the files whatever computes the signals, and one thread is enough for one account.
    engine = settings.engine.model_copy(update={"kind": "duckdb", "threads": 1})
    opened = open_converted(engine, read_dataset(settings.data, settings.signals), state.converted)
    tables, backend = cast_tables(opened.tables), opened.backend
    assert backend.compile_query is not None
    has_events = not BUILDERS.keys().isdisjoint(tables)
    rows = backend.compile_query(PARAMETERS, partial(select_events, tables)) if has_events else lambda _: pa.table({})
    return _OpenEvents(rows, backend.error_types)
