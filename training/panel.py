"""The panel: every mature snapshot with its signals as they were known and the answer that came later."""

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from configs.errors import NothingToLearn, NotReady
from configs.settings import Settings
from configs.state import State
from features.history import KEY, Edition, accounts_on, complete_days
from features.publish import Opened, open_dataset
from features.store import open_store, read_history
from training.labels import departures, labelled, matures_at

CHURNED = "churned"


@dataclass(frozen=True)
class Panel:
    """Snapshots (account_id, as_of), their signals and `churned`; `dropped` says how many were left out and why."""

    rows: pd.DataFrame
    place: Edition
    data_hash: str
    dropped: dict[str, int]


def build_panel(settings: Settings, state: State, known_until: datetime) -> Panel:
    """Every mature snapshot in the history, read through Feast.

    Raises NotReady where nothing was published, NothingToLearn where no snapshot is mature yet.
    """
    opened = open_dataset(settings, state)
    if not complete_days(opened.place):
        raise NotReady("No day has been published with the signals as they are declared now.", "Run `oarlock publish`.")
    mature = [day for day in complete_days(opened.place) if matures_at(day, settings.label) <= known_until]
    if not mature:
        raise NothingToLearn(
            f"No published snapshot is mature: the answer takes {matures_in(settings)} days to be known.",
            "Bring a longer history, or shorten label.horizon_days.",
        )
    snapshots = snapshots_of(opened.place, mature)
    answers = labelled(snapshots, departures(opened.tables, settings.label), settings.label, known_until)
    kept = snapshots[answers.notna()].assign(churned=answers.dropna()).reset_index(drop=True)
    found = read_history(open_store(state, settings.name), kept)
    absent = found[[one.name for one in opened.place.signals]].isna().all(axis=1)
    rows = found.assign(churned=kept[CHURNED])[~absent].reset_index(drop=True)
    dropped = {"left before the horizon began": int(answers.isna().sum()), "not in the store": int(absent.sum())}
    return Panel(rows, opened.place, opened.dataset.content_hash(), dropped)


def outcomes(opened: Opened, settings: Settings, snapshots: pd.DataFrame, known_until: datetime) -> pd.Series:
    """What became of these snapshots (account_id, as_of): 1.0, 0.0, or NaN where it is not known yet."""
    return labelled(snapshots, departures(opened.tables, settings.label), settings.label, known_until)


def snapshots_of(place: Edition, days: list[datetime]) -> pd.DataFrame:
    """The snapshots of these days: account_id and as_of, in the order of days and accounts."""
    each = [pd.DataFrame({KEY: accounts_on(place, day), "as_of": day}) for day in days]
    return pd.concat(each, ignore_index=True).astype({"as_of": "datetime64[us]"})


def matures_in(settings: Settings) -> int:
    """Days from as_of until the answer is known."""
    return (matures_at(datetime(2000, 1, 1), settings.label) - datetime(2000, 1, 1)).days
