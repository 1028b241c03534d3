"""The line: a regression beside the trees whose shares are exact, laid only where later days ask for it."""

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
from tests.unit.training.model.test_fit import RECIPE as OF_FEW
from training.model.churn_model import ChurnModel, encode, load_model, save_model
from training.model.ensemble import learn_until_truest
from training.model.fit import fit, inputs_of
from training.model.linear_fit import fit_line

NUMBERS = ("events_28d", "events_91d", "active_days_28d", "days_past_due")
SIGNALS = tuple(one for one in catalogue() if one.name in (*NUMBERS, "plan"))
RECIPE = replace(OF_FEW, signals=SIGNALS)
EXACT = 1e-12


def snapshots(seed: int, n: int = 800) -> pd.DataFrame:
    """Snapshots whose churn rises evenly with every number, which is the same everywhere and hard on trees."""
    generator = np.random.default_rng(seed)
    rows = pd.DataFrame({name: generator.normal(size=n) for name in NUMBERS})
    churned = generator.random(n) < expit(rows.sum(axis=1) - 1)
    plans = generator.choice(["basic", "pro"], n)
    days = {"account_id": [str(i) for i in range(n)], "as_of": datetime(2023, 1, 1)}
    return rows.assign(**days, plan=plans, churned=churned.astype(float))


INPUTS = inputs_of(SIGNALS, snapshots(0))


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    return fit(snapshots(0), snapshots(1), pd.concat([snapshots(0), snapshots(1)]), RECIPE)


@pytest.fixture(scope="module")
def bundle(model, tmp_path_factory) -> ModelBundle:
    return make_bundle(model, Kernel(tmp_path_factory.mktemp("compiled")))


def gappy(seed: int) -> np.ndarray:
    matrix = encode(snapshots(seed), INPUTS)
    matrix[np.random.default_rng(seed).random(matrix.shape) < 0.2] = np.nan
    return matrix


def answers() -> np.ndarray:
    return snapshots(0).churned.to_numpy()


def test_it_is_laid_where_churn_rises_evenly(model):
    assert model.line is not None


def test_it_is_left_out_where_trees_tell_all():
    def steep(seed: int) -> pd.DataFrame:
        rows = snapshots(seed)
        return rows.assign(churned=((rows.events_28d > 0) ^ (rows.events_91d > 0)).astype(float))

    assert learn_until_truest(steep(0), INPUTS, RECIPE.training, steep(1)).line is None


def test_it_is_left_out_where_the_settings_say_so():
    training = RECIPE.training.model_copy(update={"linear_prior_sd": 0})
    assert fit(snapshots(0), snapshots(1), snapshots(2), replace(RECIPE, training=training)).line is None


def test_it_is_left_out_where_of_the_rows_that_it_learns_from_too_few_churned(monkeypatch):
    monkeypatch.setattr("training.model.churn_model.ensemble.of_some_accounts", lambda rows, _: rows[rows.churned == 0])
    assert fit(snapshots(0), snapshots(1), snapshots(2), RECIPE).line is None


def test_its_margins_are_those_of_the_regression():
    numbers = tuple(one for one in INPUTS if one.kind == "number")
    matrix = encode(snapshots(0), numbers)
    scaled = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    ridge = LogisticRegression(C=1 / len(numbers), solver="newton-cholesky").fit(scaled, answers())
    line = fit_line(matrix, answers(), numbers, 1.0)
    assert line.margins(matrix) == pytest.approx(ridge.decision_function(scaled), abs=1e-6)


def test_its_shares_are_the_shapley_values_of_a_linear_model():
    numbers = tuple(one for one in INPUTS if one.kind == "number")
    matrix = encode(snapshots(0), numbers)
    line = fit_line(matrix, answers(), numbers, 1.0)
    intercept = line.level + sum(line.shifts)
    explainer = shap.LinearExplainer((np.array(line.slopes), intercept), Independent(matrix, max_samples=len(matrix)))
    assert np.abs(explainer.shap_values(matrix) - line.shares(matrix)).max() < EXACT
    assert explainer.expected_value == pytest.approx(line.level)


