"""Reach: each horizon is judged on the newest origin whose answers within it are known, and the card says so."""

from datetime import datetime

import numpy as np

from configs.settings import EvaluationSettings
from tests.unit.training.model.test_fit import snapshots
from training.data.time_splits import Split
from training.evaluation.backtest import Origin
from training.evaluation.horizon_metrics import judged_horizons
from training.reports.model_card_sections import reach_lines

SETTINGS = EvaluationSettings(bootstrap_samples=20)


def origin(day: datetime, answers_within_180: bool) -> Origin:
    rows = snapshots(0.3).assign(as_of=day)
    rows["churned_90"], rows["churned_180"] = rows.churned, rows.churned if answers_within_180 else np.nan
    risks = np.linspace(0.1, 0.2, len(rows))
    return Origin(Split((), (), (), (day,)), rows, risks, (), {90: risks, 180: 2 * risks})


def test_a_longer_horizon_is_judged_on_an_older_day():
    newest, older = origin(datetime(2023, 9, 1), False), origin(datetime(2023, 6, 1), True)
    found = judged_horizons([newest, older], SETTINGS)
    assert {days: one["test"] for days, one in found.items() if one} == {"90": ["2023-09-01"], "180": ["2023-06-01"]}
    assert found["180"]["mean_risk"] == 2 * found["90"]["mean_risk"]


def test_a_horizon_whose_answers_nobody_knows_is_not_judged_and_the_card_says_so():
    found = judged_horizons([origin(datetime(2023, 9, 1), False)], SETTINGS)
    assert found["180"] is None
    said = {"judged": found, "left_out": {"30": "too few"}, "own_calibration": {"small": 0.1}}
    card = "\n".join(reach_lines({"horizons": said, "directions": []}))
    assert "- 180 days: given, but no test day's answers are known yet" in card
    assert "- 30 days: left out, too few" in card
    assert "small +0.10" in card
