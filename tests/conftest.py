"""What the tests share: companies made of a few rows, and one model trained once on the shipped extract."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.settings import read_settings
from configs.state_dir import open_state_dir
from tests.support.paths import ROOT
from tests.support.progress import silent
from tests.support.raw_tables import Rows
from tests.support.trained_model import EXTRACT_ENDS, Trained

if TYPE_CHECKING:
    from tests.support.api_client import ApiClient


@pytest.fixture
def company(tmp_path: Path) -> Callable[..., Path]:
    """Write a company's tables and a config for it; gives the config's path."""

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


@dataclass(frozen=True)
class Done:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> tuple[int, str]:
        """The exit code and the one sentence of a refusal."""
        (line,) = self.err.strip().splitlines()
        return self.code, line


@pytest.fixture
def oarlock(capsys) -> Callable[..., Done]:
    """Run a command in this process, as the installed one would."""
    from oarlock import main

    def run(*words: str, config: Path | None = None) -> Done:
        code = 0
        try:
            main([*([] if config is None else ["--config", str(config)]), *words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The shipped extract, published, trained and promoted once for the whole run."""
    from features.publishing.pipeline import Days, publish
    from serving.scoring.champion_pointer import sync_champion
    from training.pipelines.train import train
    from training.registry.mlflow_registry import open_registry
    from training.registry.promotion import Decision, promote

    folder = tmp_path_factory.mktemp("crm5")
    config = folder / "crm5.toml"
    shipped = (ROOT / "configs/crm5.toml").read_text()
    config.write_text(shipped.replace("datasets/", f"{ROOT}/configs/datasets/").replace("../.oarlock", "state"))
    settings = read_settings(config)
    state = open_state_dir(settings)
    publish(settings, state, Days(EXTRACT_ENDS), silent)
    made = train(settings, state, EXTRACT_ENDS, silent)
    registry = open_registry(state, settings.name)
    promote(registry, made.version, Decision(EXTRACT_ENDS))
    sync_champion(state, registry)
    return Trained(settings, state, config)


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The URL of a Postgres that tests may use: OARLOCK_TEST_POSTGRES or one on this machine; without one they skip."""
    import psycopg

    named = os.environ.get("OARLOCK_TEST_POSTGRES")
    url = named or "postgresql://root@127.0.0.1:5432/test"
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        if named:
            raise
        pytest.skip("no Postgres is reachable")
    return url


@pytest.fixture
def postgres(postgres_server: str) -> Iterator[str]:
    """The URL of an empty Postgres schema, gone after the test."""
    import psycopg
    from psycopg.sql import SQL, Identifier

    schema = f"oarlock_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(SQL("create schema {}").format(Identifier(schema)))
        yield f"{postgres_server}?options=-csearch_path%3D{schema}"
        connection.execute(SQL("drop schema {} cascade").format(Identifier(schema)))


@pytest.fixture(scope="session")
def office(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> "ApiClient":
    """The shared model and store, asked over HTTP, with a ledger of its own."""
    from serving.ledger.ledger import Ledger
    from serving.scoring.scorer import Scorer
    from tests.support.api_client import open_api_client

    engine = Scorer(trained.settings, trained.state, lambda: EXTRACT_ENDS)
    engine.ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")
    return open_api_client(engine)


@pytest.fixture
def counted_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Feast, where another test imports it, tells prometheus_client to count in files after it has begun in memory."""
    from prometheus_client.values import MutexValue, ValueClass

    from serving.telemetry.metrics import FILES

    if ValueClass is MutexValue:
        monkeypatch.delenv(FILES, raising=False)


@pytest.fixture
def own_copy(trained: Trained, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of one part of the trained state that a test may break."""

    def copy(part: str) -> Path:
        return Path(shutil.copytree(trained.state.folder / part, tmp_path / part))

    return copy
