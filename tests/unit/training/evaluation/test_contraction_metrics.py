"""The second label: who shrank is counted apart from who left, and the card says how far the risk warns of it."""

from datetime import datetime

import numpy as np
import pandas as pd

from configs.settings import EvaluationSettings, LabelSettings
from tests.conftest import raw_tables, subscription
from training.data.time_splits import Split
from training.evaluation.backtest import Origin
from training.evaluation.contraction_metrics import judged_contraction
from training.labels.build import answers, second_answers
from training.reports.model_card_sections import second_lines

SETTINGS = EvaluationSettings(bootstrap_samples=20)
DAY, START = datetime(2023, 6, 1), datetime(2023, 1, 1)


def test_an_account_that_shrinks_stays_and_one_that_leaves_does_not_shrink():
    rows = [
        subscription("shrinks", START, datetime(2023, 6, 15), mrr=100.0),
        subscription("shrinks", datetime(2023, 6, 15), mrr=50.0),
        subscription("leaves", START, datetime(2023, 6, 20), mrr=100.0),
    ]
    asked = pd.DataFrame({"account_id": ["shrinks", "leaves"], "as_of": [DAY, DAY]}).astype({"as_of": "datetime64[us]"})
    known = (raw_tables(subscriptions=rows), asked, LabelSettings(horizon_days=30, grace_days=0), datetime(2024, 1, 1))
    shrank = second_answers(*known)
    assert shrank is not None
    assert (list(answers(*known)), list(shrank)) == ([0.0, 1.0], [1.0, 0.0])


def test_who_shrank_is_ranked_among_those_who_stayed():
    test = pd.DataFrame({"account_id": list("abcdef"), "churned": [1, 0, 0, 0, 0, 0.0]})
    test["contracted"] = [0, 1, 0, 0, 0, np.nan]
    origin = Origin(Split((), (), (), (DAY,)), test, np.array([0.9, 0.5, 0.4, 0.3, 0.2, 0.1]), ())
    found = judged_contraction([origin], SETTINGS)
    assert {name: (one["events"], one["snapshots"], one["auc"]) for name, one in found.items()} == {
        "contracted": (1, 4, 1.0),
        "churned or contracted": (2, 5, 1.0),
    }
    assert "- contracted: 1 of 4, rate 0.2500" in "\n".join(second_lines({"second_label": found}))


def test_where_nothing_tells_a_contraction_nothing_is_said():
    origin = Origin(
        Split((), (), (), (DAY,)), pd.DataFrame({"account_id": ["a"], "churned": [0.0]}), np.array([0.1]), ()
    )
    assert judged_contraction([origin], SETTINGS) == {}
    assert second_answers({}, pd.DataFrame(), LabelSettings(), DAY) is None
