"""Promotion: who may be promoted, what is recorded of it, and rollback one step at a time."""

import json
from dataclasses import replace
from datetime import datetime

import pytest

from configs.errors import NotReady, PromotionRefused
from tests.support.trained_model import EXTRACT_END
from training.registry.mlflow_registry import ChampionEvent, Registry, TrainingRun, open_registry
from training.registry.promotion import Decision, champion_stack, current_champion, promote, rollback
from training.registry.version import Version
from training.registry.version_list import list_versions

NOW = Decision(datetime(2023, 8, 1))
FORCED = Decision(datetime(2023, 8, 1), "the board wants it", is_forced=True)


@pytest.fixture
def registry(trained, copy_state_part) -> Registry:
    """A registry whose champion is version 1, and which a test may add to."""
    return replace(open_registry(trained.state, trained.settings.name), folder=copy_state_part("mlflow"))


def add_version(registry: Registry, tmp_path, verdict: str | None = "not worse", **changes) -> Version:
    """One more version like the champion, with what else is said of it and its duel against version 1."""
    first = registry.get(1)
    evaluation, provenance = registry.evaluation(first) | changes, registry.provenance(first)
    assert provenance is not None
    (plots := tmp_path / "pictures").mkdir(exist_ok=True)
    metrics = evaluation["figures"]
    version = registry.log_run(
        TrainingRun(registry.load_model(first), evaluation, provenance, metrics, {}, "another", plots)
    )
    if verdict:
        registry.save_comparison(
            version, first, {"verdict": verdict, "reasons": ["a reason"], "challenger": version.number}
        )
    return version


def test_a_version_without_a_comparison_is_refused(registry, tmp_path):
    with pytest.raises(PromotionRefused, match="never compared with the champion, version 1"):
        promote(registry, add_version(registry, tmp_path, verdict=None), NOW)


@pytest.mark.parametrize(
    ("verdict", "why"), [("loses", "it lost its duel against version 1: a reason"), ("cannot be compared", "a reason")]
)
def test_an_inferior_or_not_comparable_version_is_refused(registry, tmp_path, verdict, why):
    with pytest.raises(PromotionRefused, match=why):
        promote(registry, add_version(registry, tmp_path, verdict), NOW)
    assert registry.champion().number == 1


def test_a_version_not_better_than_a_baseline_is_refused(registry, tmp_path):
    beaten = {"base rate": {"value": 0.01, "low": -0.01, "high": 0.02, "must_be_beaten": True}}
    with pytest.raises(PromotionRefused, match="cannot be told from that of base rate"):
        promote(registry, add_version(registry, tmp_path, comparisons=beaten), NOW)


def test_a_version_without_an_evaluation_is_refused(registry, tmp_path):
    bare = add_version(registry, tmp_path)
    evaluation = registry._folder(bare) / "evaluation.json"
    evaluation.write_text(json.dumps({"figures": {"auc": 0.9, "auc_low": 0.8}}))
    with pytest.raises(PromotionRefused, match="train again"):
        promote(registry, bare, NOW)


def test_a_comparison_with_a_former_champion_does_not_count(registry, tmp_path):
    second, third = add_version(registry, tmp_path), add_version(registry, tmp_path)
    promote(registry, second, NOW)
    with pytest.raises(PromotionRefused, match=f"never compared with the champion, version {second.number}"):
        promote(registry, third, NOW)


def test_a_forced_promotion_records_what_it_overruled(registry, tmp_path):
    version = add_version(registry, tmp_path, "loses")
    assert promote(registry, version, FORCED).alias == "champion"
    event = registry.past()[-1]
    assert (event.number, event.how, event.at) == (version.number, "forced", "2023-08-01T00:00:00")
    assert event.why.startswith("the board wants it (overruled: it lost its duel against version 1")


def test_a_promotion_records_the_comparison(registry, tmp_path):
    promote(registry, add_version(registry, tmp_path, "wins"), NOW)
    assert registry.past()[-1] == ChampionEvent(
        2, "2023-08-01T00:00:00", "promoted", "it won its duel against version 1: a reason"
    )


@pytest.mark.parametrize("aliased", [1, 2])
def test_another_alias_does_not_make_a_champion(registry, tmp_path, aliased):
    add_version(registry, tmp_path)
    registry.client.set_registered_model_alias(registry.name, "candidate", str(aliased))
    champion = current_champion(registry)
    assert champion and champion.number == registry.champion().number == 1
    assert promote(registry, registry.get(2), NOW).number == 2
    assert registry.champion().number == 2


def test_promoting_the_champion_changes_nothing(registry):
    before = registry.past()
    assert promote(registry, registry.get(1), NOW).number == 1
    assert registry.past() == before


def test_rollback_goes_back_one_step_each_time(registry, tmp_path):
    second, third = add_version(registry, tmp_path), add_version(registry, tmp_path)
    promote(registry, second, NOW)
    promote(registry, third, FORCED)
    assert [version.number for version in rollback(registry, NOW)] == [3, 2]
    assert [version.number for version in rollback(registry, NOW)] == [2, 1]
    with pytest.raises(NotReady, match="No version was champion before version 1"):
        rollback(registry, NOW)
    assert [event.how for event in registry.past()] == ["promoted", "promoted", "forced", "rolled back", "rolled back"]


def event(number: int, how: str = "promoted") -> ChampionEvent:
    return ChampionEvent(number, "", how, "")


@pytest.mark.parametrize(
    ("events", "champion", "expected"),
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
def test_champion_stack_drops_rolled_back_versions(events, champion, expected):
    assert champion_stack(events, champion) == expected


def test_version_list_has_metrics_comparison_and_events(registry, trained, tmp_path):
    promote(registry, add_version(registry, tmp_path, "wins"), NOW)
    newest, first = list_versions(registry, EXTRACT_END)
    assert (newest.number, newest.alias, first.alias) == (2, "champion", None)
    assert newest.comparison == {"against": 1, "verdict": "wins", "why": "a reason"}
    assert [event.action for event in newest.champion_events] == ["promoted"]
    auc = first.metrics["auc"]
    assert auc and auc[1] < auc[0] < auc[2]
    assert first.snapshots > first.churned >= trained.settings.training.min_churned
