"""Fault injection: what a running service answers while something fails, what is lost, and how it recovers."""

import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil
import pytest
import sqlalchemy as sql

from configs.settings_file import read_settings
from configs.state_dir import StateDir, open_state_dir
from features.store.online_reader import OnlineReader
from serving.ledger.ledger import RISKS, Ledger
from serving.scoring.champion_pointer import bundle_folder, sync_champion
from serving.scoring.model_bundle import load_bundle
from serving.scoring.scorer import open_scorer
from serving.scoring.scores import score_values
from serving.treeshap.kernel import Kernel
from tests.support.api_client import open_api_client
from tests.support.damaged_version import register_damaged_version
from tests.support.service_process import ClientLoad, RunningService, apply_load, run_service, wait_until
from tests.support.trained_model import EXTRACT_END, TrainedModel
from training.registry.mlflow_registry import Registry, open_registry
from training.registry.training_run import TrainingRun
from training.registry.version import CHAMPION

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Company:
    """A state of its own: a champion, a version with other risks, and a version whose model is damaged."""

    config: Path
    state: StateDir
    registry: Registry
    account_ids: list[str]

    def set_champion_alias(self, number: int) -> None:
        """Move the alias as another tool would."""
        self.registry.client.set_registered_model_alias(self.registry.name, CHAMPION, str(number))

    def count_risks(self) -> Counter[str]:
        """The number of risks in the ledger, by request id."""
        with Ledger(self.state.ledger).engine.connect() as connection:
            return Counter(connection.execute(sql.select(RISKS.c.request_id)).scalars())

    def risks_of_version(self, number: int) -> dict[str, float]:
        """The risks that a version gives the accounts."""
        bundle = load_bundle(bundle_folder(self.state, number), Kernel(self.state.compiled_kernels))
        scores = score_values(bundle, OnlineReader(self.state).read(self.account_ids).values)
        return dict(zip(self.account_ids, scores.risks.tolist(), strict=True))


@pytest.fixture(scope="module")
def company(trained: TrainedModel, tmp_path_factory) -> Company:
    """A copy of the trained company that tests may change."""
    folder = tmp_path_factory.mktemp("harmed")
    config = folder / "crm5.toml"
    config.write_text(trained.config.read_text() + "\n[serving]\npoll_seconds = 0.5\nworkers = 2\n")
    shutil.copytree(
        trained.state.folder, folder / "state/crm5", ignore=shutil.ignore_patterns("ledger*", "write_ahead_log")
    )
    settings = read_settings(config)
    state = open_state_dir(settings)
    registry = open_registry(state, settings.name)
    _add_higher(registry, folder)
    register_damaged_version(registry, registry.get(2), folder / "damaged")
    sync_champion(state, registry)
    portfolio = open_api_client(
        state, open_scorer(settings, state, lambda: EXTRACT_END, Ledger(state.ledger)), Ledger(state.ledger)
    )
    account_ids = [account["account_id"] for account in portfolio.get("/accounts", sort="risk", limit=5)["accounts"]]
    return Company(config, state, registry, account_ids)


def _add_higher(registry: Registry, folder: Path) -> None:
    """Version 2: the champion's trees with every risk a little higher."""
    first = registry.get(1)
    model, provenance = registry.load_model(first), registry.provenance(first)
    assert provenance is not None
    (plots := folder / "pictures").mkdir()
    calibrator = replace(
        model.calibrator, intercepts=tuple(intercept + 0.3 for intercept in model.calibrator.intercepts)
    )
    higher = replace(model, calibrator=calibrator)
    registry.log_run(TrainingRun(higher, registry.evaluation(first), provenance, {}, {}, "higher", plots))


@pytest.fixture(scope="module")
def service(company) -> Iterator[RunningService]:
    """A service with two workers, for tests that do not stop it."""
    with run_service(company.config) as running:
        yield running


def score_all(service: RunningService, company: Company) -> httpx.Response:
    return service.client.post("/v1/score", json={"account_ids": company.account_ids})


def test_a_killed_service_loses_no_acknowledged_risk(company):
    with run_service(company.config) as service, apply_load(service, company.account_ids) as load:
        load.wait_for(100)
        service.kill_all()
    with run_service(company.config):
        wait_until(lambda: load.acknowledged <= company.count_risks().keys())
        counts = company.count_risks()
    assert {counts[request_id] for request_id in load.acknowledged} == {len(company.account_ids)}


