"""External data sets, which are not shipped: from raw files to the evaluation of a model."""

import os
from pathlib import Path

import pytest

from configs.settings import Settings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.tables.dataset import read_dataset
from tests.support.paths import ROOT
from tests.support.progress import ignore_progress
from training.registry.evaluation_record import EvaluationRecord

FOLDER = Path(os.environ.get("OARLOCK_OUTSIDE_DATA", ROOT / ".outside"))
pytestmark = pytest.mark.slow


@pytest.fixture
def evaluation(request, tmp_path) -> EvaluationRecord:
    """What is said of a model trained on the outside data set that the test names."""
    from features.publishing.pipeline import PublishRequest, publish
    from training.pipelines.train import train

    name = request.param
    if not (FOLDER / name).is_dir():
        pytest.skip(f"{FOLDER / name} is not there; name its parent with OARLOCK_OUTSIDE_DATA")
    settings = _settings(name, tmp_path)
    state, ends = open_state_dir(settings), read_dataset(settings.data).observed_until
    assert ends is not None
    publish(settings, state, PublishRequest(ends), ignore_progress)
    return train(settings, state, ends, ignore_progress).evaluation


def _settings(name: str, scratch: Path) -> Settings:
    read = read_settings(ROOT / f"configs/{name}.toml")
    folder = FOLDER if name == "online_retail_ii" else FOLDER / name  # the two years are in two folders
    return read.model_copy(update={"state": scratch, "data": read.data.model_copy(update={"folder": folder.resolve()})})


@pytest.mark.parametrize("evaluation", ["ravenstack"], indirect=True)
def test_a_model_of_noise_is_not_promoted(evaluation):
    from training.registry.promotion_rules import refusal_reason

    assert "no better than the base rate" in refusal_reason(evaluation)
    latest = evaluation.baseline_comparisons["latest base rate"]
    assert latest.difference.high >= 0, "it only follows the rising rate"


@pytest.mark.parametrize("evaluation", ["online_retail"], indirect=True)
def test_inactivity_is_predicted_without_contracts(evaluation):
    assert evaluation.baseline_comparisons["base rate"].difference.high < 0
    assert evaluation.metrics["auc_low"] > 0.70
    assert evaluation.metrics["rate"] == pytest.approx(0.39, abs=0.02)


@pytest.mark.parametrize("evaluation", ["online_retail", "online_retail_ii"], indirect=True)
def test_no_baseline_is_ahead_where_rates_have_seasons(evaluation):
    ahead = {name for name, compared in evaluation.baseline_comparisons.items() if compared.difference.low > 0}
    assert ahead == set()
