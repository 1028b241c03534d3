"""The checks of `oarlock doctor`: each planted fault is named with its next step, and what is well is not."""

import http.server
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from configs.sections.bands import BandSettings
from configs.sections.label import LabelSettings
from configs.sections.monitoring import DailySettings, WebhookSettings
from configs.sections.serving import ServingSettings
from configs.sections.training import TrainingSettings
from configs.settings import Settings
from configs.state_dir import StateDir
from features.publishing.data_span import DataSpan
from monitoring.doctor import data_checks as data
from monitoring.doctor import machine_checks as machine
from monitoring.doctor import settings_checks as lint
from monitoring.doctor.check_result import CheckResult, worst_status
from monitoring.doctor.component_checks import check_daily_job, check_write_ahead_log
from monitoring.doctor.data_checks import SegmentSize
from monitoring.doctor.readiness import measure_readiness

NOW = datetime(2026, 11, 29, 5)
WEBHOOKS = WebhookSettings.model_validate(
    {"endpoints": {"crm": {"url": "https://crm.example/hook", "secret_env": "CRM_SECRET"}}}
)
GB = 10**9


def settings(**sections: object) -> Settings:
    return Settings.model_validate({"name": "acme", "data": {"dataset": "acme.toml"}, **sections})


def tls(**sections: object) -> Callable[[], CheckResult]:
    return lambda: lint.check_tls(settings(**sections))


def churned(**sizes: tuple[int, int]) -> Callable[[], CheckResult]:
    by_segment = {name: SegmentSize(*size) for name, size in sizes.items()}
    return lambda: data.check_churned(by_segment, TrainingSettings())


def span(days: int) -> DataSpan:
    return DataSpan(NOW - timedelta(days=days), NOW, 0, 7, is_declared=False)


def label(**values: object) -> LabelSettings:
    return LabelSettings.model_validate(values)


