"""Release without retraining: the trees stay byte for byte, and no account's drivers change their order."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from configs.errors import ConfigError, NothingToLearn
from configs.settings import LabelSettings
from tests.conftest import EXTRACT_ENDS, silent
from tests.unit.training.evaluation.test_backtest import SETTINGS
from tests.unit.training.model.test_fit import RECIPE, snapshots
from training.comparison.compare_versions import Contender, Ring, challenge
from training.data.training_set import Panel
from training.evaluation.baselines import baselines_out_of_fold
from training.labels.build import LabelContext
from training.model.churn_model import ChurnModel, encode
from training.model.fit import fit
from training.model.recalibration import bands_by_calls, out_of_fold, recalibrated, unlearned_days
from training.pipelines.recalibrate import bands_of, reband, recalibrate
from training.registry.mlflow_registry import open_registry
from training.registry.provenance import Provenance
from training.reports.model_card import model_card


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    early, later, known = (_with_sooner(snapshots(0.3, seed=seed)) for seed in range(3))
    return fit(early, later, known, replace(RECIPE, horizons=(30, 60)))


def _with_sooner(rows: pd.DataFrame) -> pd.DataFrame:
    """Half of those who left did so within 30 days."""
    return rows.assign(churned_30=rows.churned.where(rows.index % 2 == 0, 0.0))


@pytest.fixture(scope="module")
def harder_times() -> pd.DataFrame:
    """The same company when twice as many leave."""
    return snapshots(0.6, n=3000, seed=5)


def test_a_recalibration_keeps_the_trees_and_follows_the_churn(model, harder_times):
    made = recalibrated(model, harder_times, fewest=20)
    matrix = encode(snapshots(0.6, n=3000, seed=6), model.inputs)
    assert made.booster_text == model.booster_text
    rate = harder_times.churned.mean()
    assert abs(made.risks(matrix).mean() - rate) < 0.02 < abs(model.risks(matrix).mean() - rate)


def test_a_recalibration_keeps_the_order_of_risks_and_drivers(model, harder_times):
    made = recalibrated(model, harder_times, fewest=20)
    matrix = encode(harder_times.head(300), model.inputs)
    assert np.array_equal(np.argsort(made.margins(matrix)), np.argsort(model.margins(matrix)))
    assert (np.diff(made.risks(matrix)[np.argsort(model.risks(matrix))]) >= 0).all()
    shares = model.contributions(matrix)
    for one in (model, made):
        worth = one.calibrator.points_per_share(one.base_margin, shares.sum(axis=1))
        assert (worth > 0).all()
    assert (np.diff(made.risks_within(matrix), axis=1) >= 0).all()


def test_too_few_answers_are_not_calibrated_on(model):
    with pytest.raises(NothingToLearn, match="at least 20 must have churned"):
        recalibrated(model, snapshots(0.3, n=20), fewest=20)


def test_risks_out_of_fold_come_from_other_accounts(model, harder_times):
    rows = harder_times.head(600)
    flipped = rows.assign(churned=rows.churned.where(rows.index != 0, 1 - rows.churned))
    assert out_of_fold(model, rows)[0] == out_of_fold(model, flipped)[0]


def test_only_days_after_all_that_the_trees_know_are_calibrated_on():
    days = [datetime(2023, 1, 1) + timedelta(days=30 * n) for n in range(8)]
    label = LabelSettings(horizon_days=60, grace_days=30)
    assert unlearned_days(days[:3], days, label) == days[5:]


MADE_FROM = Provenance({"training": SETTINGS.training.model_dump()}, (), "", {}, {}, {})
RELEASED = replace(MADE_FROM, parent=1, calibrated_on=("2023-01-01",))


def ring_of(rows: pd.DataFrame) -> Ring:
    never = pd.Series(pd.NaT, rows.index)
    panel = Panel(rows, LabelContext(never, never, never), None, "", {})  # type: ignore[arg-type]
    return Ring(panel, SETTINGS, rows.head(200))


def spoiled(model: ChurnModel) -> ChurnModel:
    """The model with everyone's log-odds 3 higher."""
    higher = tuple(one + 3 for one in model.calibrator.intercepts)
    return replace(model, calibrator=replace(model.calibrator, intercepts=higher))


def test_a_recalibrated_version_is_held_against_its_parent_on_accounts_it_did_not_see(model, harder_times):
    parent, child = Contender(1, model, MADE_FROM), Contender(2, recalibrated(model, harder_times, 20), RELEASED)
    duel = challenge(child, parent, ring_of(harder_times), silent)
    assert (duel.verdict, duel.snapshots) == ("wins", 3000)
    assert duel.flips and duel.flips.flipped == 0


