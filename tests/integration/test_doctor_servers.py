"""Doctor with servers: a fault of a real Redis or a real MLflow server is named with the next step."""

from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from pydantic import SecretStr

from configs.errors import NotReady, StoreDown
from configs.sections.stores import StoreSettings
from configs.state_dir import StateDir
from features.online.redis_health import RedisServer
from features.online.redis_rows import keys_of
from features.publishing.pipeline import PublishRequest, publish
from monitoring.doctor import server_checks as checks
from monitoring.doctor.check_result import CheckResult, run_check
from monitoring.doctor.checkup import examine
from monitoring.doctor.machine_checks import check_mlflow_port, own_addresses
from tests.support.companies.growing_company import ACCOUNTS, TODAY, Company
from tests.support.progress import ignore_progress
from tests.support.servers import start_mlflow, start_redis


@pytest.fixture
def published(published_company: Company, redis_stores: StoreSettings) -> Company:
    """A company that is published into Redis."""
    settings = published_company.settings.model_copy(update={"stores": redis_stores})
    state = StateDir(published_company.state.folder, redis_stores)
    publish(settings, state, PublishRequest(TODAY), ignore_progress)
    return Company(published_company.folder, settings, state)


@pytest.fixture
def client(redis_server: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server) as connected:
        yield connected


def first_row(company: Company, client: redis.Redis) -> bytes:
    return next(client.scan_iter(match=f"{keys_of(company.state).prefix}:row:*", count=1_000))


def test_a_redis_that_is_well_has_a_row_for_each_live_account(published: Company):
    count = len(ACCOUNTS)
    results = [
        checks.check_redis(published.state),
        checks.check_redis_memory(published.state),
        checks.check_redis_keys(published.state, count),
        checks.check_redis_expiry(published.state),
    ]
    assert [result.status for result in results] == ["ok"] * 4
    assert results[2].what == f"{count} rows, one for each live account"


def test_every_check_of_redis_is_part_of_the_checkup(published: Company):
    checkup = examine(published.settings, published.folder / "growing.toml", TODAY, lambda: TODAY + timedelta(hours=1))
    statuses = {result.name: result.status for result in checkup.results if result.name.startswith("redis")}
    assert statuses == dict.fromkeys(["redis", "redis memory", "redis keys", "redis expiry"], "ok")


def test_a_checkup_without_servers_skips_their_checks(published_company: Company):
    checkup = examine(published_company.settings, published_company.folder / "growing.toml", TODAY, lambda: TODAY)
    statuses = {result.name: result.status for result in checkup.results}
    for name in ("redis", "redis memory", "redis keys", "redis expiry", "mlflow server", "mlflow access"):
        assert statuses[name] == "skipped"


def _remove_a_row(company: Company, client: redis.Redis) -> None:
    client.unlink(first_row(company, client))


def _leave_a_generation(company: Company, client: redis.Redis) -> None:
    client.hset(keys_of(company.state).row("0123456789abcdef", "account-00"), "adoption", "x")


def _keep_for_ever(company: Company, client: redis.Redis) -> None:
    client.persist(first_row(company, client))


def _forget_the_publication(company: Company, client: redis.Redis) -> None:
    client.unlink(keys_of(company.state).published)


def _count_keys(company: Company) -> CheckResult:
    return checks.check_redis_keys(company.state, len(ACCOUNTS))


def _check_expiry(company: Company) -> CheckResult:
    return checks.check_redis_expiry(company.state)


CONTENT_FAULTS = {
    "a row is gone": (_remove_a_row, _count_keys, ("fault", "39 rows for 40 live accounts")),
    "a generation was left": (_leave_a_generation, _count_keys, ("warn", "1 rows are of a publication")),
    "a key never expires": (_keep_for_ever, _check_expiry, ("fault", "1 keys never expire")),
    "the pointer is gone": (_forget_the_publication, _count_keys, ("fault", "Nothing is published in Redis")),
}


@pytest.mark.parametrize(("plant", "check", "expected"), CONTENT_FAULTS.values(), ids=CONTENT_FAULTS.keys())
def test_a_fault_of_the_keys_is_named(published: Company, client: redis.Redis, plant, check, expected):
    plant(published, client)
    status, what = expected
    result = run_check("redis", "stores.online", lambda: check(published))
    assert (result.status, "oarlock publish" in result.next_step) == (status, True)
    assert what in result.what


