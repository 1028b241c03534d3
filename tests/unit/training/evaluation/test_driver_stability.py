"""Driver stability: a family that stays on top in refits is a main reason, one that leads by chance is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.sections.publishing import DataSettings
from configs.sections.training import StabilitySettings
from configs.settings import Settings
from features.store.online_reader import values_from_frame
from serving.scoring.driver_text import describe_drivers, find_main_driver
from serving.scoring.model_bundle import load_bundle, make_bundle, save_bundle
from serving.scoring.scores import MIN_NAMED_POINTS, Scores, score_values
from serving.treeshap.kernel import Kernel
from tests.support.training_rows import FIT_CONFIG, fit_rows, snapshots
from training.data.cluster_bootstrap import sample_accounts
from training.evaluation.driver_stability import DriverStability, measure_stability, summarize_spread
from training.evaluation.past_accounts import collect_past_snapshots
from training.model.attribution import columns_by_family, find_leading_family, sum_by_family
from training.model.churn_model import ChurnModel, encode, load_model, save_model
from training.model.fit import fit_churn_model

SETTINGS = Settings(
    name="acme",
    data=DataSettings(dataset=Path("acme.toml")),
    training=FIT_CONFIG.training,
    stability=StabilitySettings(refits=4),
)
TRAIN, LATER = fit_rows().train, snapshots(0.3, seed=3)


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    return fit_churn_model(fit_rows(), FIT_CONFIG)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module")
def stability(model) -> DriverStability:
    return measure_stability(model, TRAIN, LATER, SETTINGS)[0]


def score(model: ChurnModel, rows: pd.DataFrame, compiled: Path) -> Scores:
    bundle = make_bundle(model, Kernel(compiled))
    return score_values(bundle, values_from_frame(rows[model.signal_names], bundle.category_names))


def test_the_lead_is_over_the_next_family_that_raises_risk(model):
    inputs = [replace(signal, family=family) for signal, family in zip(model.inputs, ("a", "b", "b"), strict=True)]
    contributions = np.array([[0.5, 0.3, -0.1], [-0.5, -0.2, 0.3], [-0.1, -0.1, -0.1]])
    leading, leads = find_leading_family(sum_by_family(contributions, columns_by_family(inputs)))
    assert leading.tolist() == [0, 1, -1]
    assert leads.tolist() == pytest.approx([0.3, 0.1, 0.0])


def test_a_clear_lead_flips_less_often(stability):
    assert stability.refits == 4
    assert stability.min_lead is not None
    assert 0 < stability.clear_share < 1
    assert stability.clear_flip_share is not None
    assert stability.clear_flip_share < stability.flip_share


def test_without_a_family_that_raises_a_risk_there_is_no_lead(model):
    contributions = model.predict_contributions(encode(LATER, model.inputs))
    leading, _ = find_leading_family(sum_by_family(contributions, columns_by_family(model.inputs)))
    stability, _ = measure_stability(model, TRAIN, LATER[leading < 0], SETTINGS)
    assert (stability.snapshots, stability.min_lead, stability.clear_share) == (0, None, 0)


def test_it_is_the_same_every_time(model, stability):
    assert measure_stability(model, TRAIN, LATER, SETTINGS)[0] == stability


def test_a_main_reason_is_given_only_for_a_clear_lead(model, stability, compiled):
    scores = score(replace(model, main_reason_min_lead=stability.min_lead), LATER, compiled)
    _, leads = find_leading_family(scores.family_contributions)
    described = describe_drivers(scores)
    reasons = [account["main_reason"] for account in described]
    assert [reason is not None for reason in reasons] == list(leads >= stability.min_lead)
    assert any(reasons)
    first = [account["drivers"][0]["family"] if account["drivers"] else None for account in described]
    assert all(reason in (None, family) for reason, family in zip(reasons, first, strict=True))


def test_a_family_that_raises_a_risk_by_less_than_is_shown_is_no_reason(model, compiled):
    clear = score(replace(model, main_reason_min_lead=0.0), LATER, compiled)
    tiny = replace(clear, points_per_margin=clear.points_per_margin * MIN_NAMED_POINTS / clear.points.max() / 100)
    assert any(clear.main_reasons)
    assert set(tiny.main_reasons) == {None}
    assert set(tiny.leading_families.tolist()) == {-1}
    mains = [[find_main_driver(account["drivers"]) for account in describe_drivers(scores)] for scores in (clear, tiny)]
    assert [any(drivers) for drivers in mains] == [True, False]


def test_without_measured_stability_there_is_no_main_reason(model, compiled):
    assert set(score(model, LATER, compiled).main_reasons) == {None}


def test_a_sample_of_a_large_company_has_whole_accounts():
    rows = pd.DataFrame({"account_id": np.repeat([f"{n}" for n in range(1_000)], 3)})
    sample = sample_accounts(rows, 1_000)
    assert len(sample) == 999
    assert set(sample.groupby("account_id").size()) == {3}
    assert sample.equals(sample_accounts(rows, 1_000))
    assert sample_accounts(rows, 3_000) is rows


def test_refits_of_a_margin_have_the_spread_they_were_drawn_with():
    generator = np.random.default_rng(1)
    margins = np.linspace(-4, 0, 2_000)
    refitted = margins + generator.normal(0, np.where(margins < -2, 0.1, 0.5), (3, 2_000))
    spread = summarize_spread(margins, refitted)
    assert spread is not None
    assert spread["deviations"][:5] == pytest.approx([0.1] * 5, rel=0.15)
    assert spread["deviations"][5:] == pytest.approx([0.5] * 5, rel=0.15)


def test_one_refit_has_no_spread():
    assert summarize_spread(np.zeros(3), np.zeros((1, 3))) is None


def test_a_bundle_keeps_the_spread_and_the_past_accounts(model, compiled, tmp_path):
    _, spread = measure_stability(model, TRAIN, LATER, SETTINGS)
    past = collect_past_snapshots(model, LATER)
    save_model(replace(model, margin_spread=spread, past=past), tmp_path)
    save_bundle(make_bundle(load_model(tmp_path), Kernel(compiled)), tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle", Kernel(compiled))
    assert bundle.past is not None
    assert np.array_equal(bundle.past.contributions, past.contributions)
    bounds = bundle.risk_interval(-1.0, 0.0)
    assert bounds is not None
    risk = bundle.calibrator.predict_risks(np.array([-1.0]))[0]
    assert np.all((bounds[0] < risk) & (risk < bounds[1]))
    without = replace(bundle, margin_spread=None)
    assert without.risk_interval(-1.0, 0.0) is None
