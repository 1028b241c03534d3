"""Label checks: refuse labels from which a model would learn something other than which accounts will leave."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from configs.errors import LabelsRefused
from configs.sections.label import LabelSettings
from features.signals.base import Signal
from training.data.time_splits import TimeSplit
from training.labels.build import LabelContext, is_locked_in
from training.labels.definition import CHURNED, is_mature, matures_at


@dataclass(frozen=True)
class LabelledSplit:
    """What a model is about to be fitted on: snapshots with labels and their context, the split, and the signals."""

    rows: pd.DataFrame
    context: LabelContext
    split: TimeSplit
    signals: tuple[Signal, ...]


@dataclass(frozen=True)
class LabelFault:
    """A rule that some rows break."""

    rule: str
    rows: int
    hint: str

    def __str__(self) -> str:
        return f"{self.rule} ({self.rows} row{'s' if self.rows > 1 else ''})"


def check_labels(data: LabelledSplit, label: LabelSettings, known_until: datetime) -> tuple[LabelFault, ...]:
    """Every rule that the labels break; empty if they are sound."""
    faults = (
        *_check_days(data),
        *_check_maturity(data, label, known_until),
        *_check_locked_in(data, label),
        *_check_notices(data, label),
        *_check_embargo(data, label),
    )
    return tuple(fault for fault in faults if fault.rows)


def raise_for_faults(faults: tuple[LabelFault, ...]) -> None:
    """Raise LabelsRefused if there is a fault; the message names all of them."""
    if faults:
        raise LabelsRefused(f"The labels are refused: {'; '.join(map(str, faults))}.", faults[0].hint)


def _check_days(data: LabelledSplit) -> Iterator[LabelFault]:
    """Churned snapshots on days of their own, such as the day of the churn, can be told by the day alone."""
    churned = data.rows[data.rows[CHURNED] == 1]
    shares_day = churned.as_of.isin(data.rows.as_of[data.rows[CHURNED] == 0])
    separate = int((~shares_day).sum())
    if 2 * separate > len(churned):
        yield LabelFault(
            "most churned snapshots are of days that have no snapshot of an account that stayed",
            separate,
            "Take the snapshots of all accounts on the same days.",
        )


def _check_maturity(data: LabelledSplit, label: LabelSettings, known_until: datetime) -> Iterator[LabelFault]:
    is_early = ~is_mature(data.rows, label, known_until) & data.rows[CHURNED].notna()
    yield LabelFault("immature snapshots have a label", int(is_early.sum()), "Leave out days with unknown labels.")


def _check_locked_in(data: LabelledSplit, label: LabelSettings) -> Iterator[LabelFault]:
    if label.locked_in_accounts == "exclude":
        yield LabelFault(
            "accounts whose contract cannot end within the horizon have a label",
            int(is_locked_in(data.rows, data.context, label).sum()),
            'Exclude them, or set label.locked_in_accounts = "keep".',
        )


def _check_notices(data: LabelledSplit, label: LabelSettings) -> Iterator[LabelFault]:
    if label.mode != "event":
        return
    after_notice = int(data.context.notice_until.notna().sum())
    yield LabelFault("snapshots are of accounts that had given notice", after_notice, "Exclude them.")
    leaking = [signal.name for signal in data.signals if "notices" in signal.inputs]
    if leaking:
        rule = f"signals read the notices, which are the label: {', '.join(leaking)}"
        yield LabelFault(rule, len(data.rows), "Use the table `notices` for the label only.")


def _check_embargo(data: LabelledSplit, label: LabelSettings) -> Iterator[LabelFault]:
    split = data.split
    pairs = [(split.fit, split.calibration, label), (split.train, split.test, label)]
    for long in split.long_horizons:
        long_label = label.model_copy(update={"horizon_days": long.horizon_days})
        pairs += [(long.fit, long.calibration, label), (long.calibration, split.test, long_label)]
    for earlier, later, pair_label in pairs:
        if not later:
            continue
        open_days = [day for day in earlier if matures_at(day, pair_label) > later[0]]
        yield LabelFault(
            f"labels of earlier snapshots were still open on {later[0]:%Y-%m-%d}, the day of the next group",
            int(data.rows.as_of.isin(open_days).sum()),
            "Keep lead + horizon + grace between the groups of a split.",
        )
