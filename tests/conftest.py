"""Fixtures that many tests share: small data sets, a CLI runner, and one model trained once on the shipped extract."""

import gc
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.files import awaited_lock
from configs.sections.stores import StoreSettings
from tests.support.companies.growing_company import TODAY, Company, copy_company, create_company
from tests.support.companies.raw_tables import Rows
from tests.support.progress import ignore_progress
from tests.support.trained_model import (
    EXTRACT_END,
    TrainedModel,
    copy_folder,
    open_trained_model,
    train_shipped_extract,
)

if TYPE_CHECKING:
    from tests.support.api_client import ApiClient


def pytest_configure() -> None:
    """Look for garbage seldom."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)


@pytest.fixture
def make_company(tmp_path: Path) -> Callable[..., Path]:
    """Write a company's tables and a settings file for it; gives the path of the settings file."""

    def write(extra: str = "", observed_until: str = "2024-01-01", **tables: Rows) -> Path:
        data = tmp_path / "data"
        data.mkdir(exist_ok=True)
        for name, rows in tables.items():
            pq.write_table(pa.Table.from_pylist(rows), data / f"{name}.parquet")
        sources = "\n".join(f'{name} = "{name}.parquet"' for name in tables)
        mapping = f'name = "acme"\nobserved_until = {observed_until}T00:00:00Z\nfolder = "data"\n[sources]\n{sources}\n'
        (tmp_path / "acme-data.toml").write_text(mapping)
        config = tmp_path / "acme.toml"
        config.write_text(f'state = "state"\n[data]\ndataset = "acme-data.toml"\n{extra}')
        return config

    return write


GARBAGE_THRESHOLDS = 100_000, 50, 100  # looking for garbage among what all libraries hold was a tenth of the run
PROGRESS = re.compile(r"[a-z]+: .*, \d+ of \d+")


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def failure(self) -> tuple[int, str]:
        """The exit code and the error message, which is one line; a slow machine also shows progress."""
        (line,) = [line for line in self.err.strip().splitlines() if not PROGRESS.fullmatch(line)]
        return self.code, line


@pytest.fixture
def oarlock(capsys) -> Callable[..., CommandResult]:
    """Run a command in this process, as the installed one would."""
    from oarlock import main

    def run(*arguments: str, config: Path | None = None) -> CommandResult:
        code = 0
        try:
            main([*([] if config is None else ["--config", str(config)]), *arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the whole run, which all of its processes share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def trained(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """The shipped extract, published, trained and promoted once for the whole run; each process has its own copy."""
    with awaited_lock(run_folder / "trained.lock"):
        if not (run_folder / "trained").exists():
            train_shipped_extract(run_folder / "training")
            (run_folder / "training").rename(run_folder / "trained")
    return open_trained_model(copy_folder(run_folder / "trained", tmp_path_factory.mktemp("crm5") / "crm5"))


@pytest.fixture(scope="session")
def published_once(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A growing company, published once; no test changes it."""
    from features.publishing.pipeline import PublishRequest, publish

    company = create_company(tmp_path_factory.mktemp("published") / "growing")
    publish(company.settings, company.state, PublishRequest(TODAY), ignore_progress)
    return company


@pytest.fixture
def published_company(published_once: Company, tmp_path: Path) -> Company:
    """A published company of its own, which a test may change."""
    return copy_company(published_once, tmp_path / "growing")


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The URL of a Postgres server: OARLOCK_TEST_POSTGRES or a local one. Without a server the tests are skipped."""
    import psycopg

    configured_url = os.environ.get("OARLOCK_TEST_POSTGRES")
    url = configured_url or "postgresql://root@127.0.0.1:5432/test"
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        if configured_url:
            raise
        pytest.skip("no Postgres is reachable")
    return url


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """The URL of an empty Postgres schema, which is dropped after the test."""
    from tests.support.servers import own_schema

    with own_schema(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server() -> str:
    """The URL of a Redis: OARLOCK_TEST_REDIS or a local one. Without a server the tests are skipped."""
    import redis

    configured_url = os.environ.get("OARLOCK_TEST_REDIS")
    url = configured_url or "redis://127.0.0.1:6379/0"
    try:
        redis.Redis.from_url(url, socket_connect_timeout=2).ping()
    except redis.ConnectionError:
        if configured_url:
            raise
        pytest.skip("no Redis is reachable")
    return url


@pytest.fixture
def redis_stores(redis_server: str) -> "Iterator[StoreSettings]":
    """The settings of an online store in Redis with keys of its own, which are removed after the test."""
    from tests.support.servers import own_redis_keys

    with own_redis_keys(redis_server) as stores:
        yield stores


@pytest.fixture(scope="session")
def api_client(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> "ApiClient":
    """An HTTP client of the shared model and store, with a ledger of its own."""
    from serving.ledger.ledger import Ledger
    from serving.scoring.scorer import open_scorer
    from tests.support.api_client import open_api_client

    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")
    return open_api_client(
        trained.state, open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, ledger), ledger
    )


@pytest.fixture
def in_memory_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count metrics in memory, even if another test imported Feast, which makes prometheus_client count in files."""
    from prometheus_client import values

    from serving.telemetry.metrics import MULTIPROCESS_DIR_VARIABLE

    monkeypatch.setattr(values, "ValueClass", values.MutexValue)
    monkeypatch.delenv(MULTIPROCESS_DIR_VARIABLE, raising=False)


@pytest.fixture
def copy_state_part(trained: TrainedModel, tmp_path: Path) -> Callable[[str], Path]:
    """Copy one part of the trained state, which a test may then change."""

    def copy(part: str) -> Path:
        return copy_folder(trained.state.folder / part, tmp_path / part)

    return copy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with a file that trains the model, then run the tests without it: the other process need not wait."""
    with_model = [item.path for item in items if "trained" in getattr(item, "fixturenames", ())]
    if with_model:
        files = set(with_model)
        items.sort(key=lambda item: 0 if item.path == with_model[0] else 1 + (item.path in files))
