"""Rolling origins: each is fitted on what was known on its day, and judged with its baselines account by account."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.errors import NothingToLearn
from configs.settings import DataSettings, EvaluationSettings, LabelSettings, Settings, TrainingSettings
from features.signals.registry import catalogue
from tests.unit.training.model.test_fit import snapshots
from training.evaluation.backtest import (
    cases,
    earlier_origins,
    fit_on,
    judge,
    origin_splits,
    risks_of,
    rivals,
    unseen_accounts,
)
from training.labels.departures import matures_at
from training.model.fit import Recipe

DAYS = [datetime(2023, 1, 1) + timedelta(days=30 * n) for n in range(14)]
SIGNALS = tuple(one for one in catalogue() if one.name in ("events_28d", "days_until_renewal", "plan"))
SETTINGS = Settings(
    name="acme",
    data=DataSettings(dataset=Path("acme.toml")),
    label=LabelSettings(horizon_days=30, grace_days=10),
    training=TrainingSettings(num_iterations=20, min_data_in_leaf=20, calibration_snapshots=2),
    evaluation=EvaluationSettings(backtest_folds=3, group_kfold=2, bootstrap_samples=50),
)
RECIPE = Recipe(SIGNALS, SETTINGS.training, {"horizon_days": 30}, {"label": "x"})


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.concat([snapshots(0.3, n=400, seed=n).assign(as_of=day) for n, day in enumerate(DAYS)], ignore_index=True)


def test_origins_lie_a_horizon_apart_and_know_nothing_of_their_test():
    splits = origin_splits(DAYS, SETTINGS)
    tests = [one.test[0] for one in splits]
    assert tests == [DAYS[13], DAYS[12], DAYS[11]]
    assert all(matures_at(max(one.known), SETTINGS.label) <= one.test[0] for one in splits)


def test_there_are_only_as_many_origins_as_the_history_allows():
    assert len(origin_splits(DAYS[:7], SETTINGS)) == 2


def test_the_risks_of_an_origin_do_not_change_with_what_came_after(rows):
    split = origin_splits(DAYS, SETTINGS)[1]
    told_later = rows.assign(churned=np.where(rows.as_of > split.test[0], 1 - rows.churned, rows.churned))
    before, after = (judge(fit_on(one, split, RECIPE), one, split, SETTINGS).risks for one in (rows, told_later))
    assert np.array_equal(before, after)


def test_origins_are_pooled_with_their_baselines_in_the_same_order(rows):
    splits = origin_splits(DAYS, SETTINGS)
    newest = judge(fit_on(rows, splits[0], RECIPE), rows, splits[0], SETTINGS)
    earlier, skipped = earlier_origins(rows, splits, RECIPE, SETTINGS)
    pooled = cases([newest, *earlier])
    assert skipped == {}
    assert (len(pooled.churned), pooled.days, len(set(pooled.names))) == (1200, 3, 400)
    assert len(risks_of([newest, *earlier])) == 1200
    assert [len(one.risks) for one in rivals([newest, *earlier])] == [1200] * 4


def test_an_origin_with_too_few_answers_is_skipped_and_says_why(rows):
    splits = origin_splits(DAYS, SETTINGS)
    quiet = rows.assign(churned=rows.churned.where(rows.as_of > DAYS[9], 0.0))
    _, skipped = earlier_origins(quiet, splits, RECIPE, SETTINGS)
    assert list(skipped) == [f"{one.test[0]:%Y-%m-%d}" for one in splits[1:]]
    assert "only 0 churned" in next(iter(skipped.values()))


def test_an_origin_on_whose_day_nobody_churned_is_skipped_and_the_newest_is_refused(rows):
    splits = origin_splits(DAYS, SETTINGS)
    quiet = rows.assign(churned=rows.churned.where(~rows.as_of.isin((DAYS[13], DAYS[12])), 0.0))
    _, skipped = earlier_origins(quiet, splits, RECIPE, SETTINGS)
    assert list(skipped) == [f"{DAYS[12]:%Y-%m-%d}"]
    assert "nobody churned" in skipped[f"{DAYS[12]:%Y-%m-%d}"]
    with pytest.raises(NothingToLearn, match="Of 400 test snapshots of 2024-01-26 nobody churned"):
        judge(fit_on(quiet, splits[0], RECIPE), quiet, splits[0], SETTINGS)


def test_accounts_the_fit_never_saw_are_judged_each_once(rows):
    split = origin_splits(DAYS, SETTINGS)[0]
    found = unseen_accounts(rows, split, RECIPE, SETTINGS)
    assert found is not None
    assert found.snapshots == 400
    assert found.auc.low > 0.5
