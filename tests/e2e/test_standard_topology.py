"""The topology `standard`: the same answers as `embedded`, and several machines that answer as one.

Postgres has the ledger and Feast's registry, and is behind an MLflow server; Redis has the online store. Machines are
state folders of their own.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import redis
import sqlalchemy as sql

from serving.ledger.database import open_database
from serving.ledger.schema import FEEDBACK, RISKS
from tests.support.paths import ROOT
from tests.support.servers import own_redis_keys, own_schema, start_mlflow
from tests.support.service_process import RunningService, apply_load, run_service, wait_until
from tests.support.trained_model import QUICK_EVALUATION

pytestmark = pytest.mark.slow
LAST_DAY = "2023-07-01"
# Several threads of DuckDB add up in whatever order they finish, so two runs may differ in the last bit of a sum.
ONE_THREAD = {"OARLOCK_ENGINE__THREADS": "1"}


@dataclass(frozen=True)
class Machine:
    """A machine: the settings file of a company, and an environment that names its state folder and its servers."""

    config: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> str:
        """The output of a command that succeeds."""
        command = [sys.executable, str(ROOT / "oarlock.py"), "--config", str(self.config), *arguments]
        variables = os.environ | self.environment
        result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def with_state(self, folder: Path) -> "Machine":
        return Machine(self.config, {**self.environment, "OARLOCK_STATE": str(folder)})

    def scores(self) -> list[dict]:
        """The answers about every account, without what names the run."""
        return json.loads(self.run("score", "--all", "--json"))["scores"]

    def versions(self) -> list[dict]:
        """What is registered, newest first."""
        return json.loads(self.run("models", "list", "--json"))["versions"]


@dataclass(frozen=True)
class Standard:
    """Servers of a topology `standard`, and the machine that publishes and trains."""

    machine: Machine
    ledger: str
    redis: redis.Redis
    prefix: str


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The shipped extract, published, trained and promoted without any server."""
    folder = tmp_path_factory.mktemp("embedded")
    config = folder / "crm5.toml"
    shipped = (ROOT / "configs/crm5.toml").read_text()
    config.write_text(shipped.replace("datasets/", f"{ROOT}/configs/datasets/").replace("../.oarlock", "state"))
    machine = Machine(config, ONE_THREAD | QUICK_EVALUATION)
    machine.run("publish", "--as-of", LAST_DAY)
    machine.run("train")
    machine.run("promote")
    return machine


@pytest.fixture(scope="module")
def standard(
    embedded: Machine, postgres_server: str, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Standard]:
    """The shipped extract, published, trained and promoted on `standard`."""
    folder = tmp_path_factory.mktemp("standard")
    with start_servers(folder, postgres_server, redis_server) as environment:
        machine = Machine(embedded.config, environment).with_state(folder / "batch")
        machine.run("publish", "--as-of", LAST_DAY)
        machine.run("train")
        machine.run("promote")
        prefix = f"{environment['OARLOCK_STORES__ONLINE_PREFIX']}:crm5"
        yield Standard(machine, environment["OARLOCK_LEDGER__URL"], redis.Redis.from_url(redis_server), prefix)


@contextmanager
def start_servers(folder: Path, postgres: str, redis_url: str) -> Iterator[dict[str, str]]:
    """The environment of a machine on `standard`, with empty servers, until the block ends."""
    with ExitStack() as stack:
        ledger, feast, mlflow = (stack.enter_context(own_schema(postgres)) for _ in range(3))
        stores = stack.enter_context(own_redis_keys(redis_url))
        yield {
            **ONE_THREAD,
            **QUICK_EVALUATION,
            "OARLOCK_TOPOLOGY": "standard",
            "OARLOCK_LEDGER__URL": ledger,
            "OARLOCK_STORES__FEAST_REGISTRY": feast,
            "OARLOCK_STORES__MLFLOW": stack.enter_context(start_mlflow(mlflow, folder / "artifacts")),
            "OARLOCK_STORES__MLFLOW_DATABASE": mlflow,
            "OARLOCK_STORES__ONLINE": redis_url,
            "OARLOCK_STORES__ONLINE_PREFIX": stores.online_prefix,
            "OARLOCK_STORES__HISTORY": str(folder / "history"),
            "OARLOCK_SERVING__POLL_SECONDS": "0.5",
        }


