"""The life of a version through the front door: trained, held against the champion, refused, forced, rolled back."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.trained_model import Trained

pytestmark = pytest.mark.slow
WEAK = {
    "OARLOCK_TRAINING__NUM_ITERATIONS": "2",
    "OARLOCK_EVALUATION__BACKTEST_FOLDS": "2",
    "OARLOCK_STABILITY__REFITS": "2",
}


@pytest.fixture
def own_company(trained: Trained, tmp_path: Path) -> Path:
    """The settings of a copy of the trained company."""
    shutil.copytree(trained.state.folder, tmp_path / "state" / "crm5")
    return Path(shutil.copy(trained.config, tmp_path))


def oarlock(config: Path, *words: str, **environment: str) -> tuple[int, str]:
    """How a command in a process of its own ended, and what it said."""
    command = [sys.executable, str(ROOT / "oarlock.py"), "--config", str(config), *words]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout or done.stderr


def champion(config: Path) -> int:
    versions = json.loads(oarlock(config, "models", "list", "--json")[1])["versions"]
    return next(one["number"] for one in versions if one["alias"] == "champion")


def test_a_weak_challenger_loses_is_refused_and_leaves_again_after_being_forced(own_company):
    code, told = oarlock(own_company, "train", "--json", **WEAK)
    assert (code, json.loads(told)["comparison"]["verdict"]) == (0, "inferior")

    code, told = oarlock(own_company, "promote")
    assert code == 6
    assert "it lost its duel against version 1" in " ".join(told.split())
    assert champion(own_company) == 1

    assert oarlock(own_company, "promote", "--force", "--reason", "a drill")[0] == 0
    assert champion(own_company) == 2
    assert oarlock(own_company, "rollback", "--reason", "the drill is over")[0] == 0
    assert champion(own_company) == 1
    actions = [one["action"] for one in json.loads(oarlock(own_company, "audit", "--json")[1])]
    assert {"forced", "rolled_back"} <= set(actions)
