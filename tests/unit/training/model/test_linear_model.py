"""Linear model: a regression beside the trees with exact contributions, used only if it helps on later days."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
import shap
from scipy.special import expit
from shap.maskers import Independent
from sklearn.linear_model import LogisticRegression

from features.signals.registry import catalogue
from serving.scoring.model_bundle import ModelBundle, load_bundle, make_bundle, save_bundle
from serving.treeshap.kernel import Kernel
from tests.support import training_rows
from training.model.churn_model import ChurnModel, encode, load_model, save_model
from training.model.ensemble import fit_with_early_stopping
from training.model.fit import FitRows, build_inputs, fit_churn_model
from training.model.linear_fit import fit_linear_model

NUMBERS = ("events_28d", "events_91d", "active_days_28d", "days_past_due")
SIGNALS = tuple(signal for signal in catalogue() if signal.name in (*NUMBERS, "plan"))
FIT_CONFIG = replace(training_rows.FIT_CONFIG, signals=SIGNALS)
TREES_ONLY = replace(FIT_CONFIG, training=FIT_CONFIG.training.model_copy(update={"linear_prior_sd": 0}))
TOLERANCE = 1e-12


def snapshots(seed: int, n: int = 800) -> pd.DataFrame:
    """Snapshots whose churn rises steadily with every number, which is hard for trees."""
    generator = np.random.default_rng(seed)
    rows = pd.DataFrame({name: generator.normal(size=n) for name in NUMBERS})
    churned = generator.random(n) < expit(rows.sum(axis=1) - 1)
    plans = generator.choice(["basic", "pro"], n)
    keys = {"account_id": [str(i) for i in range(n)], "as_of": datetime(2023, 1, 1)}
    return rows.assign(**keys, plan=plans, churned=churned.astype(float))


INPUTS = build_inputs(SIGNALS, snapshots(0))
NUMERIC_INPUTS = tuple(signal for signal in INPUTS if signal.kind == "number")
COLUMN = {signal.name: column for column, signal in enumerate(INPUTS)}
CHURNED = snapshots(0).churned.to_numpy()


def fit_rows(*train: int) -> FitRows:
    return FitRows(snapshots(0), snapshots(1), pd.concat([snapshots(seed) for seed in train]))


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    return fit_churn_model(fit_rows(0, 1), FIT_CONFIG)


@pytest.fixture(scope="module")
def bundle(model, tmp_path_factory) -> ModelBundle:
    return make_bundle(model, Kernel(tmp_path_factory.mktemp("compiled")))


def matrix_with_gaps(seed: int) -> np.ndarray:
    matrix = encode(snapshots(seed), INPUTS)
    matrix[np.random.default_rng(seed).random(matrix.shape) < 0.2] = np.nan
    return matrix


def test_it_is_used_if_churn_rises_steadily(model):
    assert model.linear_model is not None


def test_it_is_not_used_if_trees_explain_everything():
    def steep(seed: int) -> pd.DataFrame:
        rows = snapshots(seed)
        return rows.assign(churned=((rows.events_28d > 0) ^ (rows.events_91d > 0)).astype(float))

    assert fit_with_early_stopping(steep(0), INPUTS, FIT_CONFIG.training, steep(1)).linear_model is None


def test_it_is_not_used_if_the_settings_switch_it_off():
    assert fit_churn_model(fit_rows(2), TREES_ONLY).linear_model is None


def test_it_is_not_used_if_its_sample_has_too_few_churned(monkeypatch):
    monkeypatch.setattr("training.model.ensemble.sample_accounts", lambda rows, _: rows[rows.churned == 0])
    assert fit_churn_model(fit_rows(2), FIT_CONFIG).linear_model is None


def test_its_margins_are_those_of_the_regression():
    matrix = encode(snapshots(0), NUMERIC_INPUTS)
    scaled = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    ridge = LogisticRegression(C=1 / len(NUMERIC_INPUTS), solver="newton-cholesky").fit(scaled, CHURNED)
    fitted = fit_linear_model(matrix, CHURNED, NUMERIC_INPUTS, 1.0)
    assert fitted.predict_margins(matrix) == pytest.approx(ridge.decision_function(scaled), abs=1e-6)


def test_its_contributions_are_shapley_values():
    matrix = encode(snapshots(0), NUMERIC_INPUTS)
    fitted = fit_linear_model(matrix, CHURNED, NUMERIC_INPUTS, 1.0)
    coefficients = (np.array(fitted.slopes), fitted.intercept + sum(fitted.shifts))
    explainer = shap.LinearExplainer(coefficients, Independent(matrix, max_samples=len(matrix)))
    assert np.abs(explainer.shap_values(matrix) - fitted.predict_contributions(matrix)).max() < TOLERANCE
    assert explainer.expected_value == pytest.approx(fitted.intercept)


def test_its_contributions_add_up_to_the_margin():
    matrix = matrix_with_gaps(0)
    fitted = fit_linear_model(matrix, CHURNED, INPUTS, 1.0)
    contributions = fitted.predict_contributions(matrix)
    assert np.abs(contributions.mean(axis=0)).max() < TOLERANCE
    assert fitted.predict_margins(matrix) == pytest.approx(fitted.intercept + contributions.sum(axis=1))


def test_a_missing_value_has_a_term_of_its_own():
    matrix, column = encode(snapshots(0), INPUTS), COLUMN["events_28d"]
    matrix[CHURNED == 1, column] = np.nan  # missing for the churned accounts only
    fitted = fit_linear_model(matrix, CHURNED, INPUTS, 1.0)
    assert fitted.missing_terms[column] > fitted.predict_contributions(matrix)[CHURNED == 0, column].max()


def test_a_value_is_clipped_one_range_beyond_training_data():
    matrix, column = encode(snapshots(0), INPUTS), COLUMN["events_28d"]
    fitted = fit_linear_model(matrix, CHURNED, INPUTS, 1.0)
    low, high = matrix[:, column].min(), matrix[:, column].max()
    extreme = np.repeat(matrix[:1], 3, axis=0)
    extreme[:, column] = [2 * high - low, 10 * high, np.inf]
    assert len(set(fitted.predict_contributions(extreme)[:, column])) == 1


def test_a_slope_against_the_declared_direction_is_0():
    rows = snapshots(0)
    matrix, column = encode(rows.assign(days_past_due=-rows.days_past_due), INPUTS), COLUMN["days_past_due"]
    assert INPUTS[column].direction == 1
    assert fit_linear_model(matrix, CHURNED, INPUTS, 1.0).slopes[column] == 0


def test_an_infinite_value_is_ignored_in_the_fit_and_clipped():
    matrix = encode(snapshots(0), INPUTS)
    matrix[0, 0] = np.inf
    fitted = fit_linear_model(matrix, CHURNED, INPUTS, 1.0)
    assert np.isfinite(fitted.predict_margins(matrix)).all()
    assert fitted.clip_high[0] < np.inf


def test_without_any_value_it_gives_the_churn_rate():
    fitted = fit_linear_model(np.full((800, len(INPUTS)), np.nan), CHURNED, INPUTS, 1.0)
    assert expit(fitted.predict_margins(matrix_with_gaps(1))) == pytest.approx(CHURNED.mean())


def test_the_same_snapshots_give_the_same_model_to_the_byte():
    first, second = (fit_linear_model(matrix_with_gaps(0), CHURNED, INPUTS, 1.0) for _ in range(2))
    assert first == second


def test_a_saved_model_is_read_back_unchanged(model, tmp_path):
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.has_same_margins_as(model)
    assert np.array_equal(loaded.predict_risks(matrix_with_gaps(3)), model.predict_risks(matrix_with_gaps(3)))


def test_all_contributions_add_up_to_the_margin(model):
    matrix = matrix_with_gaps(3)
    total = model.base_margin + model.predict_contributions(matrix).sum(axis=1)
    assert np.abs(total - model.predict_margins(matrix)).max() < TOLERANCE


def test_a_bundle_gives_the_same_contributions_and_risks(model, bundle, tmp_path):
    save_bundle(bundle, tmp_path)
    loaded = load_bundle(tmp_path, bundle.kernel)
    matrix = matrix_with_gaps(3)
    assert np.abs(loaded.predict_contributions(matrix) - model.predict_contributions(matrix)).max() < TOLERANCE
    assert np.abs(loaded.predict_risks_by_horizon(matrix) - model.predict_risks_by_horizon(matrix)).max() < TOLERANCE


def test_its_log_loss_is_lower_than_that_of_the_trees_alone(model):
    trees_only = fit_churn_model(fit_rows(0, 1), TREES_ONLY)
    test = snapshots(4, 4_000)

    def log_loss(fitted: ChurnModel) -> float:
        risks, churned = fitted.predict_risks(encode(test, fitted.inputs)), test.churned.to_numpy()
        return float(-np.mean(churned * np.log(risks) + (1 - churned) * np.log(1 - risks)))

    assert log_loss(model) < log_loss(trees_only)
