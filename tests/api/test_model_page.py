"""The model page and the work list: what they say is what the evaluation and the API say."""

import pytest

from configs.errors import NotReady
from configs.state_dir import StateDir
from serving.scoring.model_report import read_model_report
from tests.support.api_client import ApiClient
from tests.support.page_client import PageClient, open_page_client
from tests.support.trained_model import TrainedModel
from training.registry.mlflow_registry import open_registry


@pytest.fixture
def client(api_client: ApiClient) -> PageClient:
    return open_page_client(api_client.context)


def test_a_promotion_writes_the_evaluation_of_the_champion(trained: TrainedModel):
    registry = open_registry(trained.state, trained.settings.name)
    report, evaluation = read_model_report(trained.state), registry.evaluation(registry.champion())
    assert (report.champion, [version.number for version in report.versions]) == (1, [1])
    assert report.evaluation is not None
    assert dict(report.evaluation.metrics) == dict(evaluation.metrics)
    assert len(report.evaluation.calibration) == len(evaluation.calibration)


def test_a_missing_report_is_not_ready(tmp_path):
    with pytest.raises(NotReady, match="There is no report of the model yet"):
        read_model_report(StateDir(tmp_path))


def test_the_model_page_shows_metrics_with_their_intervals(client: PageClient, trained: TrainedModel):
    page, report = client.read("/model"), read_model_report(trained.state)
    assert report.evaluation is not None
    metrics = report.evaluation.metrics
    assert f"{metrics['auc']:.3f} <small>{metrics['auc_low']:.3f} to {metrics['auc_high']:.3f}</small>" in page
    assert page.count('class="dot"') == len(report.evaluation.calibration)
    assert all(f'<tr><th scope="row">{segment}</th>' in page for segment in report.evaluation.segments)


def test_the_work_list_shows_the_calls_of_the_api(client: PageClient, api_client: ApiClient):
    expected = api_client.get("/work-list", limit=10)
    page, document = client.read("/work-list?limit=10"), client.get("/work-list?limit=10&format=json").json()
    assert [call["account_id"] for call in document["calls"]] == [call["account_id"] for call in expected["calls"]]
    for call in expected["calls"]:
        assert f'href="/accounts/{call["account_id"]}"' in page
        assert call["play"]["action"] in page.replace("&#39;", "'")


def test_an_owner_without_accounts_has_nobody_to_call(client: PageClient):
    assert "nobody has nobody to call today." in client.read("/work-list?owner=nobody")
