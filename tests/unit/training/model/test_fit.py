"""Fitting: the same rows give the same model, too few labels give none, and a saved model is read back unchanged."""

from dataclasses import replace

import numpy as np
import pytest

from configs.errors import NothingToLearn
from tests.support.training_rows import FIT_CONFIG, fit_rows, snapshots
from training.model.churn_model import ChurnModel, encode, load_model, save_model
from training.model.fit import fit_churn_model


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    return fit_churn_model(fit_rows(), FIT_CONFIG)


def test_the_same_rows_and_seed_give_the_same_model_to_the_byte(model):
    again = fit_churn_model(fit_rows(), FIT_CONFIG)
    assert again.booster_text == model.booster_text
    assert again.calibrator == model.calibrator


@pytest.mark.parametrize(("share", "message"), [(0.0, "only 0 churned"), (0.001, "only 1 churned")])
def test_too_few_churned_snapshots_are_refused(share, message):
    rows = snapshots(0.0)
    rows.loc[: int(share * len(rows)) - 1, "churned"] = 1.0
    with pytest.raises(NothingToLearn, match=message):
        fit_churn_model(replace(fit_rows(), fit=rows), FIT_CONFIG)


def test_a_saved_model_gives_the_same_risks(model, tmp_path):
    save_model(model, tmp_path)
    matrix = encode(snapshots(0.3, seed=3), model.inputs)
    assert np.array_equal(model.predict_risks(matrix), load_model(tmp_path).predict_risks(matrix))
    assert {file.suffix for file in tmp_path.iterdir()} == {".txt", ".json"}


def test_columns_are_read_by_name_in_any_order(model):
    rows = snapshots(0.3, seed=3)
    assert np.array_equal(encode(rows, model.inputs), encode(rows[rows.columns[::-1]], model.inputs), equal_nan=True)


def test_an_unknown_category_counts_as_missing(model):
    column = model.signal_names.index("plan")
    assert np.isnan(encode(snapshots(0.3).assign(plan="unknown"), model.inputs)[:, column]).all()
