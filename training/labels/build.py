"""Answers: what became of each snapshot by the mode that the settings name, and what was agreed that bears on it."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# (the published types of ibis do not cover its operators)

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import ibis
import numpy as np
import pandas as pd

from configs.errors import ConfigError
from configs.settings import LabelSettings
from features.tables.raw_table import RawTable
from training.labels.contraction import contracted
from training.labels.departures import KEY, answered, departures, horizons_of, labelled, next_departure, within
from training.labels.inactivity import silent

NEEDED = {"contract": "subscriptions", "event": "notices", "inactivity": "usage", "contraction": "subscriptions"}
LEAVES_ON_A_DAY = ("contract", "event")


@dataclass(frozen=True)
class Facts:
    """What is known of snapshots beside their signals, each in their order.

    `left_at` is when the account leaves next, `locked_until` the end of its longest paid term as agreed at as_of, and
    `notice_until` the end of a notice it had given by then; NaT where there is none.
    """

    left_at: pd.Series
    locked_until: pd.Series
    notice_until: pd.Series

    def of(self, rows: pd.Series) -> "Facts":
        """The facts of the chosen snapshots (a mask), numbered anew."""
        return Facts(*(value[rows].reset_index(drop=True) for value in vars(self).values()))


def answers(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.Series:
    """1.0 churned, 0.0 stayed, NaN not known or gone before the horizon began; in the order of the snapshots.

    Raises ConfigError where the data set has no table that the mode could be told from.
    """
    if NEEDED[label.mode] not in tables:
        raise ConfigError(
            f"The label's mode '{label.mode}' needs the table '{NEEDED[label.mode]}', which is not mapped.",
            "Map it, or choose another mode.",
        )
    if label.mode == "inactivity":
        return silent(tables, snapshots, label, known_until)
    if label.mode == "contraction":
        return contracted(tables, snapshots, label, known_until)
    return labelled(snapshots, departures(tables, label), label, known_until)


def answers_by_horizon(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.DataFrame:
    """The answers at every horizon that the mode can answer, in a column per horizon; each matures in its own time.

    Where an account leaves on a day, all are read off that one day, so none contradicts another.
    """
    horizons, _ = horizons_of(label)
    each = {days: label.model_copy(update={"horizon_days": days}) for days in horizons}
    if label.mode in LEAVES_ON_A_DAY:
        gone = next_departure(snapshots, departures(tables, label))
        return pd.DataFrame({within(d): answered(snapshots, gone, one, known_until) for d, one in each.items()})
    return pd.DataFrame({within(d): answers(tables, snapshots, one, known_until) for d, one in each.items()})


def second_answers(
    tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime
) -> pd.Series | None:
    """Whether each account's revenue shrank within the main horizon; None where that is the label, or not told.

    1.0 shrank, 0.0 not, NaN not known yet.
    """
    if label.mode == "contraction" or "subscriptions" not in tables:
        return None
    return contracted(tables, snapshots, label, known_until)


def facts(tables: Mapping[str, RawTable], snapshots: pd.DataFrame, label: LabelSettings) -> Facts:
    """What bears on the answers of these snapshots (account_id, as_of)."""
    never = pd.Series(pd.NaT, snapshots.index, dtype="datetime64[us]")
    return Facts(
        left_at=next_departure(snapshots, departures(tables, label)) if label.mode in LEAVES_ON_A_DAY else never,
        locked_until=_locked_until(tables, snapshots) if label.mode == "contract" else never,
        notice_until=_notice_until(tables, snapshots) if label.mode == "event" else never,
    )


def is_locked_in(rows: pd.DataFrame, facts: Facts, label: LabelSettings) -> pd.Series:
    """Whether the account's paid term runs past the end of the horizon."""
    ends = rows.as_of + pd.Timedelta(days=label.lead_days + label.horizon_days)
    return facts.locked_until >= ends


def _locked_until(tables: Mapping[str, RawTable], snapshots: pd.DataFrame) -> pd.Series:
    found = _asked(snapshots).join(tables["subscriptions"].rows, KEY)
    ended = found.ended_at.notnull() & (found.ended_at < found.as_of)
    return _latest(found.filter((found.started_at < found.as_of) & ~ended), "renews_at", snapshots)


def _notice_until(tables: Mapping[str, RawTable], snapshots: pd.DataFrame) -> pd.Series:
    found = _asked(snapshots).join(tables["notices"].rows, KEY)
    pending = (found.notified_at < found.as_of) & (found.effective_at > found.as_of)
    return _latest(found.filter(pending), "effective_at", snapshots)


def _asked(snapshots: pd.DataFrame) -> ibis.Table:
    columns = {"row": np.arange(len(snapshots)), KEY: snapshots[KEY].to_numpy(), "as_of": snapshots.as_of.to_numpy()}
    return ibis.memtable(pd.DataFrame(columns))


def _latest(rows: ibis.Table, column: str, snapshots: pd.DataFrame) -> pd.Series:
    found = rows.group_by("row").aggregate(latest=rows[column].max()).to_pandas().set_index("row").latest
    latest = found.reindex(np.arange(len(snapshots))).astype("datetime64[us]")
    return pd.Series(latest.to_numpy(), snapshots.index)
