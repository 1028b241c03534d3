"""Adoption: another company's model keeps its ranking on signals of this company, and its level follows departures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.support.recalibration_rows import fit_two_horizons
from tests.support.training_rows import FIT_CONFIG, snapshots
from training.model.adoption import calibrate_with_prior, distil_model, mix_accounts, shared_variance
from training.model.churn_model import ChurnModel, encode
from training.model.recalibration import LinePrior

CONFIG = replace(FIT_CONFIG, horizons=(30, 60, 90))


@pytest.fixture(scope="module")
def source() -> ChurnModel:
    return fit_two_horizons()


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return snapshots(0.3, n=300, seed=11).drop(columns="churned")


@pytest.fixture(scope="module")
def distilled(source, rows) -> ChurnModel:
    return distil_model(source, rows, CONFIG)


def margins_of(model: ChurnModel, rows: pd.DataFrame) -> np.ndarray:
    return model.predict_margins(encode(rows, model.inputs))


def test_margins_of_other_accounts_are_near_those_of_the_source(source, distilled):
    others = snapshots(0.3, n=500, seed=12)
    source_margins, own = margins_of(source, others), margins_of(distilled, others)
    assert np.corrcoef(source_margins, own)[0, 1] > 0.99
    assert np.abs(source_margins - own).mean() < 0.1 * source_margins.std()


def test_fewer_trees_share_less_of_the_variance(source, distilled, rows):
    poorer = replace(distilled, booster_text=distilled.booster.model_to_string(num_iteration=2))
    few, all_trees = (shared_variance(source, model, rows) for model in (poorer, distilled))
    assert 0 < few < 0.95
    assert 0.98 < all_trees <= 1


def test_the_same_rows_give_the_same_model(source, rows, distilled):
    assert distil_model(source, rows, CONFIG) == distilled


def test_a_signal_that_is_missing_here_leaves_a_ranking(source, rows):
    without_renewal = tuple(signal for signal in CONFIG.signals if signal.name != "days_until_renewal")
    model = distil_model(source, rows, replace(CONFIG, signals=without_renewal))
    others = snapshots(0.3, n=500, seed=12)
    assert model.signal_names == [signal.name for signal in without_renewal]
    assert np.corrcoef(margins_of(source, others), margins_of(model, others))[0, 1] > 0.9


def test_nothing_that_describes_the_other_company_is_kept(source, distilled):
    of_segments = replace(source, calibrator=replace(source.calibrator, offsets={"small": 0.3}), bands={"watch": 0.1})
    adopted = distil_model(of_segments, snapshots(0.3, n=100), CONFIG)
    assert (dict(adopted.calibrator.offsets), dict(adopted.bands), adopted.past) == ({}, {}, None)
    assert distilled.typical_values["*"]["events_28d"] != source.typical_values["*"]["events_28d"]


def test_a_horizon_that_the_source_lacks_is_unavailable(distilled):
    assert distilled.calibrator.horizons == (30, 60)
    assert distilled.unavailable_horizons == {"90": "the adopted model has no such horizon"}


def labelled(rows: pd.DataFrame, departures: int) -> pd.DataFrame:
    return rows.assign(churned=np.arange(len(rows)) < departures).astype({"churned": "float64"})


def mean_risk(model: ChurnModel, rows: pd.DataFrame) -> float:
    return float(model.predict_risks(encode(rows, model.inputs)).mean())


def test_the_level_follows_departures_as_far_as_they_are_evidence(distilled, rows):
    before = mean_risk(distilled, rows)
    none, few, many = (mean_risk(calibrate_with_prior(distilled, labelled(rows, n)), rows) for n in (0, 30, 150))
    assert 0 < none < few < many
    assert few == pytest.approx(0.1, abs=0.02)  # 30 of 300 left, the other company's rate is 0.3
    assert 0.001 < none < before / 5  # nobody left: low, but not zero


def test_the_level_is_less_certain_after_few_departures(distilled, rows):
    few, many = (calibrate_with_prior(distilled, labelled(rows, n)).level_sd for n in (3, 100))
    assert few is not None and many is not None
    assert many < 0.2 < few < 1.0


def test_a_departure_that_is_seen_on_three_days_counts_once():
    rows = pd.DataFrame({"account_id": ["a", "a", "a", "b", "b"], "churned": [1.0, 1.0, 1.0, 0.0, 0.0]})
    assert LinePrior.of(rows).weight == pytest.approx(1 / 3)


def test_mixed_snapshots_hold_values_of_real_ones():
    matrix = np.array([[1.0, 10.0], [2.0, 20.0], [np.nan, 30.0]])
    mixed = mix_accounts(matrix, seed=7)
    assert len(mixed) == 20_000
    np.testing.assert_array_equal(mixed[:3], matrix)
    assert {tuple(pair) for pair in np.unique(np.nan_to_num(mixed), axis=0)} == {
        (first, second) for first in (0.0, 1.0, 2.0) for second in (10.0, 20.0, 30.0)
    }
