"""Scoring: drivers add up exactly to the risk and agree with the shap package."""

import numpy as np
import pandas as pd
import pytest

from configs.sections.bands import BandSettings
from features.store.feast_store import open_history_store, read_historical_signals
from features.store.history import published_history
from features.store.online_reader import values_from_frame
from serving.scoring.driver_text import MAX_SIGNALS_PER_FAMILY, describe_drivers, find_standout
from serving.scoring.model_bundle import make_bundle
from serving.scoring.scores import Scores, assign_bands, risks_by_days, score_values
from serving.scoring.sentences import format_value
from serving.treeshap.kernel import Kernel
from tests.support.trained_model import EXTRACT_END, TrainedModel
from training.data.training_set import snapshots_on
from training.model.churn_model import ChurnModel, encode
from training.registry.mlflow_registry import open_registry

EXACT = 1e-9


@pytest.fixture(scope="module")
def model(trained: TrainedModel) -> ChurnModel:
    registry = open_registry(trained.state, trained.settings.name)
    return registry.load_model(registry.champion())


@pytest.fixture(scope="module")
def rows(trained: TrainedModel) -> pd.DataFrame:
    history, _ = published_history(trained.state)
    return read_historical_signals(
        open_history_store(trained.state, history, "crm5"), snapshots_on(history, [EXTRACT_END])
    )


@pytest.fixture(scope="module")
def scores(model, rows, trained: TrainedModel) -> Scores:
    bundle = make_bundle(model, Kernel(trained.state.compiled_kernels))
    return score_values(bundle, values_from_frame(rows[model.signal_names], bundle.category_names))


def test_base_and_all_points_add_up_to_the_risk(scores):
    assert np.abs(scores.bases + scores.points.sum(axis=1) - scores.risks).max() < EXACT
    assert np.abs(scores.bases + scores.family_points.sum(axis=1) - scores.risks).max() < EXACT


def test_points_add_up_at_every_horizon(scores):
    for column, horizon_days in enumerate(scores.model.calibrator.horizons):
        points = scores.points_within(horizon_days)
        assert (
            np.abs(scores.bases_by_horizon[:, column] + points.sum(axis=1) - scores.risks_by_horizon[:, column]).max()
            < EXACT
        )
        assert np.array_equal(np.sign(points), np.sign(scores.contributions))


def test_a_longer_horizon_never_has_a_smaller_risk(scores):
    assert scores.model.calibrator.horizons == (30, 60, 90, 180)
    assert (np.diff(scores.risks_by_horizon, axis=1) > 0).all()
    assert list(risks_by_days(scores)[0]) == ["30", "60", "90", "180"]
    assert risks_by_days(scores)[0]["60"] == scores.risks[0]


@pytest.mark.parametrize("max_drivers", [0, 1, 3, None])
def test_drivers_and_remaining_points_add_up_to_the_risk(scores, max_drivers):
    for row, explanation in enumerate(describe_drivers(scores, max_drivers)):
        driver_points = sum(
            driver["points"] for driver in [*explanation["drivers"], *explanation["protective_drivers"]]
        )
        assert explanation["base"] + driver_points + explanation["remaining_points"] == pytest.approx(
            scores.risks[row], abs=EXACT
        )
        assert all(driver["points"] > 0 for driver in explanation["drivers"])
        assert all(driver["points"] < 0 for driver in explanation["protective_drivers"])


@pytest.mark.parametrize("max_drivers", [3, None])
def test_signals_add_up_to_the_points_of_their_family(scores, max_drivers):
    explanation = describe_drivers(scores, max_drivers)[0]
    for family in [*explanation["drivers"], *explanation["protective_drivers"]]:
        signal_points = sum(signal["points"] for signal in family["signals"])
        assert signal_points + family["remaining_points"] == pytest.approx(family["points"], abs=EXACT)
        assert max_drivers is None or len(family["signals"]) <= MAX_SIGNALS_PER_FAMILY
        assert max_drivers is not None or abs(family["remaining_points"]) < EXACT


