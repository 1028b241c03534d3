"""The running service: real processes, real HTTP, a promotion while it runs."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from configs.files import read_json
from serving.ledger.ledger import Ledger
from tests.support.paths import ROOT
from tests.support.service_process import QUIET, serving, until
from training.registry.mlflow_registry import ChampionEvent, open_registry
from training.registry.version import CHAMPION

pytestmark = pytest.mark.slow


def test_it_answers_over_http_and_takes_up_a_promotion_while_it_runs(trained):
    registry = open_registry(trained.state, trained.settings.name)
    before = Ledger(trained.state.ledger).count()
    registry.client.delete_registered_model_alias(registry.name, CHAMPION)
    try:
        with serving(trained.config) as running:
            client = running.client
            # The follower beside the service takes seconds to see that the alias is gone.
            until(lambda: client.get("/readyz").status_code == 503)
            early = client.post("/v1/score", json={"account_ids": ["1096"]})
            assert (early.status_code, early.json()["error"]["code"]) == (503, "no_champion")
            assert client.get("/readyz").status_code == 503

            registry.set_champion(ChampionEvent(1, "2023-07-01", "promoted", "a test"))
            until(lambda: client.get("/readyz").status_code == 200)
            (one,) = client.post("/v1/score", json={"account_ids": ["1096"]}).json()["scores"]
            assert one["risk"] == pytest.approx(one["base"] + _named(one) + one["other_points"], abs=1e-9)
            assert client.get("/v1/nothing").json()["error"]["code"] == "not_found"
            assert client.get("/v1/score").json()["error"]["code"] == "method_not_allowed"
    finally:
        registry.set_champion(ChampionEvent(1, "2023-07-01", "promoted", "a test"))
    assert Ledger(trained.state.ledger).count() == before + 1


def _named(score: dict) -> float:
    return sum(driver["points"] for driver in [*score["drivers"], *score["protective"]])


class Collector(ThreadingHTTPServer):
    """A collector of traces: what it was sent, by OpenTelemetry's protocol over HTTP."""

    def __init__(self) -> None:
        self.routes: list[str] = []
        super().__init__(("127.0.0.1", 0), Collecting)


class Collecting(BaseHTTPRequestHandler):
    """One request to the collector."""

    def do_POST(self) -> None:
        sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
        spans = [span for one in sent.resource_spans for scope in one.scope_spans for span in scope.spans]
        assert isinstance(self.server, Collector)
        self.server.routes += [f"{self.path} {span.name}" for span in spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is Python's
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def test_where_a_collector_is_named_it_is_sent_the_spans_of_requests(trained, collector):
    where = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with serving(trained.config, **where) as running:
        running.client.post("/v1/score", json={"account_ids": ["1096"]})
        until(lambda: any("POST" in one for one in collector.routes))
    assert all(one.startswith("/v1/traces ") for one in collector.routes)


@pytest.mark.parametrize("delay", [2.0, 5.0, 9.0])
def test_training_that_was_killed_and_run_again_gives_the_same_model(trained, tmp_path, delay):
    state = tmp_path / "state" / "crm5"
    config = tmp_path / "crm5.toml"
    config.write_text(trained.config.read_text())
    (tmp_path / "state").mkdir()
    subprocess.run(["cp", "-r", str(trained.state.folder), str(state)], check=True)
    subprocess.run(["rm", "-rf", str(state / "mlflow")], check=True)
    command = [sys.executable, str(ROOT / "oarlock.py"), "--config", str(config), "train", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=QUIET, stderr=QUIET) as process:
        time.sleep(delay)
        process.kill()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert _booster(state) == _booster(trained.state.folder)


def _booster(state: Path) -> str:
    newest = max(state.glob("mlflow/artifacts/models/*/artifacts/artifacts/model/booster.txt"))
    assert read_json(newest.with_name("model.json"))["calibrator"]["horizons"] == [30, 60, 90, 180]
    return newest.read_text()
