"""Acting on a verdict: what is registered, what stays, and what is refused."""

import json
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from pydantic import ValidationError

from configs.errors import Busy
from configs.files import exclusive_lock
from configs.sections.monitoring import ExcludedDays, MonitoringSettings
from configs.settings import Settings
from configs.state_dir import StateDir
from monitoring.action import act_on, find_earlier_action
from monitoring.shadow.shadow_version import find_shadow
from monitoring.verdicts.verdict import HealthDecision
from serving.ledger.ledger import Ledger, ScoreSource, open_ledger
from serving.ledger.monitor_runs import MonitorRun, RunStore
from serving.schemas.enums import HealthVerdict
from serving.schemas.responses import Score
from serving.scoring.batch import open_batch
from serving.scoring.scorer import open_scorer
from tests.support.ledger_rows import source_at
from tests.support.progress import ignore_progress
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_folder, open_trained_model
from training.data.training_set import build_training_set
from training.registry.mlflow_registry import open_registry


def excluding(settings: Settings, since: date, until: date) -> Settings:
    monitoring = MonitoringSettings(exclude=(ExcludedDays(since=since, until=until),))
    return settings.model_copy(update={"monitoring": monitoring})


@pytest.fixture
def state(trained: TrainedModel, tmp_path: Path) -> StateDir:
    """A copy of the trained state."""
    return StateDir(copy_folder(trained.state.folder, tmp_path / "state"))


@pytest.mark.slow  # it recalibrates and compares twice
def test_a_moved_level_registers_a_recalibrated_version_once_and_promotes_nothing(trained: TrainedModel, state):
    decision = HealthDecision("level moved: recalibrate", "more leave")
    actions = [act_on(decision, trained.settings, state, EXTRACT_END, ignore_progress) for _ in range(2)]
    assert actions[0] == actions[1]
    assert (actions[0].kind, actions[0].version) == ("recalibrated", 2)
    assert actions[0].next_command in {"oarlock promote 2", "oarlock compare 2"}
    assert open_registry(state, trained.settings.name).champion().number == 1


@pytest.mark.slow  # it trains
def test_a_moved_population_opens_a_challenger_that_scores_in_shadow(trained: TrainedModel, state):
    moved = HealthDecision("population moved", "fewer log in")
    training = trained.settings.training.model_copy(update={"num_iterations": 20})
    action = act_on(
        moved, trained.settings.model_copy(update={"training": training}), state, EXTRACT_END, ignore_progress
    )
    assert (action.kind, action.version, action.next_command) == ("challenger opened", 2, "oarlock shadow show")
    shadow = find_shadow(state)
    assert shadow is not None
    assert shadow.version == 2
    assert open_registry(state, trained.settings.name).champion().number == 1


@pytest.mark.parametrize("verdict", ["ok", "cannot tell yet", "plays work", "mend a source"])
def test_other_verdicts_train_nothing(trained: TrainedModel, verdict: HealthVerdict):
    action = act_on(HealthDecision(verdict, ""), trained.settings, trained.state, EXTRACT_END, ignore_progress)
    assert (action.kind, action.version) == ("nothing", None)


MOVED = MonitorRun(
    EXTRACT_END, EXTRACT_END, 1, "population moved", "logins, seats", "fewer log in", None, None, {}, registered=2
)


@pytest.mark.parametrize(
    ("changes", "version"),
    [({}, 2), ({"subject": "logins"}, 2), ({"subject": "logins, tickets"}, None), ({"version": 2}, None)],
    ids=["same", "fewer signals", "one more signal", "another champion"],
)
def test_a_verdict_that_stays_is_answered_once(changes, version):
    run = replace(MOVED, run_at=EXTRACT_END + timedelta(days=1), registered=None, **changes)
    action = find_earlier_action(run, [MOVED])
    assert (action and action.version) == version
    assert action is None or action.text.endswith("version 2 was registered for this verdict on 2023-07-01.")


def test_the_runs_that_acted_count_until_one_without_an_alarm(tmp_path):
    store = RunStore(Ledger(tmp_path / "ledger.db").engine)
    morning = replace(MOVED, registered=None)
    store.save(morning)
    store.record_registered(morning, 2)
    store.save(replace(morning, run_at=EXTRACT_END + timedelta(hours=8)))
    assert store.acted() == [MOVED]
    store.save(replace(morning, run_at=EXTRACT_END + timedelta(days=1), verdict="ok"))
    assert store.acted() == []