def test_its_shares_are_nothing_on_average_and_add_up_to_the_margin():
    matrix = gappy(0)
    line = fit_line(matrix, answers(), INPUTS, 1.0)
    assert np.abs(line.shares(matrix).mean(axis=0)).max() < EXACT
    assert line.margins(matrix) == pytest.approx(line.level + line.shares(matrix).sum(axis=1))


def test_what_is_missing_has_a_share_of_its_own():
    matrix = encode(snapshots(0), INPUTS)
    place = [one.name for one in INPUTS].index("events_28d")
    matrix[answers() == 1, place] = np.nan  # those who leave no longer say
    line = fit_line(matrix, answers(), INPUTS, 1.0)
    there = line.shares(matrix)[answers() == 0, place]
    assert line.gaps[place] > there.max()


def test_a_value_far_beyond_what_was_seen_counts_as_one_that_is_as_far_out_again():
    matrix = encode(snapshots(0), INPUTS)
    line = fit_line(matrix, answers(), INPUTS, 1.0)
    place = [one.name for one in INPUTS].index("events_28d")
    low, high = matrix[:, place].min(), matrix[:, place].max()
    asked = np.repeat(matrix[:1], 3, axis=0)
    asked[:, place] = [2 * high - low, 10 * high, np.inf]
    assert len(set(line.shares(asked)[:, place])) == 1


def test_a_signal_with_a_direction_does_not_move_the_margin_against_it():
    rows = snapshots(0)
    matrix = encode(rows.assign(days_past_due=-rows.days_past_due), INPUTS)
    place = [one.name for one in INPUTS].index("days_past_due")
    assert INPUTS[place].direction == 1
    assert fit_line(matrix, answers(), INPUTS, 1.0).slopes[place] == 0


def test_a_value_without_end_teaches_nothing_and_counts_as_one_far_out():
    matrix = encode(snapshots(0), INPUTS)
    matrix[0, 0] = np.inf
    line = fit_line(matrix, answers(), INPUTS, 1.0)
    assert np.isfinite(line.margins(matrix)).all()
    assert line.highs[0] < np.inf


def test_where_nothing_is_known_it_is_the_churn_rate():
    line = fit_line(np.full((800, len(INPUTS)), np.nan), answers(), INPUTS, 1.0)
    assert expit(line.margins(gappy(1))) == pytest.approx(answers().mean())


def test_the_same_snapshots_give_the_same_line_to_the_byte():
    assert fit_line(gappy(0), answers(), INPUTS, 1.0) == fit_line(gappy(0), answers(), INPUTS, 1.0)


def test_a_model_with_a_line_is_read_back_as_it_was(model, tmp_path):
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    assert again.is_alike(model)
    assert np.array_equal(again.risks(gappy(3)), model.risks(gappy(3)))


def test_shares_of_trees_and_line_add_up_to_the_margin(model):
    matrix = gappy(3)
    added = model.base_margin + model.contributions(matrix).sum(axis=1)
    assert np.abs(added - model.margins(matrix)).max() < EXACT


def test_a_worker_gives_the_same_shares_and_risks(model, bundle, tmp_path):
    save_bundle(bundle, tmp_path)
    loaded = load_bundle(tmp_path, bundle.kernel)
    matrix = gappy(3)
    assert np.abs(loaded.contributions(matrix) - model.contributions(matrix)).max() < EXACT
    assert np.abs(loaded.risks_within(matrix) - model.risks_within(matrix)).max() < EXACT


def test_it_is_truer_than_the_trees_alone(model):
    training = RECIPE.training.model_copy(update={"linear_prior_sd": 0})
    known = pd.concat([snapshots(0), snapshots(1)])
    alone = fit(snapshots(0), snapshots(1), known, replace(RECIPE, training=training))
    test = snapshots(4, 4_000)

    def loss(one: ChurnModel) -> float:
        risks, churned = one.risks(encode(test, one.inputs)), test.churned.to_numpy()
        return float(-np.mean(churned * np.log(risks) + (1 - churned) * np.log(1 - risks)))

    assert loss(model) < loss(alone)