def test_contributions_equal_those_of_shap(scores, model, rows):
    import shap

    matrix = encode(rows.head(200), model.inputs)
    assert np.array_equal(matrix, scores.matrix[:200], equal_nan=True)
    values = np.asarray(shap.TreeExplainer(model.booster)(matrix).values)
    assert np.abs(values - scores.contributions[:200]).max() < EXACT
    assert np.abs(values - model.predict_contributions(matrix)).max() < EXACT
    assert np.abs(model.base_margin + values.sum(axis=1) - model.predict_margins(matrix)).max() < EXACT
    assert np.abs(model.predict_risks_by_horizon(matrix) - scores.risks_by_horizon[:200]).max() < EXACT


def test_a_text_is_about_a_signal_that_is_not_typical(scores):
    rows = describe_drivers(scores)
    reasons = [(row, driver) for row in rows for driver in row["drivers"] + row["protective_drivers"]]
    assert {driver["text"].startswith("Nothing about") for _, driver in reasons} == {True, False}
    for row, driver in reasons:
        standout, family = find_standout(driver), driver["family"]
        if standout is None:
            assert driver["text"] == f"Nothing about {family.replace('_', ' ')} stands out"
            assert row["main_reason"] != family
        else:
            shown, typical = (format_value(standout[key], standout["unit"]) for key in ("value", "typical"))
            assert shown != typical
            assert standout["points"] * driver["points"] > 0


@pytest.mark.parametrize("max_drivers", [0, 1, 3])
def test_a_reason_is_the_same_however_many_are_listed(scores, max_drivers):
    for row, full in zip(describe_drivers(scores, max_drivers), describe_drivers(scores), strict=True):
        assert row["main_reason"] == full["main_reason"]
        texts = [driver["text"] for driver in full["drivers"][:max_drivers]]
        assert [driver["text"] for driver in row["drivers"]] == texts


def test_an_account_like_all_others_has_no_reason(scores):
    segment, typical = max(scores.model.typical_values.items())
    rows = pd.DataFrame([{**typical, "segment": segment}])[scores.model.signal_names]
    values = values_from_frame(rows, scores.model.category_names)
    (row,) = describe_drivers(score_values(scores.model, values), 3)
    assert row["main_reason"] is None
    assert row["drivers"]
    assert all(driver["text"].startswith("Nothing about") for driver in row["drivers"])


def test_one_account_has_the_same_risk_as_in_a_batch(scores):
    single = score_values(scores.model, scores.values.take([5]))
    assert single.risks[0] == scores.risks[5]
    assert np.array_equal(single.points[0], scores.points[5])


def test_an_account_without_signals_still_adds_up(scores, model):
    values = pd.DataFrame({name: [None] for name in scores.model.signal_names})
    result = score_values(scores.model, values_from_frame(values, scores.model.category_names))
    base = model.calibrator.predict_risks(np.array([model.base_margin]))[0, model.main_horizon_index]
    assert base + result.points.sum() == pytest.approx(result.risks[0], abs=EXACT)
    assert result.missing_families.all()


def test_a_missing_column_is_refused_by_name(scores, rows):
    with pytest.raises(KeyError, match="mrr"):
        score_values(scores.model, values_from_frame(rows.drop(columns="mrr"), scores.model.category_names))


def test_an_unknown_category_counts_as_missing(scores, rows):
    column = scores.model.signal_names.index("segment")
    unknown = rows[scores.model.signal_names].head(2).assign(segment=["of Mars", None])
    result = score_values(scores.model, values_from_frame(unknown, scores.model.category_names))
    assert np.isnan(result.matrix[:, column]).all()


def test_bands_begin_at_their_thresholds():
    thresholds = BandSettings(watch=0.1, high=0.2, critical=0.3)
    assert assign_bands(np.array([0.05, 0.1, 0.2, 0.3]), thresholds) == ["low", "watch", "high", "critical"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.314, "share", "31 %"),
        (0.78, "x", "0.78x"),
        (1250.4, "events", "1,250"),
        (99.4, "days", "99"),
        (-99.6, "days", "-100"),
        (None, "days", "not known"),
        (1.0, "0 or 1", "yes"),
        (0.25, "0 or 1", "0.25"),
        ("NY", "", "NY"),
        (-6.5e-15, "x", "0x"),
    ],
)
def test_values_are_formatted_by_unit(value, unit, text):
    assert format_value(value, unit) == text
