"""The store as a user of Feast opens it: by its configuration file, with Feast's own statistics."""

import shutil
from pathlib import Path
from statistics import mean

import pytest
from feast import FeatureStore
from feast.monitoring.monitoring_service import MonitoringService

from configs.errors import DamagedState
from features.publishing.pipeline import PublishRequest, publish
from features.store.feast_store import open_history_store, open_store, read_online_signals, write_feature_statistics
from features.store.history import published_history
from features.tables.contract import ACCOUNT_ID
from tests.support.companies.growing_company import ACCOUNTS, TODAY, Company, create_company
from tests.support.progress import ignore_progress


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    company = create_company(tmp_path_factory.mktemp("feast") / "growing")
    publish(company.settings, company.state, PublishRequest(TODAY), ignore_progress)
    return company


def read_mrr(company: Company) -> list[float]:
    store = open_store(company.state, company.settings.name)
    return read_online_signals(store, ACCOUNTS).values["mrr"].tolist()


def test_feast_opens_the_store_by_its_file_wherever_the_folder_is(company: Company, tmp_path: Path):
    moved = tmp_path / "moved"
    shutil.copytree(company.state.feast, moved)
    expected = read_mrr(company)
    for folder in (company.state.feast, moved):
        store = FeatureStore(repo_path=str(folder))
        rows = store.get_online_features(["billing:mrr"], [{ACCOUNT_ID: account} for account in ACCOUNTS])
        assert rows.to_dict()["mrr"] == expected
        assert [service.name for service in store.list_feature_services()] == ["risk"]


def test_the_statistics_of_a_day_are_where_feast_looks_for_them(company: Company):
    state, name = company.state, company.settings.name
    history, as_of = published_history(state)
    assert write_feature_statistics(open_history_store(state, history, name), as_of) == len(history.signals)
    service = MonitoringService(FeatureStore(repo_path=str(state.feast)))
    statistics = service.get_feature_metrics(project=name, feature_view_name="billing", feature_name="mrr")
    values = read_mrr(company)
    assert [(row["metric_date"], row["row_count"]) for row in statistics] == [(f"{as_of:%Y-%m-%d}", len(values))]
    assert statistics[0]["mean"] == pytest.approx(mean(values))


def test_statistics_of_a_damaged_history_are_refused(company: Company):
    history, as_of = published_history(company.state)
    store = open_history_store(company.state, history, company.settings.name)
    files = history.family_files("value")
    file = next(files.parents[1].glob(f"{as_of:%Y-%m-%d}*/{files.name}"))
    content = file.read_bytes()
    file.write_bytes(b"damaged")
    try:
        with pytest.raises(DamagedState, match=r"Feast could not compute statistics .* the history of a family"):
            write_feature_statistics(store, as_of)
    finally:
        file.write_bytes(content)
