"""The life of a version on the command line: trained, compared, refused, forced, rolled back."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.trained_model import TrainedModel, copy_folder

pytestmark = pytest.mark.slow
WEAK_TRAINING = {
    "OARLOCK_TRAINING__NUM_ITERATIONS": "2",
    "OARLOCK_EVALUATION__BACKTEST_FOLDS": "2",
    "OARLOCK_STABILITY__REFITS": "2",
}


@pytest.fixture
def company_copy(trained: TrainedModel, tmp_path: Path) -> Path:
    """The settings of a copy of the trained company."""
    copy_folder(trained.state.folder, tmp_path / "state/crm5")
    return Path(shutil.copy(trained.config, tmp_path))


def oarlock(config: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command in a process of its own; gives its exit code and output."""
    command = [sys.executable, str(ROOT / "oarlock.py"), "--config", str(config), *arguments]
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    return result.returncode, result.stdout or result.stderr


def champion(config: Path) -> int:
    versions = json.loads(oarlock(config, "models", "list", "--json")[1])["versions"]
    return next(version["number"] for version in versions if version["alias"] == "champion")


def test_a_weak_challenger_is_refused_forced_and_rolled_back(company_copy):
    code, output = oarlock(company_copy, "train", "--json", **WEAK_TRAINING)
    assert (code, json.loads(output)["comparison"]["verdict"]) == (0, "inferior")

    code, output = oarlock(company_copy, "promote")
    assert code == 6
    assert "it is inferior to the champion, version 1" in " ".join(output.split())
    assert champion(company_copy) == 1

    assert oarlock(company_copy, "promote", "--force", "--reason", "a drill")[0] == 0
    assert champion(company_copy) == 2
    assert oarlock(company_copy, "rollback", "--reason", "the drill is over")[0] == 0
    assert champion(company_copy) == 1
    actions = [event["action"] for event in json.loads(oarlock(company_copy, "audit", "--json")[1])]
    assert {"forced", "rolled_back"} <= set(actions)
