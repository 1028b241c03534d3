"""What a running service answers while things fail around it, what is lost, and how it recovers."""

import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sql

from configs.files import read_json, write_json
from configs.settings import read_settings
from configs.state_dir import StateDir, open_state_dir
from features.store.online_reader import OnlineReader
from serving.ledger.ledger import RISKS, Ledger
from serving.scoring.champion_pointer import ARTIFACT, bundle_folder, prepare_bundle, sync_champion
from serving.scoring.model_bundle import DOCUMENT_FILE, load_bundle
from serving.scoring.scorer import Scorer
from serving.scoring.scores import score_values
from serving.treeshap.kernel import Kernel
from tests.support.api_client import open_api_client
from tests.support.service_process import Load, Running, loaded, serving, until
from tests.support.trained_model import EXTRACT_ENDS
from training.registry.mlflow_registry import Registry, TrainingRun, open_registry
from training.registry.version import CHAMPION

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Company:
    """A state of its own with a champion, a version that says other risks, and one whose bundle is not its model's."""

    config: Path
    state: StateDir
    registry: Registry
    ids: list[str]

    def crown(self, number: int) -> None:
        """Move the alias as another tool would."""
        self.registry.client.set_registered_model_alias(self.registry.name, CHAMPION, str(number))

    def given(self) -> Counter[str]:
        """How many risks the ledger holds of each request."""
        with Ledger(self.state.ledger).engine.connect() as connection:
            return Counter(connection.execute(sql.select(RISKS.c.request_id)).scalars())

    def risks(self, number: int) -> dict[str, float]:
        """What a version says of the accounts."""
        bundle = load_bundle(bundle_folder(self.state, number), Kernel(self.state.compiled_kernels))
        found = score_values(bundle, OnlineReader(self.state).read(self.ids).values)
        return dict(zip(self.ids, found.risks.tolist(), strict=True))


@pytest.fixture(scope="module")
def company(trained, tmp_path_factory) -> Company:
    """A copy of the trained company that tests may harm."""
    folder = tmp_path_factory.mktemp("harmed")
    config = folder / "crm5.toml"
    config.write_text(trained.config.read_text() + "\n[serving]\npoll_seconds = 0.5\nworkers = 2\n")
    shutil.copytree(trained.state.folder, folder / "state/crm5", ignore=shutil.ignore_patterns("ledger*", "journal"))
    settings = read_settings(config)
    state = open_state_dir(settings)
    registry = open_registry(state, settings.name)
    _add_higher(registry, folder)
    _add_broken(state, registry)
    sync_champion(state, registry)
    portfolio = open_api_client(Scorer(settings, state, lambda: EXTRACT_ENDS))
    ids = [one["account_id"] for one in portfolio.get("/accounts", sort="risk", limit=5)["accounts"]]
    return Company(config, state, registry, ids)


def _add_higher(registry: Registry, folder: Path) -> None:
    """Version 2: the champion's trees with every risk a little higher."""
    first = registry.get(1)
    model, made_from = registry.load_model(first), registry.provenance(first)
    assert made_from is not None
    (pictures := folder / "pictures").mkdir()
    calibrator = replace(model.calibrator, intercepts=tuple(one + 0.3 for one in model.calibrator.intercepts))
    higher = replace(model, calibrator=calibrator)
    registry.log_run(TrainingRun(higher, registry.evaluation(first), made_from, {}, {}, "higher", pictures))


def _add_broken(state: StateDir, registry: Registry) -> None:
    """Version 3: stored with a bundle that gives other risks than its model."""
    broken = shutil.copytree(prepare_bundle(state, registry, registry.get(2)), state.folder / "broken")
    document = read_json(broken / DOCUMENT_FILE)
    write_json(broken / DOCUMENT_FILE, {**document, "base_margin": document["base_margin"] + 1.0})
    second = registry.client.get_model_version(registry.name, "2")
    registry.client.create_model_version(registry.name, second.source, second.run_id)
    registry.upload_artifact(registry.get(3), ARTIFACT, broken)


@pytest.fixture(scope="module")
def service(company) -> Iterator[Running]:
    """The company's service with two workers, for tests that leave it whole."""
    with serving(company.config) as running:
        yield running


