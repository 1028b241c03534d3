"""A champion that knows no more than the base rate says so wherever its risks are shown."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from serving.ledger.ledger import Ledger
from serving.scoring.champion_pointer import make_champion, read_pointer
from serving.scoring.scorer import open_scorer
from tests.support.api_client import ApiClient, open_api_client
from tests.support.page_client import PageClient, open_page_client
from tests.support.trained_model import EXTRACT_END, TrainedModel, copy_folder, open_trained_model
from training.evaluation.paired_difference import BaselineComparison
from training.evaluation.scorecard import Interval
from training.registry.mlflow_registry import Registry, open_registry
from training.registry.promotion import Decision, approve_promotion
from training.registry.training_run import TrainingRun
from training.registry.version import Version

WARNING = "This model knows no more than the base rate"


@pytest.fixture(scope="module")
def forced(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """The shared model as a version that is no better than the base rate, and that somebody promoted by force."""
    folder = tmp_path_factory.mktemp("forced")
    model = open_trained_model(copy_folder(trained.config.parent, folder / "crm5"))
    registry = open_registry(model.state, model.settings.name)
    event = approve_promotion(registry, _add_no_skill(registry, folder), Decision(EXTRACT_END, "a test", True))
    assert event is not None
    make_champion(model.state, registry, event)
    return model


def _add_no_skill(registry: Registry, folder: Path) -> Version:
    first = registry.get(1)
    beaten = {"base rate": BaselineComparison(Interval(0.01, -0.01, 0.02), must_be_beaten=True)}
    evaluation = replace(registry.evaluation(first), baseline_comparisons=beaten)
    provenance = registry.provenance(first)
    assert provenance is not None
    (plots := folder / "plots").mkdir()
    model = registry.load_model(first)
    return registry.log_run(TrainingRun(model, evaluation, provenance, evaluation.metrics, {}, "no skill", plots))


@pytest.fixture(scope="module")
def client(forced: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> ApiClient:
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")
    return open_api_client(
        forced.state, open_scorer(forced.settings, forced.state, lambda: EXTRACT_END, ledger), ledger
    )


@pytest.fixture
def pages(client: ApiClient) -> PageClient:
    return open_page_client(client.context)


@pytest.mark.parametrize("path", ["/", "/work-list", "/model", "/monitoring", "/retention"])
def test_every_page_says_it(pages: PageClient, path: str):
    assert WARNING in pages.read(path)


def test_the_pages_of_an_account_say_it(pages: PageClient, client: ApiClient):
    for path in (f"/accounts/{client.riskiest}", f"/accounts/{client.riskiest}/what-if"):
        assert WARNING in pages.read(path)


def test_responses_say_it(client: ApiClient):
    for path in ("/score", "/explain"):
        assert client.post(path, account_ids=[client.riskiest])["model"]["warning"].startswith(WARNING)


@pytest.mark.parametrize("command", ["score", "explain"])
def test_commands_say_it(oarlock, forced: TrainedModel, client: ApiClient, command: str):
    result = oarlock(command, client.riskiest, config=forced.config)
    assert (result.code, result.out.count(WARNING)) == (0, 1)


def test_an_export_says_it(oarlock, forced: TrainedModel, tmp_path: Path):
    result = oarlock("score", "--all", "--output", str(tmp_path / "scores.parquet"), config=forced.config)
    assert (result.code, result.out.count(WARNING)) == (0, 1)
    assert set(pq.read_table(tmp_path / "scores.parquet")["model_version"].to_pylist()) == {2}


def test_reports_say_it(oarlock, forced: TrainedModel, client: ApiClient, tmp_path: Path):
    reports = ("account", client.riskiest), ("portfolio",), ("monitoring",), ("retention",), ("outcomes",)
    for number, report in enumerate(reports):
        file = tmp_path / f"{number}.html"
        assert oarlock("report", *report, "--html", str(file), config=forced.config).code == 0
        assert file.read_text("utf-8").count(WARNING) == 1


def test_a_model_with_skill_has_no_warning(oarlock, trained: TrainedModel, tmp_path: Path):
    assert read_pointer(trained.state).warning is None
    result = oarlock("report", "portfolio", "--html", str(tmp_path / "x.html"), config=trained.config)
    assert result.code == 0
    assert WARNING not in (tmp_path / "x.html").read_text("utf-8")
