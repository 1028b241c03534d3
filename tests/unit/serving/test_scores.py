"""Scoring: drivers add up exactly to the risk, and agree with an independent explainer."""

import numpy as np
import pandas as pd
import pytest

from configs.settings import BandSettings
from features.store.feast_store import open_store, read_history
from features.store.online_reader import values_of
from features.store.publication import published_edition
from serving.scoring.driver_text import MAX_SIGNALS_PER_FAMILY, describe_drivers, format_value
from serving.scoring.model_bundle import make_bundle
from serving.scoring.scores import Scores, assign_bands, risks_by_horizon, score_values
from serving.treeshap.kernel import Kernel
from tests.conftest import EXTRACT_ENDS
from training.data.training_set import snapshots_on
from training.model.churn_model import ChurnModel, encode
from training.registry.mlflow_registry import open_registry

EXACT = 1e-9


@pytest.fixture(scope="module")
def model(trained) -> ChurnModel:
    registry = open_registry(trained.state, trained.settings.name)
    return registry.load(registry.champion())


@pytest.fixture(scope="module")
def rows(trained) -> pd.DataFrame:
    place, _ = published_edition(trained.state)
    return read_history(open_store(trained.state, "crm5"), snapshots_on(place, [EXTRACT_ENDS]))


@pytest.fixture(scope="module")
def scores(model, rows, trained) -> Scores:
    bundle = make_bundle(model, Kernel(trained.state.compiled))
    return score_values(bundle, values_of(rows[model.names], bundle.categories))


def test_base_and_all_points_add_up_to_the_risk(scores):
    assert np.abs(scores.bases + scores.points.sum(axis=1) - scores.risks).max() < EXACT
    assert np.abs(scores.bases + scores.family_points.sum(axis=1) - scores.risks).max() < EXACT


def test_points_add_up_within_every_horizon_and_keep_the_order_of_the_drivers(scores):
    for column, horizon_days in enumerate(scores.model.calibrator.horizons):
        points = scores.points_within(horizon_days)
        assert (
            np.abs(scores.bases_within[:, column] + points.sum(axis=1) - scores.risks_within[:, column]).max() < EXACT
        )
        assert np.array_equal(np.sign(points), np.sign(scores.shares))


def test_a_longer_horizon_never_has_a_smaller_risk(scores):
    assert scores.model.calibrator.horizons == (30, 60, 90, 180)
    assert (np.diff(scores.risks_within, axis=1) > 0).all()
    assert list(risks_by_horizon(scores)[0]) == ["30", "60", "90", "180"]
    assert risks_by_horizon(scores)[0]["60"] == scores.risks[0]


@pytest.mark.parametrize("most", [0, 1, 3, None])
def test_what_is_named_and_the_rest_add_up_to_the_risk(scores, most):
    for row, told in enumerate(describe_drivers(scores, most)):
        named = sum(one["points"] for one in [*told["drivers"], *told["protective"]])
        assert told["base"] + named + told["other_points"] == pytest.approx(scores.risks[row], abs=EXACT)
        assert all(one["points"] > 0 for one in told["drivers"])
        assert all(one["points"] < 0 for one in told["protective"])


@pytest.mark.parametrize("most", [3, None])
def test_the_signals_of_a_family_and_its_others_add_up_to_the_family(scores, most):
    told = describe_drivers(scores, most)[0]
    for family in [*told["drivers"], *told["protective"]]:
        named = sum(one["points"] for one in family["signals"])
        assert named + family["other_points"] == pytest.approx(family["points"], abs=EXACT)
        assert most is None or len(family["signals"]) <= MAX_SIGNALS_PER_FAMILY
        assert most is not None or abs(family["other_points"]) < EXACT


def test_the_shares_of_the_margin_are_those_of_shap(scores, model, rows):
    import shap

    matrix = encode(rows.head(200), model.inputs)
    assert np.array_equal(matrix, scores.matrix[:200], equal_nan=True)
    values = np.asarray(shap.TreeExplainer(model.booster)(matrix).values)
    assert np.abs(values - scores.shares[:200]).max() < EXACT
    assert np.abs(values - model.contributions(matrix)).max() < EXACT
    assert np.abs(model.base_margin + values.sum(axis=1) - model.margins(matrix)).max() < EXACT
    assert np.abs(model.risks_within(matrix) - scores.risks_within[:200]).max() < EXACT


def test_one_account_alone_has_the_risk_it_has_in_a_batch(scores):
    alone = score_values(scores.model, scores.values.take([5]))
    assert alone.risks[0] == scores.risks[5]
    assert np.array_equal(alone.points[0], scores.points[5])


def test_an_account_about_which_nothing_is_known_still_adds_up(scores, model):
    nothing = pd.DataFrame({name: [None] for name in scores.model.names})
    found = score_values(scores.model, values_of(nothing, scores.model.categories))
    assert model.base + found.points.sum() == pytest.approx(found.risks[0], abs=EXACT)
    assert found.missing.all()


def test_a_missing_signal_is_refused_by_name(scores, rows):
    with pytest.raises(KeyError, match="mrr"):
        score_values(scores.model, values_of(rows.drop(columns="mrr"), scores.model.categories))


def test_a_category_never_seen_in_training_counts_as_missing(scores, rows):
    column = scores.model.names.index("segment")
    strange = rows[scores.model.names].head(2).assign(segment=["of Mars", None])
    found = score_values(scores.model, values_of(strange, scores.model.categories))
    assert np.isnan(found.matrix[:, column]).all()


def test_bands_begin_at_their_cuts():
    cuts = BandSettings(watch=0.1, high=0.2, critical=0.3)
    assert assign_bands(np.array([0.05, 0.1, 0.2, 0.3]), cuts) == ["low", "watch", "high", "critical"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.314, "share", "31 %"),
        (0.78, "x", "0.78x"),
        (1250.4, "events", "1,250"),
        (None, "days", "not known"),
        (1.0, "0 or 1", "yes"),
        (0.25, "0 or 1", "0.25"),
        ("NY", "", "NY"),
        (-6.5e-15, "x", "0x"),
    ],
)
def test_values_are_shown_as_people_write_them(value, unit, text):
    assert format_value(value, unit) == text