def score_all(service: Running, company: Company) -> httpx.Response:
    return service.client.post("/v1/score", json={"account_ids": company.ids})


def test_a_service_killed_under_load_loses_nothing_it_acknowledged_and_starts_again(company):
    with serving(company.config) as service, loaded(service, company.ids) as load:
        load.wait_for(100)
        service.kill_all()
    with serving(company.config):
        until(lambda: load.acknowledged <= company.given().keys())
        found = company.given()
    assert {found[one] for one in load.acknowledged} == {len(company.ids)}


def test_a_killed_worker_is_answered_for_by_its_sibling_and_replaced(company, service):
    until(lambda: len(service.workers()) == 2)
    with loaded(service, company.ids) as load:
        load.wait_for(20)
        killed = service.workers()[0]
        killed.kill()
        load.wait_for(100)
        until(lambda: len({one.pid for one in service.workers()} - {killed.pid}) == 2)
    assert load.refused == []
    until(lambda: load.acknowledged <= company.given().keys())
    found = company.given()
    assert {found[one] for one in load.acknowledged} == {len(company.ids)}


def test_promotions_under_load_drop_no_request_and_mix_no_versions(company, service):
    with loaded(service, company.ids) as load:
        said = [_crowned(company, service, load, *step) for step in ((2, 2), (1, 1), (3, 1), (2, 2), (1, 1))]
    assert (load.refused, load.failures) == ([], [])
    right = {number: company.risks(number) for number in (1, 2)}
    for answer in load.answers.values():
        told = answer.json()
        risks = {one["account_id"]: one["risk"] for one in told["scores"]}
        assert risks == pytest.approx(right[told["model"]["version"]], abs=1e-12)
    assert [one["version"] for one in said] == [2, 1, 1, 2, 1]
    assert said[2]["refused"]["version"] == 3


def _crowned(company: Company, service: Running, load: Load, number: int, answers: int) -> dict:
    """What is said of the model once every worker took a promotion up, or refused it, and answered a while."""
    company.crown(number)
    refused = None if number == answers else number

    def settled() -> bool:
        told = [service.client.get("/v1/model", headers={"connection": "close"}).json() for _ in range(8)]
        return all(one["version"] == answers and (one["refused"] or {}).get("version") == refused for one in told)

    until(settled)
    load.wait_for(20)
    return service.client.get("/v1/model").json()


def test_with_the_ledgers_database_locked_it_answers_and_the_ledger_follows(company, service):
    with sqlite3.connect(company.state.ledger) as database:
        database.execute("begin exclusive")
        answer = score_all(service, company)
        assert answer.status_code == 200
        time.sleep(1)
        database.rollback()
    until(lambda: company.given()[answer.headers["x-request-id"]] == len(company.ids))


def test_with_the_store_gone_the_last_known_risk_is_marked_until_it_is_back(company, service):
    known = {one["account_id"]: one["risk"] for one in score_all(service, company).json()["scores"]}
    until(lambda: company.given().total() > 0)
    feast, away = company.state.feast, company.state.folder / "away"
    feast.rename(away)
    try:
        until(lambda: {one["status"] for one in score_all(service, company).json()["scores"]} == {"degraded"})
        assert {one["account_id"]: one["risk"] for one in score_all(service, company).json()["scores"]} == known
    finally:
        away.rename(feast)
    until(lambda: {one["status"] for one in score_all(service, company).json()["scores"]} == {"scored"})


def test_the_metrics_of_all_workers_are_one_page(company, service):
    def counted() -> float:
        page = service.client.get("/metrics").text
        name = 'oarlock_requests_total{method="POST",route="/v1/score",status="200"} '
        return sum(float(line.removeprefix(name)) for line in page.splitlines() if line.startswith(name))

    before = counted()
    with loaded(service, company.ids) as load:
        load.wait_for(30)
    until(lambda: counted() == before + len(load.acknowledged))
    service.client.get("/v1/openapi.json")
    until(lambda: 'route="/v1/openapi.json",status="200"' in service.client.get("/metrics").text)