HEALTHY = {
    "bands": lambda: lint.check_bands(BandSettings()),
    "horizons": lambda: lint.check_horizons(LabelSettings()),
    "staleness": lambda: lint.check_staleness(ServingSettings(), {"adoption": ""}),
    "webhooks": lambda: lint.check_webhooks(WEBHOOKS, {"CRM_SECRET": "s"}),
    "exports": lambda: lint.check_exports(DailySettings.model_validate({"exports": [{"output": "/tmp/a.csv"}]})),
    "local servers": tls(ledger={"url": "postgresql://me@127.0.0.1/a"}, stores={"online": "redis://localhost/0"}),
    "servers with TLS": tls(
        ledger={"url": "postgresql://me@db/a?sslmode=verify-full"}, stores={"mlflow": "https://mlflow.internal"}
    ),
    "versions": lambda: machine.check_versions({"click": "8.2"}, {"click": "8.2", "ruff": "0.14"}, ["click"]),
    "clock": lambda: machine.check_clock(NOW, {"the newest risk": NOW + timedelta(seconds=2)}),
    "disk": lambda: machine.check_disk(20 * GB, Path("/srv")),
    "churned accounts": churned(large=(500, 120), small=(900, 300)),
    "history length": lambda: data.check_history_length(span(800), 364),
    "model age": lambda: data.check_model_age(NOW - timedelta(days=30), NOW),
    "freshness": lambda: data.check_freshness(NOW - timedelta(days=1), NOW, 3),
    "monitoring": lambda: data.check_monitoring(NOW - timedelta(hours=20), NOW),
}
PLANTED = {
    "bands that nobody reaches": (
        lambda: lint.check_bands(BandSettings(watch=0.5, high=0.8, critical=0.95)),
        "warn",
        "critical begins at 95%",
        "oarlock validate",
    ),
    "bands that are one": (
        lambda: lint.check_bands(BandSettings(watch=0.1, high=0.101, critical=0.2)),
        "warn",
        "less than half a point apart",
        "oarlock set-bands",
    ),
    "a horizon of years": (
        lambda: lint.check_horizons(label(horizons=(30, 1095))),
        "warn",
        "1,095 days needs years",
        "settings",
    ),
    "a lead longer than the horizon": (
        lambda: lint.check_horizons(label(lead_days=60, horizon_days=30)),
        "warn",
        "lead of 60 days is longer",
        "settings",
    ),
    "a grace longer than the horizon": (
        lambda: lint.check_horizons(label(grace_days=60, horizon_days=30)),
        "warn",
        "grace of 60 days is longer",
        "settings",
    ),
    "a limit for a family that does not exist": (
        lambda: lint.check_staleness(ServingSettings(stale_after_days_by_family={"adoptoin": 1}), {"adoption": ""}),
        "warn",
        "no family 'adoptoin'",
        "Correct the name",
    ),
    "signals that are never stale": (
        lambda: lint.check_staleness(ServingSettings(stale_after_days=365), {}),
        "warn",
        "365 days ago count as fresh",
        "a few days",
    ),
    "a secret that is not set": (
        lambda: lint.check_webhooks(WEBHOOKS, {}),
        "fault",
        "CRM_SECRET is not set",
        "Set CRM_SECRET",
    ),
    "an export into no folder": (
        lambda: lint.check_exports(DailySettings.model_validate({"exports": [{"output": "/none/a.csv"}]})),
        "fault",
        "cannot be written to",
        "mkdir -p /none",
    ),
    "a field map that is missing": (
        lambda: lint.check_exports(
            DailySettings.model_validate({"exports": [{"output": "/tmp/a.csv", "field_map": "/none.toml"}]})
        ),
        "fault",
        "the field map is missing",
        "Correct its path",
    ),
    "Postgres without TLS": (
        tls(ledger={"url": "postgresql://me@db.internal/a"}),
        "warn",
        "db.internal is reached without verified TLS",
        "sslmode=verify-full",
    ),
    "a certificate that is missing": (
        tls(ledger={"url": "postgresql://me@db/a?sslmode=verify-full&sslrootcert=/none.pem"}),
        "fault",
        "the certificate is missing",
        "Correct sslrootcert in ledger.url",
    ),
    "Redis without TLS": (
        tls(stores={"online": "redis://cache.internal/0"}),
        "warn",
        "cache.internal is reached without TLS",
        "Use rediss://",
    ),
    "MLflow without TLS": (
        tls(stores={"mlflow": "http://mlflow.internal:5000"}),
        "warn",
        "mlflow.internal is reached without TLS",
        "Use https://",
    ),
    "a Feast registry without TLS": (
        tls(stores={"feast_registry": "postgresql://me@db.internal/a"}),
        "warn",
        "db.internal is reached without verified TLS",
        "stores.feast_registry",
    ),
    "a public service": (tls(serving={"host": "0.0.0.0"}), "warn", "listens on 0.0.0.0 without TLS", "127.0.0.1"),
    "another version than pinned": (
        lambda: machine.check_versions({"click": "8.1"}, {"click": "8.2"}, ["click"]),
        "warn",
        "click is 8.1, and the lock has 8.2",
        "--require-hashes",
    ),
    "a package that is missing": (
        lambda: machine.check_versions({}, {"click": "8.2"}, ["click"]),
        "fault",
        "click is not installed",
        "pip install",
    ),
    "a risk of the future": (
        lambda: machine.check_clock(NOW, {"the newest risk": NOW + timedelta(hours=1)}),
        "fault",
        "the newest risk is of 2026-11-29 06:00",
        "timedatectl",
    ),
    "a disk that fills": (lambda: machine.check_disk(2 * GB, Path("/srv")), "warn", "2.0 GB", "oarlock history prune"),
    "a full disk": (lambda: machine.check_disk(GB // 10, Path("/srv")), "fault", "0.1 GB", "oarlock history prune"),
    "too few that left": (churned(all=(900, 12)), "fault", "12 accounts left and 888 stayed", "longer history"),
    "too few that stayed": (churned(all=(900, 890)), "fault", "890 accounts left and 10 stayed", "longer history"),
    "no answers": (churned(), "fault", "0 accounts left", "longer history"),
    "a small segment": (
        churned(large=(500, 36), small=(900, 300)),
        "warn",
        "36 accounts of the segment 'large' left",
        "join it with another segment",
    ),
    "a short history": (
        lambda: data.check_history_length(span(545), 364),
        "warn",
        "545 days of history, and signals look back 364",
        "Bring 728 days",
    ),
    "an old model": (
        lambda: data.check_model_age(NOW - timedelta(days=200), NOW),
        "warn",
        "trained 200 days ago",
        "oarlock train",
    ),
    "old signals": (
        lambda: data.check_freshness(NOW - timedelta(days=5), NOW, 3),
        "warn",
        "2026-11-24 is online, 5 days ago",
        "oarlock run daily",
    ),
    "a monitor that stopped": (
        lambda: data.check_monitoring(NOW - timedelta(hours=60), NOW),
        "warn",
        "60 hours ago",
        "oarlock monitor",
    ),
}


@pytest.mark.parametrize("check", HEALTHY.values(), ids=HEALTHY.keys())
def test_what_is_well_is_not_named(check: Callable[[], CheckResult]):
    assert (check().status, check().next_step) == ("ok", "")


@pytest.mark.parametrize(("check", "status", "what", "next_step"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_fault_is_named_with_its_next_step(check, status, what, next_step):
    result = check()
    assert result.status == status
    assert what in result.what
    assert next_step in result.next_step
    assert result.name


def test_an_mlflow_that_answers_everybody_is_named():
    class Version(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/version" else 404)
            self.end_headers()
            self.wfile.write(b"3.17.0")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """It prints nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Version) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = machine.check_mlflow_port(["127.0.0.1"], [server.server_port])
        server.shutdown()
    assert (result.status, result.where) == ("fault", f"127.0.0.1:{server.server_port}")
    assert "--host 127.0.0.1" in result.next_step
    assert machine.check_mlflow_port(["127.0.0.1"], [server.server_port]).status == "ok"


def test_files_that_other_users_can_read_are_named(tmp_path: Path):
    state, config = StateDir(tmp_path / "state"), tmp_path / "acme.toml"
    state.folder.mkdir(mode=0o700)
    for file in (config, state.folder / "ledger.db"):
        file.touch()
        file.chmod(0o644)
    assert machine.check_permissions(state, config, holds_secret=False).status == "ok"
    assert machine.check_permissions(state, config, holds_secret=True).next_step == f"chmod go-rwx {config}"
    state.folder.chmod(0o755)
    result = machine.check_permissions(state, config, holds_secret=False)
    assert (result.status, result.next_step) == ("fault", f"chmod go-rwx {state.folder}/ledger.db")


def test_a_record_that_could_not_be_stored_is_named(tmp_path: Path):
    state = StateDir(tmp_path)
    state.write_ahead_log.mkdir()
    (state.write_ahead_log / "a.jsonl").write_bytes(bytes(100))
    assert check_write_ahead_log(state, 1_000).status == "ok"
    assert "100 bytes wait" in check_write_ahead_log(state, 150).what
    (state.write_ahead_log / "rejected.records").touch()
    assert check_write_ahead_log(state, 1_000).status == "fault"


def test_a_step_that_failed_is_named(tmp_path: Path):
    file = tmp_path / "2026-11-29.json"
    file.write_text('{"steps": {"export": {"outcome": "failed", "detail": "the target is full"}}}')
    result = check_daily_job([tmp_path / "2026-11-28.json", file])
    assert (result.status, result.next_step) == ("fault", "oarlock run daily")
    assert "export failed on 2026-11-29: the target is full" in result.what


def test_readiness_names_the_next_level():
    assert measure_readiness(()).next_step == "oarlock validate"
    assert measure_readiness({"sources", "history", "champion"}).next_step == "oarlock train"
    levels = {"sources", "history", "mlflow", "champion", "served", "monitoring", "daily job"}
    assert (measure_readiness(levels).level, measure_readiness(levels).next_step) == (7, "")


def test_the_worst_status_counts():
    results = [CheckResult("a", "ok", ""), CheckResult("b", "warn", ""), CheckResult("c", "skipped", "")]
    assert worst_status(results) == "warn"
    assert worst_status(results[:1]) == "ok"
    assert worst_status([*results, CheckResult("d", "fault", "")]) == "fault"


def test_a_pin_with_extras_is_a_pin(tmp_path: Path):
    lock = tmp_path / "requirements.lock"
    lock.write_text("click==8.2 \\\n    --hash=sha256:00\npsycopg[binary]==3.2.1 ; python_version < '4'\n")
    assert machine.read_pins(lock) == {"click": "8.2", "psycopg": "3.2.1"}
