"""Events read from the raw tables: of one account as they were known before any instant, or of all accounts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow as pa

from configs.sections.publishing import EngineSettings
from features.ingestion.reader import cast_tables, open_converted
from features.store.events.event_queries import BUILDERS, select_all_events, select_events
from features.store.events.event_table import ROWS_PER_GROUP, SCHEMA
from features.tables.dataset import Dataset

PARAMETERS = ("account_id", "as_of")


@dataclass(frozen=True)
class RawEvents:
    """Queries of open raw tables, and what they may raise.

    `of_account` takes an account_id and as_of as text; `of_all` gives the events of every account, by account.
    """

    of_account: Callable[[Mapping[str, str]], pa.Table]
    of_all: Callable[[datetime], pa.RecordBatchReader]
    error_types: tuple[type[Exception], ...]


def open_raw_events(engine: EngineSettings, dataset: Dataset, converted: Path) -> RawEvents:
    """Open the raw tables as they are, in DuckDB whatever computes the signals.

    Raises NotReady if those that are read from CSV are not converted, DataError or ConfigError if they cannot be read.
    """
    opened = open_converted(engine.model_copy(update={"kind": "duckdb"}), dataset, converted)
    tables, backend = cast_tables(opened.tables), opened.backend
    assert backend.compile_query is not None
    if BUILDERS.keys().isdisjoint(tables):
        return RawEvents(lambda _: SCHEMA.empty_table(), lambda _: SCHEMA.empty_table().to_reader(), ())
    return RawEvents(
        backend.compile_query(PARAMETERS, partial(select_events, tables)),
        lambda as_of: select_all_events(tables, as_of).to_pyarrow_batches(chunk_size=ROWS_PER_GROUP),
        backend.error_types,
    )
