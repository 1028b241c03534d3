"""Checks of the data and of what was made from them: enough to learn from, and recent enough to trust."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from configs.sections.training import TrainingSettings
from configs.settings import Settings
from features.publishing.data_span import DataSpan
from features.publishing.open_dataset import OpenDataset
from features.store.history import HistoryVersion, complete_days
from features.tables.contract import ACCOUNT_ID
from monitoring.doctor.check_result import CheckResult, passed, skipped
from monitoring.outcomes.answers import segments_of
from training.data.training_set import observed_labels, snapshots_on
from training.labels.definition import matures_at

WINDOWS_OF_HISTORY = 2
MAX_MODEL_AGE_DAYS = 180
MAX_MONITOR_AGE = timedelta(hours=36)


@dataclass(frozen=True)
class SegmentSize:
    """How many accounts of a segment have a known answer, and how many of them left."""

    accounts: int
    churned: int


def count_churned(
    opened: OpenDataset, history: HistoryVersion, settings: Settings, known_until: datetime
) -> Mapping[str, SegmentSize]:
    """The accounts by segment whose answer is known on a published day; the segment is "" if the data name none."""
    until = opened.known_until(known_until)
    days = [day for day in complete_days(history) if matures_at(day, settings.label) <= until]
    if not days:
        return {}
    snapshots = snapshots_on(history, days)
    snapshots["churned"] = observed_labels(opened, settings, snapshots, known_until)
    snapshots["segment"] = segments_of(opened.tables, snapshots)
    answered = snapshots.dropna(subset=["churned"]).groupby(["segment", ACCOUNT_ID]).churned.max()
    by_segment = answered.groupby("segment").agg(["size", "sum"])
    return {str(name): SegmentSize(int(row["size"]), int(row["sum"])) for name, row in by_segment.iterrows()}


def check_churned(sizes: Mapping[str, SegmentSize], training: TrainingSettings) -> CheckResult:
    """Enough accounts left and stayed to learn from, and enough of each segment for its own calibration."""
    churned = sum(size.churned for size in sizes.values())
    retained = sum(size.accounts - size.churned for size in sizes.values())
    if min(churned, retained) < training.min_churned:
        what = f"{churned:,} accounts left and {retained:,} stayed; {training.min_churned} of each are needed"
        next_step = (
            "Bring a longer history, shorten label.horizon_days, or adopt another company's model (`oarlock models"
            " adopt`)."
        )
        return CheckResult("churned accounts", "fault", what, "raw tables", next_step)
    small = [name for name, size in sorted(sizes.items()) if size.churned < training.min_churned_per_segment]
    if small and len(sizes) > 1:
        what = f"{sizes[small[0]].churned:,} accounts of the segment '{small[0]}' left, so it is calibrated with all"
        next_step = "Nothing, or join it with another segment in the mapping."
        return CheckResult("churned accounts", "warn", what, "accounts.segment", next_step)
    return passed("churned accounts", f"{churned:,} left and {retained:,} stayed, in {len(sizes)} segments")


def check_history_length(span: DataSpan | None, longest_window_days: int) -> CheckResult:
    """The history is at least twice as long as the longest window."""
    if span is None:
        return skipped("history length", "no table records an event")
    days, needed = (span.until - span.begins).days, WINDOWS_OF_HISTORY * longest_window_days
    if days < needed:
        what = f"{days:,} days of history, and signals look back {longest_window_days:,} days"
        next_step = f"Bring {needed:,} days, or leave out signals with long windows: signals.exclude."
        return CheckResult("history length", "warn", what, "raw tables", next_step)
    return passed("history length", f"{days:,} days, and signals look back {longest_window_days:,} days")


def longest_window(history: HistoryVersion) -> int:
    """How many days the signals of a history look back at most; those without a limit do not count."""
    return max((signal.days for signal in history.signals if signal.days is not None), default=0)


def check_model_age(registered_at: datetime, now: datetime) -> CheckResult:
    """The champion was trained within half a year."""
    days = (now - registered_at).days
    if days > MAX_MODEL_AGE_DAYS:
        return CheckResult(
            "model age", "warn", f"the champion was trained {days:,} days ago", "mlflow", "oarlock train"
        )
    return passed("model age", f"the champion was trained {days:,} days ago")


def check_freshness(as_of: datetime, known_until: datetime, stale_after_days: int) -> CheckResult:
    """The published day is not stale."""
    days = (known_until - as_of).days
    if days > stale_after_days:
        what = f"{as_of:%Y-%m-%d} is online, {days:,} days ago"
        return CheckResult("freshness", "warn", what, "online store", "oarlock run daily")
    return passed("freshness", f"{as_of:%Y-%m-%d} is online")


def check_monitoring(last_run_at: datetime | None, now: datetime) -> CheckResult:
    """`oarlock monitor` ran within a day and a half."""
    if last_run_at is None:
        return skipped("monitoring", "it has not run: oarlock monitor")
    age = now - last_run_at
    if age > MAX_MONITOR_AGE:
        what = f"the last run was {age.total_seconds() / 3600:,.0f} hours ago"
        return CheckResult("monitoring", "warn", what, "monitor runs", "oarlock monitor")
    return passed("monitoring", f"the last run was on {last_run_at:%Y-%m-%d}")
