"""Secondary metrics: each horizon on the newest fold with known labels, and contraction apart from churn."""

from datetime import datetime

import numpy as np
import pandas as pd

from configs.sections.evaluation import EvaluationSettings
from tests.support.training_rows import snapshots
from training.data.time_splits import TimeSplit
from training.evaluation.backtest import BacktestFold
from training.evaluation.secondary_metrics import evaluate_contraction, evaluate_horizons

SETTINGS = EvaluationSettings(bootstrap_samples=20)


def fold_on(day: datetime, *, knows_180_days: bool) -> BacktestFold:
    rows = snapshots(0.3).assign(as_of=day)
    rows["churned_90"], rows["churned_180"] = rows.churned, rows.churned if knows_180_days else np.nan
    risks = np.linspace(0.1, 0.2, len(rows))
    return BacktestFold(TimeSplit((), (), (), (day,)), rows, risks, (), {90: risks, 180: 2 * risks})


NEWEST = fold_on(datetime(2023, 9, 1), knows_180_days=False)
OLDER = fold_on(datetime(2023, 6, 1), knows_180_days=True)


def test_a_longer_horizon_is_evaluated_on_an_older_fold():
    horizons = evaluate_horizons([NEWEST, OLDER], SETTINGS)
    main, long = horizons["90"], horizons["180"]
    assert main and long
    assert (main.test_days, long.test_days) == (("2023-09-01",), ("2023-06-01",))
    assert long.metrics["mean_risk"] == 2 * main.metrics["mean_risk"]


def test_a_horizon_without_known_labels_has_no_metrics():
    assert evaluate_horizons([NEWEST], SETTINGS)["180"] is None


def fold_of(rows: pd.DataFrame, risks: list[float]) -> BacktestFold:
    return BacktestFold(TimeSplit((), (), (), (datetime(2023, 6, 1),)), rows, np.array(risks), ())


def test_contracted_accounts_are_ranked_among_those_that_stayed():
    rows = pd.DataFrame({"account_id": list("abcdef"), "churned": [1, 0, 0, 0, 0, 0.0]})
    rows["contracted"] = [0, 1, 0, 0, 0, np.nan]
    metrics = evaluate_contraction([fold_of(rows, [0.9, 0.5, 0.4, 0.3, 0.2, 0.1])], SETTINGS)
    counts = {name: (m["churned"], m["snapshots"], m["auc"]) for name, m in metrics.items() if m}
    assert counts == {"contracted": (1, 4, 1.0), "churned or contracted": (2, 5, 1.0)}


def test_without_contraction_labels_there_are_no_metrics():
    rows = pd.DataFrame({"account_id": ["a"], "churned": [0.0]})
    assert evaluate_contraction([fold_of(rows, [0.1])], SETTINGS) == {}
