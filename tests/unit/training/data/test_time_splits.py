"""Time splits: no label of one group reaches into the next."""

from datetime import datetime

import pytest

from configs.errors import NothingToLearn
from configs.sections.label import LabelSettings
from configs.sections.training import TrainingSettings
from training.data.time_splits import split_days
from training.labels.definition import matures_at

MONTHS = [datetime(2023, month, 1) for month in range(1, 13)]
LABEL = LabelSettings(lead_days=7, horizon_days=30, grace_days=10)
TRAINING = TrainingSettings(calibration_snapshots=2)


def test_labels_of_a_group_are_known_before_the_next_group():
    split = split_days(MONTHS, LABEL, TRAINING)
    assert split.test == (datetime(2023, 12, 1),)
    assert split.calibration == (datetime(2023, 9, 1), datetime(2023, 10, 1))
    assert max(matures_at(day, LABEL) for day in split.train) <= split.test[0]
    assert max(matures_at(day, LABEL) for day in split.fit) <= split.calibration[0]


def test_a_history_that_is_too_short_is_refused():
    with pytest.raises(NothingToLearn, match="4 mature days of snapshots are too few"):
        split_days(MONTHS[:4], LABEL, TRAINING)
