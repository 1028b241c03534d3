"""Stability: a family that stays when the model is made again is a main reason, one that leads by chance is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from configs.settings import DataSettings, Settings, StabilitySettings
from features.store.online_reader import values_of
from serving.scoring.driver_text import describe_drivers
from serving.scoring.model_bundle import make_bundle
from serving.scoring.scores import Scores, score_values
from serving.treeshap.kernel import Kernel
from tests.unit.training.model.test_fit import RECIPE, snapshots
from training.data.cluster_bootstrap import of_some_accounts
from training.evaluation.driver_stability import Stability, measure_stability
from training.model.attribution import by_family, leading, members_of
from training.model.churn_model import ChurnModel, encode
from training.model.fit import fit

SETTINGS = Settings(
    name="acme",
    data=DataSettings(dataset=Path("acme.toml")),
    training=RECIPE.training,
    stability=StabilitySettings(refits=4),
)


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    return fit(snapshots(0.3), snapshots(0.3, seed=1), known(), RECIPE)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("compiled")


def known() -> pd.DataFrame:
    return snapshots(0.3, seed=2)


@pytest.fixture(scope="module")
def found(model) -> Stability:
    return measure_stability(model, known(), snapshots(0.3, seed=3), SETTINGS)


def scored(model: ChurnModel, rows: pd.DataFrame, compiled: Path) -> Scores:
    bundle = make_bundle(model, Kernel(compiled))
    return score_values(bundle, values_of(rows[model.names], bundle.categories))


def test_the_main_family_leads_by_what_it_has_more_than_the_next_that_raises(model):
    inputs = [replace(one, family=family) for one, family in zip(model.inputs, ("a", "b", "b"), strict=True)]
    shares = np.array([[0.5, 0.3, -0.1], [-0.5, -0.2, 0.3], [-0.1, -0.1, -0.1]])
    first, leads = leading(by_family(shares, members_of(inputs)))
    assert first.tolist() == [0, 1, -1]
    assert leads.tolist() == pytest.approx([0.3, 0.1, 0.0])


def test_what_is_clear_flips_less_often_than_the_rest(found):
    assert found.refits == 4
    assert found.lead is not None
    assert 0 < found.clear < 1
    assert found.flipped_when_clear is not None
    assert found.flipped_when_clear < found.flipped


def test_nothing_is_measured_where_no_family_raises_a_risk(model):
    rows = snapshots(0.3, seed=3)
    first, _ = leading(by_family(model.contributions(encode(rows, model.inputs)), members_of(model.inputs)))
    found = measure_stability(model, known(), rows[first < 0], SETTINGS)
    assert (found.snapshots, found.lead, found.clear) == (0, None, 0)


def test_it_is_measured_the_same_every_time(model, found):
    assert measure_stability(model, known(), snapshots(0.3, seed=3), SETTINGS) == found


def test_a_main_reason_is_said_only_where_it_is_clear(model, found, compiled):
    rows = snapshots(0.3, seed=3)
    clear = scored(replace(model, clear_lead=found.lead), rows, compiled)
    _, leads = leading(clear.family_shares)
    told = describe_drivers(clear)
    said = [one["main_reason"] for one in told]
    assert [one is not None for one in said] == list(leads >= found.lead)
    assert any(said)
    assert all(one["main_reason"] in (None, one["drivers"][0]["family"]) for one in told if one["drivers"])


def test_a_model_whose_stability_was_never_measured_says_no_main_reason(model, compiled):
    assert set(scored(model, snapshots(0.3, seed=3), compiled).main_reasons) == {None}


def test_refits_of_a_large_company_learn_from_whole_accounts():
    rows = pd.DataFrame({"account_id": np.repeat([f"{n}" for n in range(1_000)], 3)})
    some = of_some_accounts(rows, 1_000)
    assert len(some) == 999
    assert set(some.groupby("account_id").size()) == {3}
    assert some.equals(of_some_accounts(rows, 1_000))
    assert of_some_accounts(rows, 3_000) is rows
