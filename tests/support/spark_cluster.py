"""A standalone Spark cluster of a test's own: a master and workers, each in a process."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import httpx

from tests.support.service_process import DISCARD, free_port, wait_until

HOST = "127.0.0.1"
MEMORY = "1g"


@dataclass(frozen=True)
class SparkCluster:
    """The URL of a master, and the folder of each of its workers."""

    url: str
    workers: tuple[Path, ...]

    def executors(self) -> list[int]:
        """How many executors each worker has run."""
        return [len(list(folder.glob("app-*/*/stdout"))) for folder in self.workers]


@contextmanager
def run_spark_cluster(folder: Path, workers: int = 2) -> Iterator[SparkCluster]:
    """Run a master and workers of one core each until the block ends; the block needs PySpark and Java."""
    port, page = free_port(), free_port()
    url, folders = f"spark://{HOST}:{port}", tuple(folder / f"worker-{number}" for number in range(workers))
    master = ["master.Master", "--host", HOST, "--port", str(port), "--webui-port", str(page)]
    with ExitStack() as stack:
        stack.enter_context(_run_class(master))
        wait_until(lambda: httpx.get(f"http://{HOST}:{page}/json/").status_code == httpx.codes.OK)
        for work in folders:
            options = ["--host", HOST, "--cores", "1", "--memory", MEMORY, "--webui-port", str(free_port())]
            stack.enter_context(_run_class(["worker.Worker", *options, "--work-dir", str(work), url]))
        wait_until(lambda: httpx.get(f"http://{HOST}:{page}/json/").json()["aliveworkers"] == workers)
        yield SparkCluster(url, folders)


@contextmanager
def _run_class(words: list[str]) -> Iterator[None]:
    """Run a class of Spark's deployment in a process; it ends with what it started."""
    package = find_spec("pyspark")
    assert package is not None
    assert package.origin is not None
    home = Path(package.origin).parent
    command = [str(home / "bin/spark-class"), f"org.apache.spark.deploy.{words[0]}", *words[1:]]
    variables = os.environ | {"SPARK_HOME": str(home), "SPARK_LOCAL_IP": HOST}
    with subprocess.Popen(command, stdout=DISCARD, stderr=DISCARD, env=variables) as process:
        try:
            yield
        finally:
            process.terminate()
