"""Outside data: real and made-up companies that are not shipped, from raw files to the verdict on their model."""

import os
from pathlib import Path

import pytest

from configs.settings import Settings, read_settings
from configs.state_dir import open_state
from features.tables.mapping import read_dataset
from tests.conftest import ROOT, silent

FOLDER = Path(os.environ.get("OARLOCK_OUTSIDE_DATA", ROOT / ".outside"))
pytestmark = pytest.mark.slow


@pytest.fixture
def evaluation(request, tmp_path) -> dict:
    """What is said of a model trained on the outside data set that the test names."""
    from features.publishing.pipeline import Days, publish
    from training.pipelines.train import train

    name = request.param
    if not (FOLDER / name).is_dir():
        pytest.skip(f"{FOLDER / name} is not there; name its parent with OARLOCK_OUTSIDE_DATA")
    settings = _settings(name, tmp_path)
    state, ends = open_state(settings), read_dataset(settings.data).observed_until
    assert ends is not None
    publish(settings, state, Days(ends), silent)
    return train(settings, state, ends, silent).evaluation


def _settings(name: str, scratch: Path) -> Settings:
    read = read_settings(ROOT / f"configs/{name}.toml")
    return read.model_copy(
        update={"state": scratch, "data": read.data.model_copy(update={"folder": (FOLDER / name).resolve()})}
    )


@pytest.mark.parametrize("evaluation", ["ravenstack"], indirect=True)
def test_churn_that_is_noise_earns_no_promotion(evaluation):
    from training.registry.promotion_rules import no_skill, why_refused

    assert "no better than the base rate" in no_skill(evaluation)
    assert "no better than the base rate" in why_refused(evaluation)
    assert evaluation["comparisons"]["newest base rate"]["high"] >= 0, "it follows the rate, which rises, and no more"


@pytest.mark.parametrize("evaluation", ["online_retail"], indirect=True)
def test_silence_is_foreseen_without_contracts(evaluation):
    assert evaluation["comparisons"]["base rate"]["high"] < 0
    assert evaluation["figures"]["auc_low"] > 0.70
    assert evaluation["figures"]["rate"] == pytest.approx(0.39, abs=0.02)
