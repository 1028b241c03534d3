"""Promotion: who may be promoted, what is recorded of it, and rollback one step at a time."""

import json
from dataclasses import replace
from datetime import datetime

import pytest

from configs.errors import NotReady, PromotionRefused
from configs.state_dir import StateDir
from serving.scoring.champion import ChampionProvider
from serving.scoring.champion_pointer import make_champion
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_folder
from training.evaluation.paired_difference import BaselineComparison
from training.evaluation.scorecard import Interval
from training.registry.comparison_record import ComparisonRecord, LastComparison, Verdict
from training.registry.mlflow_registry import ChampionAction, ChampionEvent, Registry, open_registry
from training.registry.promotion import Decision, approve_promotion, champion_stack, plan_rollback
from training.registry.training_run import TrainingRun
from training.registry.version import Version
from training.registry.version_list import list_versions

NOW = Decision(datetime(2023, 8, 1))
FORCED = Decision(datetime(2023, 8, 1), "the board wants it", is_forced=True)


@pytest.fixture
def registry(trained: TrainedModel, copy_state_part) -> Registry:
    """A registry whose champion is version 1, and which a test may add to."""
    return replace(open_registry(trained.state, trained.settings.name), folder=copy_state_part("mlflow"))


def add_version(registry: Registry, tmp_path, verdict: Verdict | None = "non_inferior", **changes) -> Version:
    """Another version like the champion, with changes to its evaluation, compared with version 1."""
    first = registry.get(1)
    evaluation, provenance = replace(registry.evaluation(first), **changes), registry.provenance(first)
    assert provenance is not None
    (plots := tmp_path / "plots").mkdir(exist_ok=True)
    model = registry.load_model(first)
    version = registry.log_run(TrainingRun(model, evaluation, provenance, evaluation.metrics, {}, "another", plots))
    if verdict:
        registry.save_comparison(version, first, comparison_record(version.number, verdict))
    return version


def comparison_record(challenger: int, verdict: Verdict) -> ComparisonRecord:
    return ComparisonRecord(
        challenger=challenger,
        champion=1,
        margins={},
        verdict=verdict,
        reasons=["a reason"],
        snapshots=0,
        churned=0,
        metrics=None,
        segments=None,
        explanation_flips=None,
    )


def promote(registry: Registry, version: Version, decision: Decision) -> Version:
    event = approve_promotion(registry, version, decision)
    assert event is not None
    return registry.set_champion(event)


def test_a_version_without_a_comparison_is_refused(registry, tmp_path):
    with pytest.raises(PromotionRefused, match="never compared with the champion, version 1"):
        approve_promotion(registry, add_version(registry, tmp_path, verdict=None), NOW)


@pytest.mark.parametrize("verdict", ["inferior", "not_comparable"])
def test_an_inferior_or_not_comparable_version_is_refused(registry, tmp_path, verdict):
    with pytest.raises(PromotionRefused, match="the champion, version 1: a reason"):
        approve_promotion(registry, add_version(registry, tmp_path, verdict), NOW)


def test_a_version_not_better_than_a_baseline_is_refused(registry, tmp_path):
    beaten = {"base rate": BaselineComparison(Interval(0.01, -0.01, 0.02), must_be_beaten=True)}
    with pytest.raises(PromotionRefused, match="not significantly below that of base rate"):
        approve_promotion(registry, add_version(registry, tmp_path, baseline_comparisons=beaten), NOW)


def test_a_version_with_an_unreadable_evaluation_is_refused(registry, tmp_path):
    version = add_version(registry, tmp_path)
    evaluation = registry._model_folder(version) / "evaluation.json"
    evaluation.write_text(json.dumps({"metrics": {"auc": 0.9, "auc_low": 0.8}}))
    with pytest.raises(NotReady, match="cannot be read"):
        approve_promotion(registry, version, NOW)


def test_a_comparison_with_a_former_champion_does_not_count(registry, tmp_path):
    second, third = add_version(registry, tmp_path), add_version(registry, tmp_path)
    promote(registry, second, NOW)
    with pytest.raises(PromotionRefused, match=f"never compared with the champion, version {second.number}"):
        approve_promotion(registry, third, NOW)


