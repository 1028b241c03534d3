"""Backtest: each fold is fitted on what was known on its day, and evaluated with its baselines."""

import numpy as np
import pytest

from configs.errors import NothingToLearn
from tests.support.backtest_rows import DAYS, FIT_CONFIG, SETTINGS
from training.evaluation.backtest import (
    backtest_splits,
    evaluate_earlier_folds,
    evaluate_fold,
    evaluate_unseen_accounts,
    fit_split,
    pooled_baselines,
    pooled_data,
    pooled_risks,
)
from training.labels.definition import matures_at


def test_no_label_of_a_fold_reaches_into_its_test():
    splits = backtest_splits(DAYS, SETTINGS)
    assert [split.test[0] for split in splits] == [DAYS[13], DAYS[12], DAYS[11]]
    assert all(matures_at(max(split.train), SETTINGS.label) <= split.test[0] for split in splits)


def test_a_short_history_has_fewer_folds():
    assert len(backtest_splits(DAYS[:7], SETTINGS)) == 2


def test_later_labels_do_not_change_the_risks_of_a_fold(rows):
    split = backtest_splits(DAYS, SETTINGS)[1]
    changed_later = rows.assign(churned=np.where(rows.as_of > split.test[0], 1 - rows.churned, rows.churned))
    before, after = (
        evaluate_fold(fit_split(history, split, FIT_CONFIG), history, split, SETTINGS).risks
        for history in (rows, changed_later)
    )
    assert np.array_equal(before, after)


def test_folds_are_pooled_with_their_baselines_in_one_order(rows):
    splits = backtest_splits(DAYS, SETTINGS)
    newest = evaluate_fold(fit_split(rows, splits[0], FIT_CONFIG), rows, splits[0], SETTINGS)
    earlier, skipped = evaluate_earlier_folds(rows, splits, FIT_CONFIG, SETTINGS)
    pooled = pooled_data([newest, *earlier])
    assert skipped == {}
    assert (len(pooled.churned), pooled.day_count, len(set(pooled.clusters))) == (1200, 3, 400)
    assert len(pooled_risks([newest, *earlier])) == 1200
    assert [len(baseline.risks) for baseline in pooled_baselines([newest, *earlier])] == [1200] * 4


def test_a_fold_with_too_few_churned_is_skipped_with_the_reason(rows):
    splits = backtest_splits(DAYS, SETTINGS)
    without_churn = rows.assign(churned=rows.churned.where(rows.as_of > DAYS[9], 0.0))
    _, skipped = evaluate_earlier_folds(without_churn, splits, FIT_CONFIG, SETTINGS)
    assert list(skipped) == [f"{split.test[0]:%Y-%m-%d}" for split in splits[1:]]
    assert "only 0 churned" in next(iter(skipped.values()))


def test_a_test_day_without_churn_is_skipped_or_refused(rows):
    splits = backtest_splits(DAYS, SETTINGS)
    without_churn = rows.assign(churned=rows.churned.where(~rows.as_of.isin((DAYS[13], DAYS[12])), 0.0))
    _, skipped = evaluate_earlier_folds(without_churn, splits, FIT_CONFIG, SETTINGS)
    assert list(skipped) == [f"{DAYS[12]:%Y-%m-%d}"]
    assert "none churned" in skipped[f"{DAYS[12]:%Y-%m-%d}"]
    model = fit_split(without_churn, splits[0], FIT_CONFIG)
    with pytest.raises(NothingToLearn, match="Of 400 test snapshots of 2024-01-26 none churned"):
        evaluate_fold(model, without_churn, splits[0], SETTINGS)


def test_unseen_accounts_are_each_evaluated_once(rows):
    scorecard = evaluate_unseen_accounts(rows, backtest_splits(DAYS, SETTINGS)[0], FIT_CONFIG, SETTINGS)
    assert scorecard is not None
    assert scorecard.snapshots == 400
    assert scorecard.auc.low > 0.5
