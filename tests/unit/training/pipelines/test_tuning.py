"""Search: it never ends with worse than it was given, never sees the test, and goes on where it was stopped."""

import numpy as np
import pandas as pd
import pytest

from configs.errors import NothingToLearn
from tests.unit.training.evaluation.test_backtest import DAYS, RECIPE, SETTINGS
from tests.unit.training.model.test_fit import snapshots
from training.evaluation.backtest import origin_splits
from training.pipelines.tuning import Budget, Notebook, open_search

ORIGINS = origin_splits(DAYS, SETTINGS)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.concat([snapshots(0.3, n=300, seed=n).assign(as_of=day) for n, day in enumerate(DAYS)], ignore_index=True)


def budget(trials: int, stops_after: int | None = None) -> Budget:
    asked = iter(range(1000))
    return Budget(trials, lambda: stops_after is not None and next(asked) >= stops_after, lambda *_: None)


def test_what_is_found_is_no_worse_than_what_was_given(rows, tmp_path):
    found = open_search(rows, ORIGINS, RECIPE, SETTINGS).run(budget(3), Notebook(tmp_path / "search.db", "a"))
    assert found.trials == 3
    assert found.log_loss <= found.log_loss_before
    assert found.training.num_iterations == RECIPE.training.num_iterations


def test_a_search_that_was_stopped_goes_on_and_ends_where_it_would_have(rows, tmp_path):
    search = open_search(rows, ORIGINS, RECIPE, SETTINGS)
    stopped = search.run(budget(4, stops_after=1), Notebook(tmp_path / "stopped.db", "a"))
    assert stopped.trials == 2
    resumed = search.run(budget(4), Notebook(tmp_path / "stopped.db", "a"))
    assert resumed == search.run(budget(4), Notebook(tmp_path / "whole.db", "a"))


def test_no_trial_sees_a_day_that_the_model_is_judged_on(rows):
    first = ORIGINS[-1].test[0]
    told_later = rows.assign(churned=np.where(rows.as_of >= first, 1 - rows.churned, rows.churned))
    losses = {open_search(one, ORIGINS, RECIPE, SETTINGS).loss(RECIPE.training) for one in (rows, told_later)}
    assert len(losses) == 1


def test_a_short_history_is_searched_before_the_newest_tests_and_says_which_it_has_not_seen(rows):
    assert len(open_search(rows, ORIGINS, RECIPE, SETTINGS).unseen) == len(ORIGINS) == 3
    short = origin_splits(DAYS[:9], SETTINGS)
    search = open_search(rows, short, RECIPE, SETTINGS)
    assert 0 < len(search.unseen) < len(short)
    first = next(one for one in short if f"{one.test[-1]:%Y-%m-%d}" == search.unseen[-1]).test[0]
    assert all(max(one.test) < first for one in search.splits)


def test_past_days_that_nothing_can_be_learned_for_are_left_out(rows):
    quiet = rows.assign(churned=rows.churned.where(rows.as_of > DAYS[2], 0.0))
    search = open_search(quiet, ORIGINS, RECIPE, SETTINGS)
    assert 0 < len(search.splits) < len(open_search(rows, ORIGINS, RECIPE, SETTINGS).splits)
    assert search.loss(RECIPE.training) > 0


def test_a_history_too_short_to_search_on_is_refused(rows):
    with pytest.raises(NothingToLearn, match="too few to search on"):
        open_search(rows, origin_splits(DAYS[:6], SETTINGS), RECIPE, SETTINGS)
