"""The rival of the latency benchmark gives the risks that the service gives."""

import pytest

from benchmarks.serving.naive_service import NaiveModel
from tests.support.api_client import ApiClient
from tests.support.trained_model import TrainedModel


@pytest.mark.parametrize("explainer", ["each", "once"])
def test_the_naive_service_gives_the_risks_of_the_service(
    trained: TrainedModel, api_client: ApiClient, monkeypatch: pytest.MonkeyPatch, explainer: str
):
    monkeypatch.setenv("NAIVE_EXPLAINER", explainer)
    ids = ["1096", api_client.riskiest]
    ours = {score["account_id"]: score["risk"] for score in api_client.post("/score", account_ids=ids)["scores"]}
    naive = NaiveModel(trained.config, trained.config).score(ids)
    assert {score["account_id"]: score["risk"] for score in naive} == pytest.approx(ours, abs=1e-6)
    assert [len(score["drivers"]) for score in naive] == [3, 3]
