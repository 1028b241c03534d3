"""Training set: every mature snapshot with its signals as they were known and its labels."""

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from configs.errors import NothingToLearn, NotReady
from configs.sections.label import LabelSettings
from configs.settings import Settings
from configs.state_dir import StateDir
from features.publishing.open_dataset import OpenDataset, open_dataset
from features.store.history import HistoryVersion, accounts_on, complete_days
from features.tables.contract import ACCOUNT_ID
from training.data.recorded_history import first_recorded_day
from training.labels.build import (
    LabelContext,
    build_contraction_labels,
    build_label_context,
    build_labels,
    build_labels_by_horizon,
    find_all_departures,
    is_locked_in,
)
from training.labels.definition import CHURNED, CONTRACTED, DATED_MODES, longest_wait, matures_at
from training.labels.query_checks import raise_for_answers

LEFT_EARLY = "the account left before the horizon"
NO_ANSWER = "the query answered null"
LOCKED_IN = "the account could not leave within the horizon"
GAVE_NOTICE = "the account had given notice"
NOT_RECORDED = "it is before the first recorded departure (declare observed_from to keep it)"
NO_SIGNALS = "the store has no signal of it"


@dataclass(frozen=True)
class TrainingSet:
    """Snapshots (account_id, as_of), their signals and labels; `excluded` counts the others by reason.

    `churned` is the label for the main horizon. There is a column for each other horizon too, NaN while it is unknown,
    and `contracted` if the data set has subscriptions. Labels depend on nothing after `known_until`, at most the end of
    the data. `context` is kept apart from the signals: no model may read it.
    """

    rows: pd.DataFrame
    context: LabelContext
    history: HistoryVersion
    data_hash: str
    excluded: dict[str, int]
    known_until: datetime

    @property
    def days(self) -> list[datetime]:
        """The as_of days that have a snapshot, oldest first."""
        return [day.to_pydatetime() for day in sorted(self.rows.as_of.unique())]


@dataclass(frozen=True)
class LabelledSnapshots:
    """The mature snapshots that a model may learn from: account_id, as_of and churned.

    `context` is of the same rows; `excluded` counts the other mature snapshots by reason.
    """

    rows: pd.DataFrame
    context: LabelContext
    excluded: dict[str, int]


def build_training_set(settings: Settings, state: StateDir, known_until: datetime) -> TrainingSet:
    """Every mature snapshot in the history, read through Feast.

    Raises NotReady if nothing was published, NothingToLearn if no snapshot is mature yet.
    """
    from features.store.feast_store import open_history_store, read_historical_signals  # heavy

    opened = open_dataset(settings, state)
    known_until = opened.known_until(known_until)
    labelled = label_snapshots(opened, settings, known_until)
    signals = read_historical_signals(open_history_store(state, opened.history, settings.name), labelled.rows)
    has_signals = signals[[signal.name for signal in opened.history.signals]].notna().any(axis=1)
    columns = _label_columns(opened, settings, labelled.rows, known_until)
    return TrainingSet(
        rows=signals.assign(**columns)[has_signals].reset_index(drop=True),
        context=labelled.context.subset(has_signals),
        history=opened.history,
        data_hash=opened.dataset.content_hash(),
        excluded=labelled.excluded | {NO_SIGNALS: int((~has_signals).sum())},
        known_until=known_until,
    )


def label_snapshots(opened: OpenDataset, settings: Settings, known_until: datetime) -> LabelledSnapshots:
    """The labels of every mature snapshot in the history, by what was known until `known_until`.

    Raises NotReady if nothing was published, NothingToLearn if no snapshot is mature yet.
    """
    snapshots = snapshots_on(opened.history, _mature_days(opened.history, settings, known_until))
    labels = build_labels(opened.tables, snapshots, settings.label, known_until)
    if settings.label.mode == "query":
        raise_for_answers(opened.tables, snapshots, labels, settings.label)
    context = build_label_context(opened.tables, snapshots, settings.label)
    reasons = _exclusion_reasons(snapshots, labels, context, settings.label)
    reasons = reasons.mask(_is_unrecorded(opened, settings.label, snapshots, labels), NOT_RECORDED)
    is_included = reasons == ""
    included = snapshots[is_included].assign(churned=labels).reset_index(drop=True)
    return LabelledSnapshots(included, context.subset(is_included), _count_reasons(reasons))


