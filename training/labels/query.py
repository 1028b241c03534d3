"""A label by SQL: what counts as churn is the answer of one query over the raw tables, for each snapshot.

The query reads the raw tables as the contract has them, and `snapshots`: account_id, as_of, and the horizon's bounds
`begins` and `ends` (as_of + lead, and + horizon). It runs once for each day, in a database of its own that holds
nothing else, in which every table ends at the end of that day's horizon: a row that happened later is not there, and a
value that became known later is null. So an answer can depend on nothing after the horizon, and on no file.

It returns `account_id`, `as_of` and `churned` (true, false, or null if the account left before the horizon or if that
is not known). A snapshot without an answer, with two, or with one that is no boolean is refused.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from configs.errors import ConfigError, LabelsRefused
from configs.sections.label import LabelSettings
from features.ingestion.query_database import QueryDatabase, QueryResult, find_query_fault
from features.tables.contract import ACCOUNT_ID
from features.tables.raw_table import RawTable
from training.labels.definition import CHURNED, horizon_end, is_mature
from training.labels.merged_accounts import written_name

SNAPSHOTS = "snapshots"
COLUMNS = {ACCOUNT_ID, "as_of", CHURNED}
DAY_TYPES = {"TIMESTAMP", "DATE"}
COLUMNS_HINT = "It returns the columns account_id, as_of and churned, a row per snapshot."


@dataclass(frozen=True)
class QueryWindow:
    """When the horizon of a day's snapshots begins and ends, and until when the query sees what happened."""

    begins: datetime
    ends: datetime
    sees: datetime


def label_by_query(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.Series:
    """1.0 churned, 0.0 stayed, NaN null or not mature; in the order of the snapshots (account_id, as_of).

    Raises ConfigError for a query that does not run or reads something else, LabelsRefused for answers that are no
    labels.
    """
    mature = snapshots[is_mature(snapshots, label, known_until)]
    answers = answer_query(tables, mature, label.query or "", partial(query_window, label))
    return answers.reindex(snapshots.index).rename(CHURNED)


def query_window(label: LabelSettings, as_of: datetime) -> QueryWindow:
    """The horizon of a day, at whose end the tables end."""
    ends = horizon_end(as_of, label)
    return QueryWindow(as_of + timedelta(days=label.lead_days), ends, sees=ends)


def answer_query(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, query: str, window_of: Callable[[datetime], QueryWindow]
) -> pd.Series:
    """The answers for snapshots with the horizon of their day, in their order; raises as `label_by_query`."""
    raise_for_query(query, tables)
    answers = pd.Series(np.nan, snapshots.index, dtype="float64")
    with tempfile.TemporaryDirectory() as folder:
        database = QueryDatabase(tables, query, Path(folder))
        for as_of, rows in snapshots.groupby("as_of", sort=True):
            day = pd.Timestamp(str(as_of)).to_pydatetime()
            window = window_of(day)
            database.end_at(window.sees)
            database.set_table(SNAPSHOTS, _snapshot_rows(rows, day, window))
            answers[rows.index] = _align(_run(database), day, rows[ACCOUNT_ID]).to_numpy()
    return answers


def raise_for_query(query: str, tables: Mapping[str, RawTable]) -> None:
    """Raise ConfigError for a query that reads something other than the tables, or changes each time it runs."""
    names = [*tables, SNAPSHOTS]
    if fault := find_query_fault(query, names):
        hint = f"It is one SELECT over {', '.join(sorted(names))}, in which all times follow from `snapshots`."
        raise ConfigError(f"label.query {fault}.", hint)


def _snapshot_rows(rows: pd.DataFrame, day: datetime, window: QueryWindow) -> pd.DataFrame:
    days = {"as_of": day, "begins": window.begins, "ends": window.ends}
    columns = {name: np.full(len(rows), np.datetime64(instant, "us")) for name, instant in days.items()}
    return pd.DataFrame({ACCOUNT_ID: rows[ACCOUNT_ID].to_numpy(), **columns})


def _run(database: QueryDatabase) -> pd.DataFrame:
    """The answers of a day. Raises ConfigError, LabelsRefused."""
    try:
        result = database.run()
    except ValueError as error:
        raise ConfigError(f"label.query {error}.", "Correct the query.") from None
    _raise_for_columns(result)
    return result.rows


def _raise_for_columns(result: QueryResult) -> None:
    types = result.types
    if set(types) != COLUMNS:
        raise ConfigError(f"label.query returns the columns {', '.join(types)}.", COLUMNS_HINT)
    if types["as_of"] not in DAY_TYPES:
        message = f"label.query returns as_of as {types['as_of']}, not as an instant."
        raise ConfigError(message, "Return the as_of of `snapshots`.")
    if types[CHURNED] != "BOOLEAN":
        message = f"label.query answers with {types[CHURNED]}, not with true or false."
        raise LabelsRefused(message, "Write a condition, such as revenue < 10.")


def _align(answers: pd.DataFrame, as_of: datetime, accounts: pd.Series) -> pd.Series:
    """The answers of a day in the order of its accounts; rows of other accounts and days are no answers."""
    is_asked = (pd.to_datetime(answers.as_of) == pd.Timestamp(as_of)) & answers[ACCOUNT_ID].isin(accounts)
    relevant: pd.DataFrame = answers[is_asked]
    _raise_for_accounts(relevant[ACCOUNT_ID][relevant[ACCOUNT_ID].duplicated()], as_of, "more than one answer")
    _raise_for_accounts(accounts[~accounts.isin(relevant[ACCOUNT_ID])], as_of, "no answer")
    return relevant.set_index(ACCOUNT_ID)[CHURNED].astype("float64").reindex(accounts)


def _raise_for_accounts(accounts: pd.Series, as_of: datetime, fault: str) -> None:
    if accounts.empty:
        return
    count, first = accounts.nunique(), written_name(accounts.min())
    named = f"account {first}" if count == 1 else f"{count} accounts, such as {first},"
    raise LabelsRefused(
        f"label.query gives {fault} for {named} on {as_of:%Y-%m-%d}.",
        "It returns each row of `snapshots` once: begin with snapshots, left join, and group by account_id and as_of.",
    )
