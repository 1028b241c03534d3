"""A running service: real processes, real HTTP, and a promotion while it runs."""

import os
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
from tests.support.service_process import DISCARD, run_service, wait_until
from tests.support.trained_model import TrainedModel
from training.registry.mlflow_registry import ChampionEvent, open_registry
from training.registry.version import CHAMPION

pytestmark = pytest.mark.slow


def test_a_running_service_loads_a_promoted_version(trained: TrainedModel):
    registry = open_registry(trained.state, trained.settings.name)
    before = Ledger(trained.state.ledger).count()
    registry.client.delete_registered_model_alias(registry.name, CHAMPION)
    try:
        with run_service(trained.config) as service:
            client = service.client
            # The follower beside the service takes seconds to see that the alias is gone.
            wait_until(lambda: client.get("/readyz").status_code == 503)
            response = client.post("/v1/score", json={"account_ids": ["1096"]})
            assert (response.status_code, response.json()["error"]["code"]) == (503, "no_champion")
            assert client.get("/readyz").status_code == 503

            registry.set_champion(ChampionEvent(1, "2023-07-01", "promoted", "a test"))
            wait_until(lambda: client.get("/readyz").status_code == 200)
            (score,) = client.post("/v1/score", json={"account_ids": ["1096"]}).json()["scores"]
            assert score["risk"] == pytest.approx(
                score["base"] + _driver_points(score) + score["remaining_points"], abs=1e-9
            )
            assert client.get("/v1/nothing").json()["error"]["code"] == "not_found"
            assert client.get("/v1/score").json()["error"]["code"] == "method_not_allowed"
    finally:
        registry.set_champion(ChampionEvent(1, "2023-07-01", "promoted", "a test"))
    assert Ledger(trained.state.ledger).count() == before + 1


def test_a_service_imports_nothing_from_the_folder_it_is_started_in(trained: TrainedModel, tmp_path: Path):
    folder, imported = tmp_path / "anyone's", tmp_path / "imported"
    folder.mkdir()
    for name in ("bentoml", "circus", "psutil", "serving", "sitecustomize", "uvicorn"):
        (folder / f"{name}.py").write_text(f"open({str(imported)!r}, 'a').write('{name} ')\n")
    state = os.path.relpath(trained.state.folder.parent, folder)
    with run_service(trained.config, folder, OARLOCK_STATE=state) as service:
        assert service.client.get("/v1/ready").status_code == 200
    assert not imported.exists(), imported.read_text()


def _driver_points(score: dict) -> float:
    return sum(driver["points"] for driver in [*score["drivers"], *score["protective_drivers"]])


class Collector(ThreadingHTTPServer):
    """A collector of traces that speaks OpenTelemetry's protocol over HTTP; `routes` names the received spans."""

    def __init__(self) -> None:
        self.routes: list[str] = []
        super().__init__(("127.0.0.1", 0), CollectorHandler)


class CollectorHandler(BaseHTTPRequestHandler):
    """One request to the collector."""

    def do_POST(self) -> None:
        export = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
        spans = [span for resource in export.resource_spans for scope in resource.scope_spans for span in scope.spans]
        assert isinstance(self.server, Collector)
        self.server.routes += [f"{self.path} {span.name}" for span in spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature is Python's
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_configured_collector_receives_request_spans(trained: TrainedModel, collector):
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with run_service(trained.config, **environment) as service:
        service.client.post("/v1/score", json={"account_ids": ["1096"]})
        wait_until(lambda: any("POST" in route for route in collector.routes))
    assert all(route.startswith("/v1/traces ") for route in collector.routes)


@pytest.mark.parametrize("delay", [2.0, 9.0])
def test_training_killed_and_repeated_gives_the_same_model(trained: TrainedModel, tmp_path, delay):
    state = tmp_path / "state" / "crm5"
    config = tmp_path / "crm5.toml"
    config.write_text(trained.config.read_text())
    (tmp_path / "state").mkdir()
    subprocess.run(["cp", "-r", str(trained.state.folder), str(state)], check=True)
    subprocess.run(["rm", "-rf", str(state / "mlflow")], check=True)
    command = [sys.executable, str(ROOT / "oarlock.py"), "--config", str(config), "train", "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=DISCARD, stderr=DISCARD) as process:
        time.sleep(delay)
        process.kill()
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert _booster(state) == _booster(trained.state.folder)


def _booster(state: Path) -> str:
    path = max(state.glob("mlflow/artifacts/models/*/artifacts/artifacts/model/booster.txt"))
    assert read_json(path.with_name("model.json"))["calibrator"]["horizons"] == [30, 60, 90, 180]
    return path.read_text()