def test_a_calibration_that_strays_from_what_its_days_give_is_not_compared(model, harder_times):
    good = Contender(2, recalibrated(model, harder_times, 20), RELEASED)
    bad = replace(good, number=3, model=spoiled(good.model))
    for other in (Contender(1, model, MADE_FROM), good):
        duel = challenge(bad, other, ring_of(harder_times), silent)
        assert duel.verdict == "cannot be compared"
        assert "the calibration of version 3 strays" in duel.reasons[0]


def test_recalibrations_are_judged_as_they_are_served_on_days_after_them(model, harder_times):
    later = snapshots(0.3, n=3000, seed=6).assign(as_of=datetime(2023, 6, 1))
    rows = pd.concat([harder_times.assign(as_of=datetime(2023, 1, 1)), later], ignore_index=True)
    parent, child = Contender(1, model, MADE_FROM), Contender(2, recalibrated(model, harder_times, 20), RELEASED)
    duel = challenge(child, parent, ring_of(rows), silent)
    assert (duel.verdict, duel.snapshots) == ("loses", 3000), "the harder times are over"


def test_baselines_out_of_fold_come_from_other_accounts(model, harder_times):
    rows = harder_times.head(600)
    flipped = rows.assign(churned=rows.churned.where(rows.index != 0, 1 - rows.churned))
    before, after = (baselines_out_of_fold(one, model.inputs, {}) for one in (rows, flipped))
    assert [one.name for one in before] == [one.name for one in after]
    assert all(one.risks[0] == other.risks[0] for one, other in zip(before, after, strict=True))
    assert any(not np.array_equal(one.risks, other.risks) for one, other in zip(before, after, strict=True))


def test_a_recalibrated_version_is_judged_anew_and_says_on_which_days(trained, own_copy):
    registry = replace(open_registry(trained.state, trained.settings.name), folder=own_copy("mlflow"))
    for part in ("history", "feast"):
        own_copy(part)
    state = replace(trained.state, folder=registry.folder.parent)
    made, duel = recalibrate(trained.settings, state, registry.get(1), EXTRACT_ENDS, silent)
    before, after = registry.evaluation(registry.get(1)), registry.evaluation(made)
    assert after["recalibrated_on"] == before["split"]["test"]
    assert len(after["comparisons"]) == len(before["comparisons"]) == 4
    assert all(after[part] != before[part] for part in ("figures", "comparisons", "baselines"))
    assert after["leakage"] == before["leakage"]
    assert duel and duel["champion"] == 1
    assert duel["margins"] == trained.settings.comparison.model_dump()
    assert "Calibrated anew on" in model_card(after)


def test_bands_hold_as_many_accounts_as_can_be_called():
    risks = np.linspace(0, 1, 101)
    cuts = bands_by_calls(risks, (40, 20, 5))
    assert [int((risks >= cuts[name]).sum()) for name in ("watch", "high", "critical")] == [40, 20, 5]


@pytest.mark.parametrize(("calls", "why"), [((5, 20, 40), "must fall"), ((200, 20, 5), "at most 101 accounts")])
def test_bands_that_cannot_be_are_refused(calls, why):
    with pytest.raises(ValueError, match=why):
        bands_by_calls(np.linspace(0, 1, 101), calls)
    with pytest.raises(ValueError, match="share a risk"):
        bands_by_calls(np.full(101, 0.5), (40, 20, 5))


def test_a_version_with_its_own_bands_keeps_every_risk(trained, own_copy):
    registry = replace(open_registry(trained.state, trained.settings.name), folder=own_copy("mlflow"))
    state = replace(trained.state, folder=registry.folder.parent)
    bands = bands_of(trained.settings, trained.state, registry.get(1), (None, (100, 50, 10)))
    made = reband(trained.settings, state, registry.get(1), bands)
    before, after = registry.load(registry.get(1)), registry.load(made)
    assert dict(after.bands) == bands.model_dump()
    assert replace(after, bands={}) == before
    provenance = registry.provenance(made)
    assert provenance and provenance.parent == 1
    assert reband(trained.settings, state, registry.get(1), bands).number == made.number


def test_bands_that_do_not_rise_are_refused(trained):
    version = open_registry(trained.state, trained.settings.name).get(1)
    with pytest.raises(ConfigError, match="must rise"):
        bands_of(trained.settings, trained.state, version, ((0.5, 0.2, 0.1), None))
