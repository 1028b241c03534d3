"""Label checks: each rule finds the fault planted for it, with its number of rows, and none in sound labels."""

from dataclasses import replace
from datetime import datetime

import pandas as pd
import pytest

from configs.errors import LabelsRefused
from configs.sections.label import LabelSettings
from features.signals.registry import catalogue
from training.data.label_checks import LabelledSplit, check_labels, raise_for_faults
from training.data.time_splits import LongHorizon, TimeSplit
from training.labels.build import LabelContext

DAYS = [datetime(2023, month, 1) for month in (1, 4, 7)]
LABEL = LabelSettings(horizon_days=30, grace_days=10)
EVENT = LabelSettings(mode="event", horizon_days=30, grace_days=10)
KNOWN_UNTIL = datetime(2024, 1, 1)
SIGNAL = next(signal for signal in catalogue() if signal.name == "events_28d")


@pytest.fixture
def data() -> LabelledSplit:
    """Ten accounts on three days, of which two churn on each."""
    rows = pd.DataFrame({"account_id": [str(n) for n in range(10)] * 3, "as_of": [d for d in DAYS for _ in range(10)]})
    rows = rows.assign(churned=[1.0, 1.0, *[0.0] * 8] * 3).astype({"as_of": "datetime64[us]"})
    never = pd.Series(pd.NaT, rows.index, dtype="datetime64[us]")
    split = TimeSplit(fit=(DAYS[0],), calibration=(DAYS[1],), train=(DAYS[0], DAYS[1]), test=(DAYS[2],))
    return LabelledSplit(rows, LabelContext(never, never, never), split, (SIGNAL,))


def with_context(data: LabelledSplit, **columns: pd.Series) -> LabelledSplit:
    return replace(data, context=replace(data.context, **columns))


def faults(data: LabelledSplit, label: LabelSettings = LABEL, known_until: datetime = KNOWN_UNTIL) -> list[str]:
    return [str(fault) for fault in check_labels(data, label, known_until)]


def test_sound_labels_have_no_fault(data):
    assert faults(data) == []
    assert faults(data, EVENT) == []


def test_churned_snapshots_on_days_of_their_own_are_refused(data):
    as_of = data.rows.as_of.where(data.rows.churned == 0, pd.Timestamp("2023-05-05"))
    assert faults(replace(data, rows=data.rows.assign(as_of=as_of))) == [
        "most churned snapshots are of days that have no snapshot of an account that stayed (6 rows)"
    ]


def test_immature_labels_are_refused(data):
    assert faults(data, known_until=datetime(2023, 8, 1)) == ["immature snapshots have a label (10 rows)"]


def test_locked_in_accounts_are_refused_if_they_are_excluded(data):
    locked_until = data.context.locked_until.copy()
    locked_until[[3, 4]] = pd.Timestamp("2023-12-31")
    locked_until[5] = pd.Timestamp("2023-01-15")
    planted = with_context(data, locked_until=locked_until)
    exclude = LABEL.model_copy(update={"locked_in_accounts": "exclude"})
    assert faults(planted, exclude) == ["accounts whose contract cannot end within the horizon have a label (2 rows)"]
    assert faults(planted) == []


def test_snapshots_after_a_notice_are_refused(data):
    notice_until = data.context.notice_until.copy()
    notice_until[7] = pd.Timestamp("2023-02-01")
    planted = with_context(data, notice_until=notice_until)
    assert faults(planted, EVENT) == ["snapshots are of accounts that had given notice (1 row)"]


def test_signals_that_read_the_notices_are_refused_by_name(data):
    leaking = replace(SIGNAL, name="notices_given", inputs=("notices",))
    (fault,) = faults(replace(data, signals=(SIGNAL, leaking)), EVENT)
    assert fault == "signals read the notices, which are the label: notices_given (30 rows)"


def test_horizons_that_reach_into_the_next_group_are_refused(data):
    long_label = LABEL.model_copy(update={"horizon_days": 85})
    split = replace(data.split, fit=(), train=(DAYS[1],), calibration=(DAYS[0],))
    assert faults(replace(data, split=split), long_label) == [
        "labels of earlier snapshots were still open on 2023-07-01, the day of the next group (10 rows)"
    ]


@pytest.mark.parametrize(("horizon_days", "rows"), [(150, ["(10 rows)"]), (60, [])])
def test_a_long_horizon_that_reaches_into_the_test_is_refused(data, horizon_days, rows):
    long = LongHorizon(horizon_days, fit=(), calibration=(DAYS[1],))
    messages = faults(replace(data, split=replace(data.split, long_horizons=(long,))))
    assert [message[-9:] for message in messages] == rows


def test_the_error_names_every_fault(data):
    planted = with_context(data, notice_until=data.rows.as_of)
    with pytest.raises(LabelsRefused, match=r"immature .* \(10 rows\); snapshots are of accounts .* \(30 rows\)"):
        raise_for_faults(check_labels(planted, EVENT, datetime(2023, 7, 15)))
