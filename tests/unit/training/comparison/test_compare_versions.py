"""Challenge: two versions are made again by their own recipes on the same past days, or said not to be comparable."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from configs.settings import ComparisonSettings, TrainingSettings
from features.store.history import Edition
from tests.conftest import silent
from tests.unit.training.evaluation.test_backtest import DAYS, RECIPE, SETTINGS, SIGNALS, rows
from training.comparison.compare_versions import Contender, Ring, bout_of, challenge, perform, recipe_of
from training.data.training_set import Panel
from training.evaluation.backtest import fit_on, origin_splits
from training.labels.build import LabelContext
from training.registry.provenance import Provenance

__all__ = ["rows"]
POOR = TrainingSettings(
    num_iterations=1, learning_rate=0.01, linear_prior_sd=0, min_data_in_leaf=20, calibration_snapshots=2
)


@pytest.fixture(scope="module")
def ring(rows) -> Ring:
    never = pd.Series(pd.NaT, rows.index)
    panel = Panel(rows, LabelContext(never, never, never), Edition(Path(), SIGNALS), "", {})
    # 1,200 snapshots cannot show a calibration to be right within the default hundredth.
    settings = SETTINGS.model_copy(update={"comparison": ComparisonSettings(calibration_margin=0.03)})
    return Ring(panel, settings, rows[rows.as_of == DAYS[-1]].reset_index(drop=True))


@pytest.fixture(scope="module")
def contender(rows) -> Callable[..., Contender]:
    """A contender with these training settings, fitted on the newest split."""
    model = fit_on(rows, origin_splits(DAYS, SETTINGS)[0], replace(RECIPE, label={"mode": "event", "horizon_days": 30}))

    def make(number: int, training: TrainingSettings = SETTINGS.training, label: str = "x") -> Contender:
        made_from = Provenance({"training": training.model_dump()}, (), "", {}, {}, {})
        return Contender(number, replace(model, identity={"label": label}), made_from)

    return make


def test_each_is_made_again_by_its_own_recipe(ring, contender):
    good, poor = (perform(one, ring, silent) for one in (contender(1), contender(2, POOR)))
    assert good.keys() == poor.keys()
    spread = [max(one.risks) - min(one.risks) for side in (good, poor) for one in side.values()]
    assert min(spread[:3]) > 3 * max(spread[3:])


def test_one_that_was_made_before_there_was_a_line_is_made_again_without(ring, contender):
    older = contender(1)
    logged = {name: one for name, one in older.provenance.settings["training"].items() if name != "linear_prior_sd"}
    older = replace(older, provenance=replace(older.provenance, settings={"training": logged}))
    assert recipe_of(older, ring).training.linear_prior_sd == 0
    assert recipe_of(contender(2), ring).training.linear_prior_sd == 1


def test_a_poor_recipe_loses_and_the_better_wins(ring, contender):
    assert challenge(contender(2, POOR), contender(1), ring, silent).verdict == "loses"
    assert challenge(contender(1), contender(2, POOR), ring, silent).verdict == "wins"


def test_the_same_recipe_is_not_worse_and_flips_nobody(ring, contender):
    duel = challenge(contender(2), contender(1), ring, silent)
    assert (duel.verdict, duel.snapshots) == ("not worse", 1200)
    assert duel.flips and (duel.flips.flipped, duel.flips.accounts) == (0, SETTINGS.evaluation.capacity)


def test_models_that_answer_different_questions_cannot_be_compared(ring, contender):
    duel = challenge(contender(2, label="y"), contender(1), ring, silent)
    assert duel.verdict == "cannot be compared"
    assert "they answer different questions" in duel.reasons[0]


def test_a_version_without_its_provenance_cannot_be_compared(ring, contender):
    duel = challenge(contender(2), replace(contender(1), provenance=None), ring, silent)
    assert "version 1 was made before runs kept what they were made from" in duel.reasons[0]


def test_a_signal_that_is_gone_is_named(ring, contender):
    without = replace(ring, panel=replace(ring.panel, rows=ring.panel.rows.drop(columns="plan")))
    duel = challenge(contender(2), contender(1), without, silent)
    assert "needs the signal 'plan'" in duel.reasons[0]


def test_settings_that_are_no_longer_known_cannot_be_compared(ring, contender):
    old = Provenance({"training": {"forests": 3}}, (), "", {}, {}, {})
    duel = challenge(contender(2), replace(contender(1), provenance=old), ring, silent)
    assert "trained with settings that are no longer known" in duel.reasons[0]


def test_without_a_common_day_nothing_can_be_said(ring, contender):
    assert bout_of(perform(contender(1), ring, silent), {}) is None
    greedy = SETTINGS.training.model_copy(update={"min_churned": 10_000})
    duel = challenge(contender(2), contender(1, greedy), ring, silent)
    assert (duel.verdict, "no past day" in duel.reasons[0]) == ("cannot be compared", True)