def test_a_forced_promotion_records_what_it_overruled(registry, tmp_path):
    version = add_version(registry, tmp_path, "inferior")
    assert promote(registry, version, FORCED).alias == "champion"
    event = registry.champion_history()[-1]
    assert (event.version, event.action, event.at) == (version.number, "forced", "2023-08-01T00:00:00")
    assert event.reason == ("the board wants it (overruled: it is inferior to the champion, version 1: a reason)")


def test_a_champion_without_skill_is_served_with_a_warning(trained, registry, tmp_path):
    beaten = {"base rate": BaselineComparison(Interval(0.01, -0.01, 0.02), must_be_beaten=True)}
    version = add_version(registry, tmp_path, "superior", baseline_comparisons=beaten)
    state = StateDir(copy_folder(trained.state.folder, tmp_path / "state"))
    event = approve_promotion(registry, version, FORCED)
    assert event is not None
    make_champion(state, registry, event)
    assert ChampionProvider(state, "crm5").status()["warning"] == (
        "This model knows no more than the base rate: its log loss is not significantly below that of base rate: the"
        " difference is +0.0100 [-0.0100, +0.0200]."
    )
    assert ChampionProvider(trained.state, "crm5").status()["warning"] is None


def test_a_promotion_records_the_comparison(registry, tmp_path):
    version = add_version(registry, tmp_path, "superior")
    assert approve_promotion(registry, version, NOW) == ChampionEvent(
        2, "2023-08-01T00:00:00", "promoted", "superior to version 1: a reason"
    )


@pytest.mark.parametrize("aliased", [1, 2])
def test_another_alias_does_not_make_a_champion(registry, tmp_path, aliased):
    add_version(registry, tmp_path)
    registry.client.set_registered_model_alias(registry.name, "candidate", str(aliased))
    champion = registry.find_champion()
    assert champion and champion.number == registry.champion().number == 1
    assert promote(registry, registry.get(2), NOW).number == 2
    assert registry.champion().number == 2


def test_the_champion_is_not_promoted_again(registry):
    assert approve_promotion(registry, registry.get(1), NOW) is None


def test_rollback_goes_back_one_step_each_time(registry, tmp_path):
    second, third = add_version(registry, tmp_path), add_version(registry, tmp_path)
    promote(registry, second, NOW)
    promote(registry, third, FORCED)
    assert registry.set_champion(plan_rollback(registry, NOW)).number == 2
    assert registry.set_champion(plan_rollback(registry, NOW)).number == 1
    with pytest.raises(NotReady, match="No version was champion before version 1"):
        plan_rollback(registry, NOW)
    actions = [event.action for event in registry.champion_history()]
    assert actions == ["promoted", "promoted", "forced", "rolled back", "rolled back"]


def event(version: int, action: ChampionAction = "promoted") -> ChampionEvent:
    return ChampionEvent(version, "", action, "")


@pytest.mark.parametrize(
    ("events", "champion", "stack"),
    [
        ([event(1), event(2), event(3)], 3, [1, 2, 3]),
        ([event(1), event(2), event(2)], 2, [1, 2]),
        ([event(1), event(2), event(1, "rolled back"), event(3)], 3, [1, 3]),
        ([event(1), event(2), event(1)], 1, [1, 2, 1]),
        ([event(1), event(2)], 7, [1, 2, 7]),  # another tool moved the alias
        ([event(1), event(2)], 1, [1]),  # a rollback was killed before it was recorded
        ([], 4, [4]),
    ],
)
def test_the_champion_stack_drops_rolled_back_versions(events, champion, stack):
    assert champion_stack(events, champion) == stack


def test_the_version_list_has_metrics_comparison_and_events(registry, trained: TrainedModel, tmp_path):
    promote(registry, add_version(registry, tmp_path, "superior"), NOW)
    newest, first = list_versions(registry, EXTRACT_END)
    assert (newest.number, newest.alias, first.alias) == (2, "champion", None)
    assert newest.comparison == LastComparison(compared_with=1, verdict="superior", reason="a reason")
    assert [event.action for event in newest.champion_events] == ["promoted"]
    auc = first.metrics["auc"]
    assert auc and auc[1] < auc[0] < auc[2]
    assert first.snapshots > first.churned >= trained.settings.training.min_churned
