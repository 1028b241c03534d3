"""Acting on a verdict: what is registered, what stays, and what is refused."""

from datetime import date, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from configs.errors import Busy
from configs.files import exclusive_lock
from configs.settings import ExcludedDays, MonitoringSettings, Settings
from configs.state_dir import StateDir
from monitoring.action import act_on
from monitoring.verdicts.verdict import HealthDecision
from serving.schemas.enums import HealthVerdict
from tests.support.progress import ignore_progress
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_folder
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


@pytest.mark.parametrize("verdict", ["ok", "cannot tell yet", "plays work", "mend a source"])
def test_other_verdicts_train_nothing(trained: TrainedModel, verdict: HealthVerdict):
    action = act_on(HealthDecision(verdict, ""), trained.settings, trained.state, EXTRACT_END, ignore_progress)
    assert (action.kind, action.version) == ("nothing", None)


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
