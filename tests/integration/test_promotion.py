"""Promotion: refused to whoever has not earned it, kept with how and why, and undone one step at a time."""

import json
from dataclasses import replace
from datetime import datetime

import pytest

from configs.errors import NotReady, PromotionRefused
from tests.conftest import EXTRACT_ENDS
from training.registry.mlflow_registry import Event, Registry, Run, open_registry
from training.registry.promotion import Decision, champion_of, promote, reigns, rollback
from training.registry.version import Version
from training.registry.version_list import roster

NOW = Decision(datetime(2023, 8, 1))
ANYWAY = Decision(datetime(2023, 8, 1), "the board wants it", is_forced=True)


@pytest.fixture
def registry(trained, own_copy) -> Registry:
    """A registry whose champion is version 1, and which a test may add to."""
    return replace(open_registry(trained.state, trained.settings.name), folder=own_copy("mlflow"))


def add(registry: Registry, tmp_path, verdict: str | None = "not worse", **said) -> Version:
    """One more version like the champion, with what else is said of it and its duel against version 1."""
    first = registry.get(1)
    evaluation, made_from = registry.evaluation(first) | said, registry.provenance(first)
    assert made_from is not None
    (pictures := tmp_path / "pictures").mkdir(exist_ok=True)
    metrics = evaluation["figures"]
    made = registry.log(Run(registry.load(first), evaluation, made_from, metrics, {}, "another", pictures))
    if verdict:
        registry.keep_duel(made, first, {"verdict": verdict, "reasons": ["a reason"], "challenger": made.number})
    return made


def test_a_version_that_was_never_held_against_the_champion_is_refused(registry, tmp_path):
    with pytest.raises(PromotionRefused, match="never held against the champion, version 1"):
        promote(registry, add(registry, tmp_path, verdict=None), NOW)


@pytest.mark.parametrize(
    ("verdict", "why"), [("loses", "it lost its duel against version 1: a reason"), ("cannot be compared", "a reason")]
)
def test_a_version_that_lost_or_cannot_be_compared_is_refused(registry, tmp_path, verdict, why):
    with pytest.raises(PromotionRefused, match=why):
        promote(registry, add(registry, tmp_path, verdict), NOW)
    assert registry.champion().number == 1


def test_a_version_that_a_baseline_beat_is_refused(registry, tmp_path):
    beaten = {"base rate": {"value": 0.01, "low": -0.01, "high": 0.02, "must_be_beaten": True}}
    with pytest.raises(PromotionRefused, match="cannot be told from that of base rate"):
        promote(registry, add(registry, tmp_path, comparisons=beaten), NOW)


def test_a_version_that_was_never_evaluated_is_refused(registry, tmp_path):
    bare = add(registry, tmp_path)
    evaluation = registry._folder(bare) / "evaluation.json"
    evaluation.write_text(json.dumps({"figures": {"auc": 0.9, "auc_low": 0.8}}))
    with pytest.raises(PromotionRefused, match="train again"):
        promote(registry, bare, NOW)


def test_a_duel_against_a_former_champion_does_not_count(registry, tmp_path):
    second, third = add(registry, tmp_path), add(registry, tmp_path)
    promote(registry, second, NOW)
    with pytest.raises(PromotionRefused, match=f"never held against the champion, version {second.number}"):
        promote(registry, third, NOW)


def test_a_forced_promotion_keeps_the_reason_and_what_it_overruled(registry, tmp_path):
    made = add(registry, tmp_path, "loses")
    assert promote(registry, made, ANYWAY).alias == "champion"
    event = registry.past()[-1]
    assert (event.number, event.how, event.at) == (made.number, "forced", "2023-08-01T00:00:00")
    assert event.why.startswith("the board wants it (overruled: it lost its duel against version 1")


def test_a_promotion_that_was_earned_says_by_what(registry, tmp_path):
    promote(registry, add(registry, tmp_path, "wins"), NOW)
    assert registry.past()[-1] == Event(
        2, "2023-08-01T00:00:00", "promoted", "it won its duel against version 1: a reason"
    )


@pytest.mark.parametrize("aliased", [1, 2])
def test_another_alias_makes_no_champion(registry, tmp_path, aliased):
    add(registry, tmp_path)
    registry.client.set_registered_model_alias(registry.name, "candidate", str(aliased))
    champion = champion_of(registry)
    assert champion and champion.number == registry.champion().number == 1
    assert promote(registry, registry.get(2), NOW).number == 2
    assert registry.champion().number == 2


def test_promoting_the_champion_changes_nothing(registry):
    before = registry.past()
    assert promote(registry, registry.get(1), NOW).number == 1
    assert registry.past() == before


def test_rollback_goes_back_one_step_each_time(registry, tmp_path):
    second, third = add(registry, tmp_path), add(registry, tmp_path)
    promote(registry, second, NOW)
    promote(registry, third, ANYWAY)
    assert [one.number for one in rollback(registry, NOW)] == [3, 2]
    assert [one.number for one in rollback(registry, NOW)] == [2, 1]
    with pytest.raises(NotReady, match="No version was champion before version 1"):
        rollback(registry, NOW)
    assert [event.how for event in registry.past()] == ["promoted", "promoted", "forced", "rolled back", "rolled back"]


def event(number: int, how: str = "promoted") -> Event:
    return Event(number, "", how, "")


@pytest.mark.parametrize(
    ("past", "champion", "left"),
    [
        ([event(1), event(2), event(3)], 3, [1, 2, 3]),
        ([event(1), event(2), event(2)], 2, [1, 2]),
        ([event(1), event(2), event(1, "rolled back"), event(3)], 3, [1, 3]),
        ([event(1), event(2), event(1)], 1, [1, 2, 1]),
        ([event(1), event(2)], 7, [1, 2, 7]),  # the alias was moved elsewhere
        ([event(1), event(2)], 1, [1]),  # a rollback that was killed before it was written down
        ([], 4, [4]),
    ],
)
def test_a_reign_lasts_until_it_is_rolled_back(past, champion, left):
    assert reigns(past, champion) == left


def test_the_roster_shows_every_version_with_its_figures_duel_and_reigns(registry, trained, tmp_path):
    promote(registry, add(registry, tmp_path, "wins"), NOW)
    newest, first = roster(registry, EXTRACT_ENDS)
    assert (newest.number, newest.alias, first.alias) == (2, "champion", None)
    assert newest.duel == {"against": 1, "verdict": "wins", "why": "a reason"}
    assert [one.how for one in newest.reigns] == ["promoted"]
    auc = first.figures["auc"]
    assert auc and auc[1] < auc[0] < auc[2]
    assert first.snapshots > first.churned >= trained.settings.training.min_churned