@pytest.fixture(scope="module")
def replicas(standard: Standard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningService]]:
    """Two services on machines that have only the settings."""
    folder = tmp_path_factory.mktemp("replicas")
    machines = [standard.machine.with_state(folder / name) for name in ("first", "second")]
    with ExitStack() as stack:
        services = [stack.enter_context(run_service(machine.config, **machine.environment)) for machine in machines]
        for service in services:
            wait_until(lambda service=service: service.client.get("/readyz").status_code == 200)
        yield services


def test_all_accounts_have_the_answers_of_embedded_to_the_last_bit(embedded: Machine, standard: Standard):
    expected = embedded.scores()
    assert len(expected) == 1222
    assert standard.machine.scores() == expected


def test_redis_has_a_row_for_each_live_account(standard: Standard):
    assert sum(1 for _ in standard.redis.scan_iter(match=f"{standard.prefix}:row:*", count=1_000)) == 1222


def test_every_risk_is_in_postgres(standard: Standard, replicas: list[RunningService]):
    engine = open_database(standard.ledger)
    for number, service in enumerate(replicas):
        response = service.client.post("/v1/score", json=SCORE, headers={"x-request-id": f"from-{number}"})
        assert response.status_code == 200
    wait_until(lambda: _count(engine, RISKS.c.request_id.in_(["from-0", "from-1"])) == 2 * len(ACCOUNTS))


ACCOUNTS = ["1096", "2072", "1392", "364"]
SCORE = {"account_ids": ACCOUNTS}


def _count(engine: sql.Engine, condition: sql.ColumnElement[bool]) -> int:
    with engine.connect() as connection:
        return connection.execute(sql.select(sql.func.count()).where(condition)).scalar_one()


def _answer(response: httpx.Response) -> dict:
    assert response.status_code == 200, response.text
    return response.json()


def test_machines_that_have_only_the_settings_answer_alike(replicas: list[RunningService]):
    first, second = ([_answer(s.client.get(path)) for path in PATHS] for s in replicas)
    assert first == second
    scores = [_answer(service.client.post("/v1/score", json=SCORE)) for service in replicas]
    assert scores[0] == scores[1]


PATHS = ("/v1/accounts?limit=20", "/v1/model", "/v1/models")


def test_a_backup_under_load_restores_into_embedded(
    embedded: Machine, standard: Standard, replicas: list[RunningService], tmp_path: Path
):
    engine, archive = open_database(standard.ledger), tmp_path / "standard.tar.zst"
    with apply_load(replicas[0], ACCOUNTS) as load:
        load.wait_for(50)
        before = load.acknowledged
        wait_until(lambda: before <= _recorded(engine))
        standard.machine.run("backup", str(archive))
        load.wait_for(10)
    assert (load.errors, load.failures) == ([], [])
    restored = embedded.with_state(tmp_path / "restored")
    restored.run("restore", str(archive))
    assert before <= _recorded(open_database(tmp_path / "restored/crm5/ledger.db"))
    restored.run("publish", "--as-of", LAST_DAY)
    assert restored.scores() == standard.machine.scores()
    assert restored.versions() == standard.machine.versions()
    restored.run("set-bands", "1", "--thresholds", "0.05", "0.1", "0.2")


def _recorded(engine: sql.Engine) -> set[str]:
    """The ids of the requests whose risks a ledger holds."""
    with engine.connect() as connection:
        return set(connection.execute(sql.select(RISKS.c.request_id).distinct()).scalars())


def test_a_backup_of_embedded_restores_into_standard(
    embedded: Machine, postgres_server: str, redis_server: str, tmp_path: Path
):
    archive = tmp_path / "embedded.tar.zst"
    embedded.run("backup", str(archive))
    with start_servers(tmp_path, postgres_server, redis_server) as environment:
        machine = Machine(embedded.config, environment).with_state(tmp_path / "batch")
        machine.run("restore", str(archive))
        machine.run("publish", "--as-of", LAST_DAY)
        assert machine.scores() == embedded.scores()
        assert machine.versions() == embedded.versions()
        machine.run("set-bands", "1", "--thresholds", "0.05", "0.1", "0.2")
        assert [version["number"] for version in machine.versions()] == [2, 1]