def test_monitor_names_the_version_that_a_latched_verdict_led_to(oarlock, trained: TrainedModel, tmp_path, monkeypatch):
    monkeypatch.setenv("OARLOCK_LEDGER__URL", f"sqlite:///{tmp_path / 'own.db'}")
    RunStore(Ledger(tmp_path / "own.db").engine).save(replace(MOVED, figures={"outcome_evidence": 0.0}))
    result = oarlock("monitor", "--act", config=trained.config)
    assert (result.code, result.out.splitlines()[-2:]) == (
        10,
        [
            "- acted: Nothing was done: version 2 was registered for this verdict on 2023-07-01.",
            "- next: oarlock compare 2",
        ],
    )


def test_only_one_process_acts(trained: TrainedModel, state: StateDir):
    lock = exclusive_lock(state.folder / "monitor_act.lock", "acting on a verdict in")
    decision = HealthDecision("cause changed: retrain", "")
    with lock, pytest.raises(Busy, match="acting on a verdict"):
        act_on(decision, trained.settings, state, EXTRACT_END, ignore_progress)


def test_nothing_is_learned_from_excluded_days(trained: TrainedModel):
    registry = open_registry(trained.state, trained.settings.name)
    provenance = registry.provenance(registry.champion())
    assert provenance is not None
    learned = [datetime.fromisoformat(day) for day in provenance.days]
    settings = excluding(trained.settings, learned[1].date(), learned[2].date())
    assert build_training_set(settings, trained.state, EXTRACT_END).days == [learned[0], *learned[3:]]


def test_excluded_days_end_after_they_begin():
    with pytest.raises(ValidationError, match="is before since"):
        ExcludedDays(since=date(2026, 3, 2), until=date(2026, 3, 1))


@pytest.mark.slow  # it trains
def test_monitor_retrains_on_a_changed_cause_without_the_excluded_days_and_once(
    oarlock, trained: TrainedModel, tmp_path
):
    config = copy_folder(trained.config.parent, tmp_path / "own") / trained.config.name
    own = open_trained_model(config.parent)
    since, until = date(2022, 9, 1), date(2022, 10, 31)
    with config.open("a") as file:
        file.write(f"\n[[monitoring.exclude]]\nsince = {since}\nuntil = {until}\n")
    _serve_risks_that_ignore_the_causes(own)
    first = json.loads(oarlock("monitor", "--act", "--json", config=config).out)
    assert first["decision"]["verdict"] == "cause changed: retrain"
    assert (first["action"]["kind"], first["action"]["version"]) == ("retrained", 2)
    registry = open_registry(own.state, own.settings.name)
    assert registry.champion().number == 1
    learned = [registry.provenance(registry.get(version)) for version in (1, 2)]
    days = [{date.fromisoformat(day[:10]) for day in provenance.days} for provenance in learned if provenance]
    assert days[0] - days[1] == {since, date(2022, 10, 1)}
    assert days[1] < days[0]
    again = json.loads(oarlock("monitor", "--act", "--json", config=config).out)
    assert again["action"]["kind"] == "nothing"
    assert "version 2 was registered for this verdict" in again["action"]["text"]
    assert len(registry.versions()) == 2


def _serve_risks_that_ignore_the_causes(model: TrainedModel) -> None:
    """Serve the risks of five days in the opposite order of the accounts: the lowest to the account of the highest."""
    scorer = open_scorer(model.settings, model.state, lambda: EXTRACT_END, Ledger(model.state.folder / "scratch.db"))
    label = scorer.champions.champion().model.identity["label"]
    ledger = open_ledger(model.settings, model.state)
    parts = ("risk", "risks", "base", "drivers", "protective_drivers")
    for day in (datetime(2023, month, 1) for month in range(1, 6)):
        scores = open_batch(model.state, scorer, [], day).score_all(0)["scores"]
        ordered = sorted(scores, key=lambda score: score["risk"])
        turned = [
            {**score, **{part: other[part] for part in parts}}
            for score, other in zip(ordered, reversed(ordered), strict=True)
        ]
        ledger.append(cast(list[Score], turned), cast(ScoreSource, {**source_at(day), "label_hash": label}))
