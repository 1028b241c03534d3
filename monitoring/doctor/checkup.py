"""The checkup: every check on one configuration, in the order in which its parts depend on each other."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from configs.errors import DataError, NotReady, OarlockError
from configs.settings import Settings
from configs.state_dir import StateDir, open_state_dir
from features.compute.backends.parquet_files import find_unreadable
from features.own_signals.own_catalogue import open_catalogue
from features.publishing.open_dataset import OpenDataset, open_dataset
from features.store.history import accounts_on, published_history
from features.tables.dataset import read_dataset
from monitoring.doctor import component_checks as components
from monitoring.doctor import data_checks as data
from monitoring.doctor import machine_checks as machine
from monitoring.doctor import server_checks as servers
from monitoring.doctor import settings_checks as lint
from monitoring.doctor.check_result import CheckResult, run_check, skipped
from monitoring.doctor.readiness import Readiness, measure_readiness
from serving.ledger.ledger import Ledger, open_ledger
from serving.ledger.monitor_runs import RunStore
from serving.security.network import is_loopback
from training.registry.mlflow_registry import Registry, open_registry

LOCK_FILE = Path(__file__).parents[2] / "requirements.lock"
Check = tuple[str, Callable[[], CheckResult]]


@dataclass(frozen=True)
class Checkup:
    """The result of every check, and the readiness level."""

    results: tuple[CheckResult, ...]
    readiness: Readiness


@dataclass(frozen=True)
class Examined:
    """What the checks look at: the settings and their file, the state folder, and the instants of this checkup."""

    settings: Settings
    config: Path
    state: StateDir
    now: datetime
    known_until: datetime

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return open_ledger(self.settings, self.state)

    @property
    def registry(self) -> Registry:
        """MLflow."""
        return open_registry(self.state, self.settings.name)


def examine(settings: Settings, config: Path, now: datetime, known_until: Callable[[], datetime]) -> Checkup:
    """Check a configuration; nothing but an empty state folder is made."""
    try:
        state = open_state_dir(settings)
        examined = Examined(settings, config, state, now, known_until())
    except OarlockError as error:
        result = CheckResult("state folder", "fault", error.message, str(settings.state / settings.name), error.hint)
        return Checkup((result,), measure_readiness(()))
    results = [run_check(name, state.folder, check) for name, check in _independent_checks(examined)]
    is_migrated = not any(result.name == "migrations" and result.status == "warn" for result in results)
    results += _run(is_migrated, "opening the ledger would migrate it", _checks_of_ledger(examined))
    results += _checks_of_state(examined)
    return Checkup(tuple(results), measure_readiness(_reached(examined, results)))


def _independent_checks(examined: Examined) -> Iterator[Check]:
    """The checks that need nothing but settings, machine and folder."""
    settings, state = examined.settings, examined.state
    yield "playbook", lambda: lint.check_playbook(settings.playbook, open_catalogue(settings, state))
    yield "bands", lambda: lint.check_bands(settings.bands)
    yield "horizons", lambda: lint.check_horizons(settings.label)
    yield "staleness", lambda: lint.check_staleness(settings.serving, open_catalogue(settings, state).families)
    yield "webhooks", lambda: lint.check_webhooks(settings.webhooks, os.environ)
    yield "exports", lambda: lint.check_exports(settings.daily)
    yield "tls", lambda: lint.check_tls(settings)
    pins, installed = machine.read_pins(LOCK_FILE), machine.installed_versions()
    yield "versions", lambda: machine.check_versions(installed, pins, machine.required_packages())
    yield "permissions", lambda: _check_permissions(examined)
    yield "disk", lambda: machine.check_disk(shutil.disk_usage(state.folder).free, state.folder)
    yield "mlflow port", lambda: machine.check_mlflow_port(machine.own_addresses(), _mlflow_ports(examined))
    yield "mlflow server", lambda: servers.check_mlflow_server(_mlflow_url(examined))
    yield "mlflow access", lambda: servers.check_mlflow_access(_mlflow_url(examined))
    yield "redis", lambda: servers.check_redis(state)
    yield "redis memory", lambda: servers.check_redis_memory(state)
    location = examined.ledger.location
    yield "migrations", lambda: components.check_migrations(location)
    backlog = settings.ledger.max_backlog_bytes
    yield "write-ahead log", lambda: components.check_write_ahead_log(state, backlog)
    yield "daily job", lambda: components.check_daily_job(sorted(state.daily.glob("*.json")))


def _checks_of_ledger(examined: Examined) -> Iterator[Check]:
    """The checks that open the ledger, which makes its tables those of this release."""
    state, now = examined.state, examined.now
    yield "ledger", lambda: components.check_ledger(examined.ledger)
    yield "clock", lambda: machine.check_clock(now, components.recorded_instants(state, examined.ledger))
    yield "monitoring", lambda: _check_monitoring(examined)


def _checks_of_state(examined: Examined) -> Iterator[CheckResult]:
    """The checks of the data, of what is published and of the model; those that cannot be made are skipped."""
    opened = list[OpenDataset]()
    yield run_check("sources", examined.settings.data.dataset, lambda: _check_sources(examined, opened))
    is_published, state = examined.state.publication.exists(), examined.state
    yield from _run(is_published, "nothing is published yet: oarlock publish", _checks_of_day(examined, opened))
    is_trained = state.stores.mlflow is not None or (state.mlflow / "mlflow.db").exists()
    yield from _run(is_trained, "no model is trained yet: oarlock train", _checks_of_model(examined))


def _run(is_possible: bool, reason: str, checks: Iterator[Check]) -> Iterator[CheckResult]:
    for name, check in checks:
        yield run_check(name, "", check) if is_possible else skipped(name, reason)


def _checks_of_day(examined: Examined, opened: Sequence[OpenDataset]) -> Iterator[Check]:
    state, settings = examined.state, examined.settings
    yield "history", lambda: components.check_history(state, open_catalogue(settings, state).signals)
    yield "online store", lambda: components.check_online_store(state, open_catalogue(settings, state).signals)
    yield "redis keys", lambda: servers.check_redis_keys(state, _count_live(examined))
    yield "redis expiry", lambda: servers.check_redis_expiry(state)
    yield "feast registry", lambda: components.check_feast_registry(state)
    yield "freshness", lambda: _check_freshness(examined)
    if opened:
        span = opened[0].find_span(examined.now)
        yield "history length", lambda: data.check_history_length(span, data.longest_window(opened[0].history))
        yield "churned accounts", lambda: _check_churned(examined, opened[0])


def _checks_of_model(examined: Examined) -> Iterator[Check]:
    yield "mlflow", lambda: components.check_mlflow(examined.registry)
    yield "champion", lambda: components.check_champion(examined.state, examined.registry)
    yield "model age", lambda: _check_model_age(examined)


def _check_sources(examined: Examined, opened: list[OpenDataset]) -> CheckResult:
    """Check the raw tables, and keep them for the checks of the data."""
    files = read_dataset(examined.settings.data).files.values()
    if unreadable := find_unreadable(file for group in files for file in group if file.suffix == ".parquet"):
        raise DataError(f"Cannot read {unreadable[0]}: {unreadable[1]}.", "Write the file again.")
    opened.append(open_dataset(examined.settings, examined.state))
    return components.check_sources(opened[0])


def _check_permissions(examined: Examined) -> CheckResult:
    holds_secret = components.holds_secret(examined.settings, examined.config)
    return machine.check_permissions(examined.state, examined.config, holds_secret)


def _check_freshness(examined: Examined) -> CheckResult:
    _, as_of = published_history(examined.state, open_catalogue(examined.settings, examined.state).signals)
    return data.check_freshness(as_of, examined.known_until, examined.settings.serving.stale_after_days)


def _count_live(examined: Examined) -> int:
    """How many accounts the published day has."""
    history, as_of = published_history(examined.state, open_catalogue(examined.settings, examined.state).signals)
    return len(accounts_on(history, as_of))


def _mlflow_url(examined: Examined) -> str | None:
    secret = examined.state.stores.mlflow
    return secret.get_secret_value() if secret else None


def _mlflow_ports(examined: Examined) -> list[int]:
    """MLflow's default port, and that of the server in the settings if it is on this machine."""
    url = _mlflow_url(examined)
    parts = urlsplit(url) if servers.is_server(url) else None
    is_here = parts is not None and parts.port is not None and is_loopback(parts.hostname or "")
    return sorted({machine.MLFLOW_PORT, *([parts.port] if parts and parts.port and is_here else [])})


def _check_churned(examined: Examined, opened: OpenDataset) -> CheckResult:
    sizes = data.count_churned(opened, opened.history, examined.settings, examined.known_until)
    return data.check_churned(sizes, examined.settings.training)


def _check_model_age(examined: Examined) -> CheckResult:
    champion = examined.registry.champion().number
    records = {record.version.number: record for record in examined.registry.version_records()}
    return data.check_model_age(records[champion].registered_at, examined.now)


def _check_monitoring(examined: Examined) -> CheckResult:
    run = RunStore(examined.ledger.engine).last()
    return data.check_monitoring(run and run.run_at, examined.now)


def _reached(examined: Examined, results: Sequence[CheckResult]) -> set[str]:
    """The checks that nothing stands in the way of, and `served` if the ledger has risks."""
    reached = {result.name for result in results if result.status in {"ok", "warn"}}
    if "ledger" not in reached:
        return reached
    try:
        served = {"served"} if examined.ledger.last_scored_at() else set[str]()
    except NotReady:
        served = set[str]()
    return reached | served
