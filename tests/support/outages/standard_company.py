"""A company on servers of its own: published, with two versions and a service, and what that acknowledged so far."""

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pyarrow.fs
import sqlalchemy as sql

from serving.ledger.database import open_database
from serving.ledger.schema import FEEDBACK, RISKS
from tests.support.companies.growing_company import excluded_signals
from tests.support.outages.commands import CommandResult, CommandRunner, preloaded
from tests.support.outages.servers import Server, create_mlflow, create_object_storage, create_postgres, create_redis
from tests.support.outages.shifted_clock import ShiftedClock, build_shifted_clock
from tests.support.paths import ROOT
from tests.support.service_process import RunningService, run_service, wait_until
from tests.support.small_disk import small_disk

LAST_DAY = "2023-07-01"
SOURCES = ("account", "active_users_daily", "event_daily", "event_type", "subscription")
QUICK = {
    "OARLOCK_TRAINING__NUM_ITERATIONS": "2",
    "OARLOCK_EVALUATION__BACKTEST_FOLDS": "1",
    "OARLOCK_EVALUATION__ABLATION_SNAPSHOTS": "0",
    "OARLOCK_STABILITY__REFITS": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
S3_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "reader",
    "AWS_SECRET_ACCESS_KEY": "a-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}
KILLED_AFTER_SHARES = 0.4, 0.8  # of what a command usually takes
COMMAND_SECONDS = 60  # no command may take longer, whatever is down


@dataclass(frozen=True)
class Servers:
    """The servers of a topology `standard`, and where raw tables are."""

    postgres: Server
    redis: Server
    mlflow: Server
    objects: Server


@dataclass
class Acknowledged:
    """What a client or a command was told is done."""

    risks: set[str] = field(default_factory=set[str])
    feedback: set[int] = field(default_factory=set[int])
    versions: set[int] = field(default_factory=set[int])
    champion: int = 1


@dataclass
class StandardCompany:
    """A published company with a service that runs, and its servers."""

    servers: Servers
    service: RunningService
    commands: CommandRunner
    disk: Path
    clock: ShiftedClock
    account_ids: list[str]
    is_killing: bool = False
    usual_seconds: dict[str, float] = field(default_factory=dict[str, float])
    acknowledged: Acknowledged = field(default_factory=Acknowledged)

    def run(self, *arguments: str, **changed: str) -> CommandResult:
        """Run a command to its end, or kill it at several moments if `is_killing`; gives how the last of them ended."""
        if not self.is_killing:
            return self.commands.run(*arguments, limit_seconds=COMMAND_SECONDS, changed=changed)
        seconds = [share * self.usual_seconds[arguments[0]] for share in KILLED_AFTER_SHARES]
        results = [self.commands.run(*arguments, kill_after=after, changed=changed) for after in seconds]
        return next((result for result in results if result.code == -signal.SIGKILL), results[-1])

    def lost(self) -> set[str | int]:
        """What a client was told is done and the ledger does not hold; waits for what is in the write-ahead log."""
        engine = open_database(self.commands.environment["OARLOCK_LEDGER__URL"])
        deadline = time.monotonic() + 30
        while (lost := self._not_in_ledger(engine)) and time.monotonic() < deadline:
            time.sleep(0.2)
        engine.dispose()
        return lost

    def _not_in_ledger(self, engine: sql.Engine) -> set[str | int]:
        with engine.connect() as connection:
            risks = set(connection.execute(sql.select(RISKS.c.request_id).distinct()).scalars())
            feedback = set(connection.execute(sql.select(FEEDBACK.c.id)).scalars())
        return (self.acknowledged.risks - risks) | (self.acknowledged.feedback - feedback)

    def lost_versions(self) -> set[int]:
        """The versions that are not registered, or not champion, though a command said so."""
        listed = json.loads(self.run("models", "list", "--json").out)["versions"]
        versions = {version["number"] for version in listed}
        champions = {version["number"] for version in listed if version["alias"] == "champion"}
        return (self.acknowledged.versions - versions) | ({self.acknowledged.champion} - champions)

    def normal_text(self, text: str) -> str:
        """An error without what differs from run to run: ports, folders, numbers of processes and versions."""
        text = text.replace(str(self.disk), "/var/lib/oarlock")
        text = re.sub(r'127\.0\.0\.1(:|", port )\d+', r"HOST\1PORT", text)
        return " ".join(text.split())


@contextmanager
def run_standard_company(folder: Path) -> Iterator[StandardCompany]:
    """Start the servers, publish, train two versions, promote the first, and serve until the block ends."""
    with ExitStack() as stack:
        clock = build_shifted_clock(folder / "clock")
        disk = stack.enter_context(small_disk(folder / "disk", "250m"))
        servers = _start_servers(folder, stack)
        config = _write_company(folder, servers.objects)
        (folder / "output").mkdir()
        commands = CommandRunner(config, _environment(servers, disk), folder / "output")
        stack.enter_context(preloaded(clock.variables))
        versions = _prepare(commands)
        service = stack.enter_context(run_service(config, **commands.environment, **clock.variables))
        wait_until(lambda: service.client.get("/readyz").status_code == 200)
        told = Acknowledged(versions=versions)
        yield StandardCompany(servers, service, commands, disk, clock, _list_accounts(service), acknowledged=told)


def upload_tables(objects: Server) -> None:
    """Write the raw tables into the object storage, which keeps them in memory."""
    host = objects.address.removeprefix("http://")
    credentials = {"access_key": S3_VARIABLES["AWS_ACCESS_KEY_ID"], "secret_key": S3_VARIABLES["AWS_SECRET_ACCESS_KEY"]}
    store = pyarrow.fs.S3FileSystem(endpoint_override=host, scheme="http", allow_bucket_creation=True, **credentials)
    store.create_dir("acme")
    for name in SOURCES:
        with store.open_output_stream(f"acme/{name}.parquet") as stream:
            stream.write((ROOT / f"configs/datasets/crm5/{name}.parquet").read_bytes())


def _start_servers(folder: Path, stack: ExitStack) -> Servers:
    postgres = create_postgres(folder / "postgres", ("ledger", "feast", "mlflow"))
    stack.callback(postgres.kill)
    others = [
        create_redis(folder / "redis"),
        create_mlflow(f"{postgres.address}/mlflow", folder / "artifacts"),
        create_object_storage(),
    ]
    for server in others:
        stack.callback(server.kill)
        server.start()
    upload_tables(others[-1])
    return Servers(postgres, *others)


def _write_company(folder: Path, objects: Server) -> Path:
    """The shipped extract with its raw tables in object storage, and with few signals."""
    mapping = (ROOT / "configs/datasets/crm5.toml").read_text().replace('folder = "crm5"\n', "")
    for name in SOURCES:
        source = f'{{ files = "s3://acme/{name}.parquet", endpoint = "{objects.address}" }}'
        mapping = mapping.replace(f'{name} = "{name}.parquet"', f"{name} = {source}")
    (folder / "mapping.toml").write_text(mapping)
    settings = (ROOT / "configs/crm5.toml").read_text().replace("datasets/crm5.toml", "mapping.toml")
    few = f'[signals]\nexclude = {json.dumps(excluded_signals())}\n[snapshots]\nfrequency = "quarterly"\n'
    (folder / "company.toml").write_text(settings + few)
    return folder / "company.toml"


def _environment(servers: Servers, disk: Path) -> dict[str, str]:
    return {
        **QUICK,
        **S3_VARIABLES,
        "OARLOCK_TOPOLOGY": "standard",
        "OARLOCK_STATE": str(disk / "state"),
        "OARLOCK_LEDGER__URL": f"{servers.postgres.address}/ledger",
        "OARLOCK_STORES__FEAST_REGISTRY": f"{servers.postgres.address}/feast",
        "OARLOCK_STORES__MLFLOW": servers.mlflow.address,
        "OARLOCK_STORES__ONLINE": servers.redis.address,
        "OARLOCK_SERVING__POLL_SECONDS": "0.5",
    }


def _prepare(commands: CommandRunner) -> set[int]:
    """Publish, train two versions and promote the first; returns the numbers of the versions."""
    steps: list[tuple[tuple[str, ...], dict[str, str]]] = [
        (("publish", "--as-of", LAST_DAY), {}),
        (("train",), {}),
        (("train",), {"OARLOCK_TRAINING__SEED": "8"}),
        (("promote", "1", "--force", "--reason", "to try an outage"), {}),
    ]
    for arguments, changed in steps:
        result = commands.run(*arguments, limit_seconds=120, changed=changed)
        assert result.code == 0, result.err
    return {1, 2}


def _list_accounts(service: RunningService) -> list[str]:
    answer: Callable[[], httpx.Response] = lambda: service.client.get("/v1/accounts?limit=200")  # noqa: E731
    wait_until(lambda: answer().status_code == 200)
    return [account["account_id"] for account in answer().json()["accounts"]]
