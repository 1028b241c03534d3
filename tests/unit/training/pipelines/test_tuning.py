"""Tuning: the result is no worse than the initial settings, never depends on the test, and can be continued."""

import itertools

import numpy as np
import pandas as pd
import pytest

from configs.errors import NothingToLearn
from tests.support.backtest_rows import DAYS, FIT_CONFIG, SETTINGS
from tests.support.progress import ignore_progress
from tests.support.training_rows import snapshots
from training.evaluation.backtest import backtest_splits
from training.pipelines.tuning import HyperparameterSearch, SearchBudget, TrialStorage, prepare_search

BACKTEST = backtest_splits(DAYS, SETTINGS)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.concat([snapshots(0.3, n=300, seed=n).assign(as_of=day) for n, day in enumerate(DAYS)], ignore_index=True)


def search_on(rows: pd.DataFrame) -> HyperparameterSearch:
    return prepare_search(rows, BACKTEST, FIT_CONFIG, SETTINGS)


def budget(trials: int, max_trials: int = 1000) -> SearchBudget:
    count = itertools.count()
    return SearchBudget(trials, lambda: next(count) >= max_trials, ignore_progress)


@pytest.mark.slow
def test_the_result_is_no_worse_than_the_initial_settings(rows, tmp_path):
    result = search_on(rows).run(budget(3), TrialStorage(tmp_path / "search.db", "a"))
    assert result.trials == 3
    assert result.log_loss <= result.initial_log_loss
    assert result.training.num_iterations == FIT_CONFIG.training.num_iterations


@pytest.mark.slow
def test_a_stopped_search_continues_to_the_same_result(rows, tmp_path):
    search = search_on(rows)
    stopped = search.run(budget(4, max_trials=1), TrialStorage(tmp_path / "stopped.db", "a"))
    assert stopped.trials == 2
    continued = search.run(budget(4), TrialStorage(tmp_path / "stopped.db", "a"))
    assert continued == search.run(budget(4), TrialStorage(tmp_path / "complete.db", "a"))


@pytest.mark.slow
def test_no_trial_sees_the_labels_of_a_test_day(rows):
    is_test = rows.as_of >= BACKTEST[-1].test[0]
    flipped = rows.assign(churned=np.where(is_test, 1 - rows.churned, rows.churned))
    assert search_on(rows).loss(FIT_CONFIG.training) == search_on(flipped).loss(FIT_CONFIG.training)


def test_a_long_history_is_searched_before_every_test_day(rows):
    assert len(search_on(rows).unseen_test_days) == len(BACKTEST) == 3


def test_a_short_history_is_searched_before_the_last_tests(rows):
    short = backtest_splits(DAYS[:9], SETTINGS)
    search = prepare_search(rows, short, FIT_CONFIG, SETTINGS)
    assert 0 < len(search.unseen_test_days) < len(short)
    oldest_unseen = next(split for split in short if f"{split.test[-1]:%Y-%m-%d}" == search.unseen_test_days[-1])
    assert all(max(split.test) < oldest_unseen.test[0] for split in search.splits)


def test_past_days_with_too_few_churned_accounts_are_left_out(rows):
    quiet = rows.assign(churned=rows.churned.where(rows.as_of > DAYS[2], 0.0))
    search = search_on(quiet)
    assert 0 < len(search.splits) < len(search_on(rows).splits)
    assert search.loss(FIT_CONFIG.training) > 0


def test_a_history_that_is_too_short_is_refused(rows):
    with pytest.raises(NothingToLearn, match="too few days before the test days to tune on"):
        prepare_search(rows, backtest_splits(DAYS[:6], SETTINGS), FIT_CONFIG, SETTINGS)
