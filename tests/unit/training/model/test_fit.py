"""Fitting: the same rows give the same model, too few answers give none, and what a model keeps it gets back."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from configs.errors import NothingToLearn
from configs.settings import TrainingSettings
from features.signals.registry import catalogue
from training.model.churn_model import encode, load_model, save_model
from training.model.fit import Recipe, fit

SIGNALS = tuple(one for one in catalogue() if one.name in ("events_28d", "days_until_renewal", "plan"))
RECIPE = Recipe(SIGNALS, TrainingSettings(num_iterations=20, min_data_in_leaf=20), {"horizon_days": 60}, {"label": "x"})


def snapshots(churned_share: float, n: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Snapshots whose churn depends on their events."""
    generator = np.random.default_rng(seed)
    events = generator.exponential(100, n)
    rows = pd.DataFrame({"account_id": [str(i) for i in range(n)], "as_of": datetime(2023, 1, 1), "events_28d": events})
    rows["days_until_renewal"] = np.where(generator.random(n) < 0.2, np.nan, generator.uniform(0, 365, n))
    rows["plan"] = generator.choice(["basic", "pro"], n)
    rows["churned"] = (generator.random(n) < 2 * churned_share / (1 + events / 50)).astype(float)
    return rows


def test_the_same_rows_and_seed_give_the_same_model_to_the_byte():
    first, second = (fit(snapshots(0.3), snapshots(0.3, seed=1), snapshots(0.3, seed=2), RECIPE) for _ in range(2))
    assert first.booster_text == second.booster_text
    assert first.calibrator == second.calibrator


@pytest.mark.parametrize(("share", "why"), [(0.0, "only 0 churned"), (0.001, "only 1 churned")])
def test_it_refuses_to_learn_from_hardly_any_churn(share, why):
    rows = snapshots(0.0)
    rows.loc[: int(share * len(rows)) - 1, "churned"] = 1.0
    with pytest.raises(NothingToLearn, match=why):
        fit(rows, snapshots(0.3), rows, RECIPE)


def test_a_model_that_was_written_gives_the_same_risks(tmp_path):
    model = fit(snapshots(0.3), snapshots(0.3, seed=1), snapshots(0.3, seed=2), RECIPE)
    save_model(model, tmp_path)
    matrix = encode(snapshots(0.3, seed=3), model.inputs)
    assert np.array_equal(model.risks(matrix), load_model(tmp_path).risks(matrix))
    assert {file.suffix for file in tmp_path.iterdir()} == {".txt", ".json"}


def test_columns_are_taken_by_name_not_by_place():
    model = fit(snapshots(0.3), snapshots(0.3, seed=1), snapshots(0.3, seed=2), RECIPE)
    rows = snapshots(0.3, seed=3)
    assert np.array_equal(encode(rows, model.inputs), encode(rows[rows.columns[::-1]], model.inputs), equal_nan=True)


def test_a_category_never_seen_counts_as_missing():
    model = fit(snapshots(0.3), snapshots(0.3, seed=1), snapshots(0.3, seed=2), RECIPE)
    column = model.names.index("plan")
    assert np.isnan(encode(snapshots(0.3).assign(plan="unheard of"), model.inputs)[:, column]).all()