@pytest.mark.parametrize(
    ("options", "status", "what", "next_step"),
    [
        (["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"], "fault", "drops accounts", "noeviction"),
        (["--maxmemory-policy", "volatile-ttl"], "warn", "maxmemory-policy is volatile-ttl", "noeviction"),
        (["--maxmemory", "1mb"], "warn", "the next publication needs as much again", "Raise maxmemory"),
        (["--maxmemory", "1gb"], "ok", "maxmemory-policy is noeviction", ""),
    ],
)
def test_the_memory_of_a_redis_is_judged(tmp_path: Path, options: list[str], status: str, what: str, next_step: str):
    with start_redis(tmp_path, *options):
        stores = StoreSettings(online=SecretStr(f"unix://{tmp_path / 'redis.sock'}"))
        result = checks.check_redis_memory(StateDir(tmp_path / "state", stores))
    assert (result.status, what in result.what, next_step in result.next_step) == (status, True, True)


@pytest.mark.parametrize(("number", "status"), [("6.0.16", "warn"), ("6.2.0", "ok"), ("7.0.15", "ok")])
def test_an_old_redis_is_named(number: str, status: str):
    assert checks.judge_redis_version(RedisServer(number, 0, "noeviction", 1)).status == status


def test_a_redis_that_is_down_is_a_fault(tmp_path: Path):
    state = StateDir(tmp_path, StoreSettings(online=SecretStr("redis://127.0.0.1:1/0")))
    with pytest.raises(StoreDown, match="cannot be used"):
        checks.check_redis(state)
    result = run_check("redis", "stores.online", lambda: checks.check_redis(state))
    assert (result.status, "Start Redis" in result.next_step) == ("fault", True)


@pytest.fixture(scope="session")
def own_address() -> str:
    """An address of this machine that other machines reach; without one the tests that need it are skipped."""
    addresses = own_addresses()
    if not addresses:
        pytest.skip("this machine has no address but its own")
    return addresses[0]


@pytest.fixture(scope="session")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory, own_address: str) -> Iterator[str]:
    """An MLflow server that answers every machine, under its own names only."""
    folder = tmp_path_factory.mktemp("mlflow")
    options = "--host", "0.0.0.0", "--allowed-hosts", f"127.0.0.1:*,{own_address}:*"
    with start_mlflow(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts", *options) as url:
        yield url


def test_an_mlflow_server_that_is_well(mlflow_url: str):
    server = checks.check_mlflow_server(mlflow_url)
    assert (server.status, server.what) == ("ok", f"version {version('mlflow')}")
    assert checks.check_mlflow_access(mlflow_url).status == "ok"


def test_an_mlflow_server_that_answers_other_machines_is_named(mlflow_url: str, own_address: str):
    url = mlflow_url.replace("127.0.0.1", own_address)
    result = checks.check_mlflow_access(url)
    assert (result.status, result.what) == ("warn", "it answers everybody who reaches it")
    assert "basic-auth" in result.next_step
    port = urlsplit(url).port
    assert port is not None
    assert check_mlflow_port([own_address], [port]).status == "fault"


def test_an_mlflow_server_that_answers_under_another_name_is_named(
    mlflow_url: str, own_address: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checks, "FOREIGN_HOST", f"{own_address}:5000")  # a name that this server was told to accept
    result = checks.check_mlflow_access(mlflow_url)
    assert (result.status, "--allowed-hosts" in result.next_step) == ("warn", True)


def test_an_mlflow_server_of_another_release_is_named(mlflow_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checks, "version", lambda _: "2.9.0")
    result = checks.check_mlflow_server(mlflow_url)
    assert (result.status, "this machine has 2.9.0" in result.what) == ("warn", True)


def test_an_mlflow_server_that_is_down_is_a_fault_without_its_password():
    url = "http://me:secret@127.0.0.1:1"
    with pytest.raises(NotReady, match="cannot be reached"):
        checks.check_mlflow_server(url)
    for check in (checks.check_mlflow_server, checks.check_mlflow_access):
        result = run_check("mlflow server", "", lambda check=check: check(url))
        assert (result.status, "secret" in result.what) == ("fault", False)
        assert "check stores.mlflow" in result.next_step
