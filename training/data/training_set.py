"""The panel: every mature snapshot with its signals as they were known and the answer that came later."""

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from configs.errors import NothingToLearn, NotReady
from configs.settings import LabelSettings, Settings
from configs.state_dir import State
from features.publishing.pipeline import Opened, open_dataset
from features.store.feast_store import open_history, read_history
from features.store.history import KEY, Edition, accounts_on, complete_days
from training.labels.build import LabelContext, answers, answers_by_horizon, facts, is_locked_in, second_answers
from training.labels.departures import matures_at

CHURNED, CONTRACTED = "churned", "contracted"
GONE, LOCKED_IN, NOTICED = "left before the horizon began", "could not leave inside the horizon", "had given notice"


@dataclass(frozen=True)
class Panel:
    """Snapshots (account_id, as_of), their signals and `churned`; `dropped` says how many were left out and why.

    Beside `churned`, the answer within the main horizon, stands one column per horizon, NaN where it is not known yet,
    and `contracted`, the second label, where the data tell it.
    `facts` are kept apart from the signals: no model may read them.
    """

    rows: pd.DataFrame
    facts: LabelContext
    place: Edition
    data_hash: str
    dropped: dict[str, int]

    @property
    def days(self) -> list[datetime]:
        """The as_of days that have a snapshot, oldest first."""
        return [day.to_pydatetime() for day in sorted(self.rows.as_of.unique())]


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
    told = answers(opened.tables, snapshots, settings.label, known_until)
    known = facts(opened.tables, snapshots, settings.label)
    why = _left_out(snapshots, told, known, settings.label)
    kept = snapshots[why == ""].assign(churned=told).reset_index(drop=True)
    found = read_history(open_history(state, opened.place, settings.name), kept)
    each = answers_by_horizon(opened.tables, kept, settings.label, known_until)
    second = second_answers(opened.tables, kept, settings.label, known_until)
    more = {**each} if second is None else {**each, CONTRACTED: second}
    absent = found[[one.name for one in opened.place.signals]].isna().all(axis=1)
    rows = found.assign(churned=kept[CHURNED], **more)[~absent].reset_index(drop=True)
    dropped = {reason: int((why == reason).sum()) for reason in dict.fromkeys((GONE, *why[why != ""]))}
    dropped |= {"not in the store": int(absent.sum())}
    return Panel(rows, known.subset(why == "").subset(~absent), opened.place, opened.dataset.content_hash(), dropped)


def outcomes(opened: Opened, settings: Settings, snapshots: pd.DataFrame, known_until: datetime) -> pd.Series:
    """What became of these snapshots (account_id, as_of): 1.0, 0.0, or NaN where it is not known yet."""
    return answers(opened.tables, snapshots, settings.label, known_until)


def _left_out(snapshots: pd.DataFrame, told: pd.Series, known: LabelContext, label: LabelSettings) -> pd.Series:
    """Why each snapshot is left out of the panel; empty where it is not."""
    why = pd.Series("", snapshots.index)
    locked_in = is_locked_in(snapshots, known, label)
    if label.locked_in_accounts == "exclude" or (
        label.locked_in_accounts == "auto" and not (told[locked_in] == 1).any()
    ):
        why = why.mask(locked_in, LOCKED_IN)
    return why.mask(known.notice_until.notna(), NOTICED).mask(told.isna(), GONE)


def snapshots_of(place: Edition, days: list[datetime]) -> pd.DataFrame:
    """The snapshots of these days: account_id and as_of, in the order of days and accounts."""
    each = [pd.DataFrame({KEY: accounts_on(place, day), "as_of": day}) for day in days]
    return pd.concat(each, ignore_index=True).astype({"as_of": "datetime64[us]"})


def matures_in(settings: Settings) -> int:
    """Days from as_of until the answer is known."""
    return (matures_at(datetime(2000, 1, 1), settings.label) - datetime(2000, 1, 1)).days