def observed_labels(
    opened: OpenDataset, settings: Settings, snapshots: pd.DataFrame, known_until: datetime
) -> pd.Series:
    """The labels of these snapshots (account_id, as_of): 1.0, 0.0, or NaN while unknown."""
    return build_labels(opened.tables, snapshots, settings.label, opened.known_until(known_until))


def snapshots_on(history: HistoryVersion, days: list[datetime]) -> pd.DataFrame:
    """The snapshots of these days: account_id and as_of, in the order of days and accounts."""
    parts = [pd.DataFrame({ACCOUNT_ID: accounts_on(history, day), "as_of": day}) for day in days]
    return pd.concat(parts, ignore_index=True).astype({"as_of": "datetime64[us]"})


def maturity_days(settings: Settings) -> int:
    """Days from as_of until the label is known at the latest."""
    return longest_wait(settings.label).days


def _mature_days(history: HistoryVersion, settings: Settings, known_until: datetime) -> list[datetime]:
    published = complete_days(history)
    if not published:
        raise NotReady("No day has been published with the signals as they are declared now.", "Run `oarlock publish`.")
    learned = [day for day in published if not settings.monitoring.is_excluded(day.date())]
    mature = [day for day in learned if matures_at(day, settings.label) <= known_until]
    if not mature:
        raise NothingToLearn(
            f"No published snapshot is mature: it takes {maturity_days(settings)} days until a label is known.",
            "Bring a longer history, or shorten label.horizon_days.",
        )
    return mature


def _exclusion_reasons(
    snapshots: pd.DataFrame, labels: pd.Series, context: LabelContext, label: LabelSettings
) -> pd.Series:
    """Why each snapshot is excluded; empty if it is not."""
    reasons = pd.Series("", snapshots.index)
    locked_in = is_locked_in(snapshots, context, label)
    excludes_locked_in = label.locked_in_accounts == "exclude" or (
        label.locked_in_accounts == "auto" and not (labels[locked_in] == 1).any()
    )
    if excludes_locked_in:
        reasons = reasons.mask(locked_in, LOCKED_IN)
    unknown = NO_ANSWER if label.mode == "query" else LEFT_EARLY
    return reasons.mask(context.notice_until.notna(), GAVE_NOTICE).mask(labels.isna(), unknown)


def _is_unrecorded(opened: OpenDataset, label: LabelSettings, snapshots: pd.DataFrame, labels: pd.Series) -> pd.Series:
    """Whether a snapshot is of a day on which departures were not recorded yet; the mapping may say that all are."""
    begins = None
    if label.mode in DATED_MODES and opened.dataset.observed_from is None:
        begins = first_recorded_day(snapshots, find_all_departures(opened.tables, label))
    elif label.mode == "query" and opened.dataset.observed_from is None:
        begins = first_recorded_day(snapshots, snapshots.as_of[labels == 1])
    return pd.Series(False, snapshots.index) if begins is None else snapshots.as_of < begins


def _label_columns(
    opened: OpenDataset, settings: Settings, snapshots: pd.DataFrame, known_until: datetime
) -> dict[str, pd.Series]:
    by_horizon = build_labels_by_horizon(opened.tables, snapshots, settings.label, known_until)
    contracted = build_contraction_labels(opened.tables, snapshots, settings.label, known_until)
    columns = {CHURNED: snapshots[CHURNED], **{str(name): column for name, column in by_horizon.items()}}
    return columns if contracted is None else {**columns, CONTRACTED: contracted}


def _count_reasons(reasons: pd.Series) -> dict[str, int]:
    return {reason: int((reasons == reason).sum()) for reason in dict.fromkeys((LEFT_EARLY, *reasons[reasons != ""]))}