def test_feedback_on_one_machine_counts_on_the_other(standard: Standard, replicas: list[RunningService]):
    feedback = {"account_id": "1096", "verdict": "wrong", "mark": "do_not_chase"}
    assert replicas[0].client.post("/v1/feedback", json=feedback).status_code in {200, 201}
    assert _count(open_database(standard.ledger), FEEDBACK.c.account_id == "1096") == 1
    states = [_answer(service.client.get("/v1/accounts/1096/risk")) for service in replicas]
    assert states[0] == states[1]


def test_an_idempotency_key_is_honoured_by_the_other_machine(replicas: list[RunningService]):
    headers = {"idempotency-key": "nightly-1"}
    first, second = (service.client.post("/v1/score", json=SCORE, headers=headers) for service in replicas)
    assert (first.status_code, second.status_code) == (200, 200)
    assert (second.headers["idempotency-replayed"], second.content) == ("true", first.content)
    other = replicas[1].client.post("/v1/score", json={"account_ids": ["1096"]}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")


def test_a_promotion_reaches_every_machine_and_no_answer_mixes_versions(
    standard: Standard, replicas: list[RunningService]
):
    standard.machine.run("set-bands", "1", "--thresholds", "0.05", "0.1", "0.2")
    before = _answer(replicas[0].client.post("/v1/score", json=SCORE))
    with ThreadPoolExecutor(4) as threads:
        loads = [threads.submit(_score_until, service, version=2) for service in (*replicas, *replicas)]
        time.sleep(0.5)
        standard.machine.run("promote", "2", "--force", "--reason", "a test")
        answers = [answer for load in loads for answer in load.result()]
    after = _answer(replicas[1].client.post("/v1/score", json=SCORE))
    assert {answer["model"]["version"] for answer in answers} == {1, 2}
    expected = {1: before, 2: after}
    assert all(answer == expected[answer["model"]["version"]] for answer in answers)


def _score_until(service: RunningService, version: int) -> list[dict]:
    """The answers of a service until it answers with a version."""
    answers = []
    deadline = time.monotonic() + 90
    with httpx.Client(base_url=service.client.base_url, timeout=30) as client:
        while time.monotonic() < deadline:
            answers.append(_answer(client.post("/v1/score", json=SCORE)))
            if answers[-1]["model"]["version"] == version:
                return answers
    raise AssertionError(f"version {version} did not arrive")


def test_an_account_that_is_erased_is_known_to_no_machine(standard: Standard, replicas: list[RunningService]):
    certificate = json.loads(standard.machine.run("erase", "364", "--json"))
    assert certificate["complete"]
    assert certificate["removed"]["redis"] == 1
    assert _count(open_database(standard.ledger), RISKS.c.account_id == "364") == 0
    for service in replicas:
        answer = _answer(service.client.post("/v1/score", json={"account_ids": ["364"]}))
        assert answer["not_scored"] == [{"account_id": "364", "reason": "unknown_account"}]
        wait_until(lambda service=service: service.client.get("/v1/accounts/364/risk").status_code == 404)


def test_a_key_made_on_one_machine_works_on_the_others_and_its_limit_holds_over_all(
    standard: Standard, replicas: list[RunningService]
):
    made = standard.machine.run(
        "keys", "create", "--name", "crm", "--scope", "score,read", "--requests-per-minute", "60", "--json"
    )
    headers = {"authorization": f"Bearer {json.loads(made)['key']}"}
    for service in replicas:
        wait_until(lambda service=service: service.client.post("/v1/score", json=SCORE).status_code == 401)
        assert service.client.post("/v1/score", json=SCORE, headers=headers).status_code == 200
    codes = [replicas[0].client.post("/v1/score", json=SCORE, headers=headers).status_code for _ in range(60)]
    assert 429 in codes
    wait_until(lambda: replicas[1].client.post("/v1/score", json=SCORE, headers=headers).status_code == 429)
    key_id = json.loads(made)["id"]
    standard.machine.run("keys", "revoke", key_id)
    for service in replicas:
        wait_until(
            lambda s=service: s.client.get("/v1/model", headers=headers).json()["error"]["code"] == "key_revoked"
        )
