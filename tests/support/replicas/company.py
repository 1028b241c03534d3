"""A company on `standard`, whose replicas are on machines that have nothing but the settings."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tests.support.companies.growing_company import excluded_signals
from tests.support.outages.commands import CommandRunner
from tests.support.outages.servers import create_mlflow, create_postgres, create_redis
from tests.support.paths import ROOT
from tests.support.replicas.machines import Machine, Network
from tests.support.service_process import DISCARD, RunningService, wait_until

LAST_DAY, PORT = "2023-07-01", 3000
COMMAND_SECONDS = 120
QUICK = {
    "OARLOCK_TRAINING__NUM_ITERATIONS": "5",
    "OARLOCK_EVALUATION__BACKTEST_FOLDS": "1",
    "OARLOCK_EVALUATION__ABLATION_SNAPSHOTS": "0",
    "OARLOCK_STABILITY__REFITS": "2",
}


@dataclass(frozen=True)
class ReplicatedCompany:
    """A company that is published and trained, on servers that the machines of a network reach."""

    network: Network
    folder: Path
    ledger: str
    commands: CommandRunner
    stack: ExitStack = field(default_factory=ExitStack)

    def run(self, *arguments: str) -> str:
        """The output of a command that succeeds."""
        result = self.commands.run(*arguments, limit_seconds=COMMAND_SECONDS)
        assert result.code == 0, result.err
        return result.out

    def create_key(self) -> str:
        """An API key for clients, whose rate no test reaches."""
        arguments = ("--name", "crm", "--scope", "score,read,feedback", "--requests-per-minute", "1000000", "--json")
        return str(json.loads(self.run("keys", "create", *arguments))["key"])

    def serve_on(self, machine: Machine) -> RunningService:
        """Start a replica on a machine, on its own state folder, and wait until it is ready."""
        variables = {
            "OARLOCK_STATE": str(self.folder / machine.name),
            "FORWARDED_ALLOW_IPS": self.network.host,
        }
        command = [sys.executable, str(ROOT / "oarlock.py"), "--config", str(self.commands.config), "serve"]
        process = subprocess.Popen(
            machine.command(*command, "--host", machine.address, "--port", str(PORT)),
            stdout=DISCARD,
            stderr=DISCARD,
            cwd=ROOT,
            env={**os.environ, **self.commands.environment, **variables},
        )
        client = self.stack.enter_context(httpx.Client(base_url=f"http://{machine.address}:{PORT}", timeout=30))
        service = RunningService(client, psutil.Process(process.pid))
        self.stack.callback(service.kill_all)
        wait_until(lambda: process.poll() is not None or client.get("/readyz").status_code == 200)
        assert process.poll() is None, "the replica did not start"
        return service


@contextmanager
def run_replicated_company(network: Network) -> Iterator[ReplicatedCompany]:
    """Start the servers, publish, train a version and promote it; the replicas are stopped after the block."""
    with ExitStack() as stack:
        # The user of Postgres may enter it, which pytest's folders do not allow.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oarlock-replicas-")))
        folder.chmod(0o755)
        postgres = create_postgres(folder / "postgres", ("ledger", "feast", "mlflow"), host=network.host)
        stack.callback(postgres.kill)
        redis = create_redis(folder / "redis", host=network.host)
        mlflow = create_mlflow(f"{postgres.address}/mlflow", folder / "artifacts", host=network.host)
        for server in (redis, mlflow):
            stack.callback(server.kill)
            server.start()
        (folder / "output").mkdir()
        environment = {
            **QUICK,
            "OARLOCK_TOPOLOGY": "standard",
            "OARLOCK_STATE": str(folder / "batch"),
            "OARLOCK_LEDGER__URL": f"{postgres.address}/ledger",
            "OARLOCK_STORES__FEAST_REGISTRY": f"{postgres.address}/feast",
            "OARLOCK_STORES__MLFLOW": mlflow.address,
            "OARLOCK_STORES__ONLINE": redis.address,
        }
        commands = CommandRunner(_write_company(folder), environment, folder / "output")
        company = ReplicatedCompany(network, folder, environment["OARLOCK_LEDGER__URL"], commands)
        stack.enter_context(company.stack)
        company.run("publish", "--as-of", LAST_DAY)
        company.run("train")
        company.run("promote", "1", "--force", "--reason", "a quick model")
        company.run("set-bands", "1", "--thresholds", "0.05", "0.1", "0.2")
        yield company


def _write_company(folder: Path) -> Path:
    """The shipped extract with few signals."""
    settings = (ROOT / "configs/crm5.toml").read_text().replace("datasets/", f"{ROOT}/configs/datasets/")
    few = f'[signals]\nexclude = {json.dumps(excluded_signals())}\n[snapshots]\nfrequency = "quarterly"\n'
    (folder / "company.toml").write_text(settings + few)
    return folder / "company.toml"