def test_a_killed_worker_is_replaced_without_errors(company, service):
    wait_until(lambda: len(service.workers()) == 2)
    with apply_load(service, company.account_ids) as load:
        load.wait_for(20)
        killed = service.workers()[0]
        killed.kill()
        load.wait_for(100)
        wait_until(lambda: len({process.pid for process in service.workers()} - {killed.pid}) == 2)
    assert load.errors == []
    wait_until(lambda: load.acknowledged <= company.count_risks().keys())
    counts = company.count_risks()
    assert {counts[request_id] for request_id in load.acknowledged} == {len(company.account_ids)}


def test_promotions_under_load_fail_no_request(company, service):
    with apply_load(service, company.account_ids) as load:
        for step in ((2, 2), (1, 1), (3, 1), (2, 2), (1, 1)):
            _promote_under_load(company, service, load, *step)
    assert (load.errors, load.failures) == ([], [])
    expected = {number: company.risks_of_version(number) for number in (1, 2)}
    for response in load.responses.values():
        body = response.json()
        risks = {score["account_id"]: score["risk"] for score in body["scores"]}
        assert risks == pytest.approx(expected[body["model"]["version"]], abs=1e-12)
    assert {response.json()["model"]["version"] for response in load.responses.values()} == {1, 2}


def _promote_under_load(
    company: Company, service: RunningService, load: ClientLoad, promoted_version: int, serving_version: int
) -> None:
    """Promote a version, and wait until the workers have loaded it, or refused it and kept the one before."""
    company.set_champion_alias(promoted_version)
    refused = None if promoted_version == serving_version else promoted_version

    def is_settled() -> bool:
        # A worker that is busy with loading leaves the requests to the other, so a few answers may be of one worker.
        models = [service.client.get("/v1/model", headers={"connection": "close"}).json() for _ in range(40)]
        versions = {(model["version"], (model["refused"] or {}).get("version")) for model in models}
        return versions == {(serving_version, refused)}

    wait_until(is_settled)
    load.wait_for(20)


def test_with_the_ledger_locked_it_answers_and_writes_later(company, service):
    with sqlite3.connect(company.state.ledger) as database:
        database.execute("begin exclusive")
        response = score_all(service, company)
        assert response.status_code == 200
        time.sleep(1)
        database.rollback()
    wait_until(lambda: company.count_risks()[response.headers["x-request-id"]] == len(company.account_ids))


def test_with_the_store_gone_scores_are_degraded(company, service):
    last_risks = {score["account_id"]: score["risk"] for score in score_all(service, company).json()["scores"]}
    wait_until(lambda: company.count_risks().total() > 0)
    feast, moved = company.state.feast, company.state.folder / "away"
    feast.rename(moved)
    try:
        wait_until(lambda: {score["status"] for score in score_all(service, company).json()["scores"]} == {"degraded"})
        assert {
            score["account_id"]: score["risk"] for score in score_all(service, company).json()["scores"]
        } == last_risks
    finally:
        moved.rename(feast)
    wait_until(lambda: {score["status"] for score in score_all(service, company).json()["scores"]} == {"scored"})


def test_the_metrics_page_sums_all_workers(company, service):
    def count_requests() -> float:
        page = service.client.get("/metrics").text
        name = 'oarlock_http_requests_total{method="POST",route="/v1/score",status="200"} '
        return sum(float(line.removeprefix(name)) for line in page.splitlines() if line.startswith(name))

    before = count_requests()
    with apply_load(service, company.account_ids) as load:
        load.wait_for(30)
    wait_until(lambda: count_requests() == before + len(load.acknowledged))
    service.client.get("/v1/openapi.json")
    wait_until(lambda: 'route="/v1/openapi.json",status="200"' in service.client.get("/metrics").text)


def test_workers_end_when_their_supervisor_is_killed(company):
    with run_service(company.config) as service:
        wait_until(lambda: len(service.workers()) == 2)
        # The champion watcher belongs to the state folder, so it may be another service's child.
        children = service.process.children(recursive=True)
        service.process.kill()
        wait_until(lambda: not any(map(_is_running, children)))


def test_a_killed_champion_watcher_is_started_again(service):
    wait_until(lambda: len(service.watchers()) == 1)
    (killed,) = service.watchers()
    killed.kill()
    wait_until(lambda: [process for process in service.watchers() if process.pid != killed.pid] != [])
    failures = 'oarlock_background_failures_total{task="champion watcher"} 1.0'
    wait_until(lambda: failures in service.client.get("/metrics").text)


def test_the_metrics_of_a_service_are_in_its_state_folder(company, service):
    port = service.client.base_url.port
    folder = company.state.service_folder(port) / "prometheus_multiproc_dir"
    files = {file.name for file in folder.iterdir()}
    assert {f"counter_{worker.pid}.db" for worker in service.workers()} <= files


def _is_running(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
