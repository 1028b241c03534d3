"""Checks of the components: each is reached, and what it holds is complete and belongs together."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from configs.errors import NotReady
from configs.settings import Settings
from configs.state_dir import StateDir
from configs.stored_files import damaged
from features.online.online_store import open_online_reader
from features.publishing.open_dataset import OpenDataset
from features.signals.base import Signal
from features.store.history import accounts_on, is_intact, published_history
from features.store.online_reader import ONLINE_FILE, REFILL
from features.store.publication import recompute_hint
from monitoring.doctor.check_result import CheckResult, passed, skipped
from serving.ledger.database import stored_revision
from serving.ledger.ledger import Ledger
from serving.ledger.schema import HEAD_REVISION
from serving.ledger.write_ahead_log import SEGMENT_SUFFIX, quarantined_files
from serving.scoring.champion_pointer import read_pointer
from serving.scoring.model_bundle import load_bundle
from serving.treeshap.kernel import Kernel
from training.registry.mlflow_registry import Registry

MAX_REGISTRY_BYTES = 2_000_000  # Feast reads all of it at every start
READ_ACCOUNTS = 100


def check_sources(dataset: OpenDataset) -> CheckResult:
    """Every raw table is read, and no row is set aside."""
    quarantined = sum(violation.rows for violation in dataset.violations)
    if quarantined:
        what = f"{quarantined:,} rows break the contract and are set aside"
        return CheckResult("sources", "warn", what, dataset.dataset.mapping.name, "oarlock validate")
    return passed("sources", f"{len(dataset.tables)} tables keep to the contract", dataset.dataset.mapping_file)


def check_migrations(location: Path | str) -> CheckResult:
    """The ledger's database has the tables of this release; raises NotReady if it cannot be reached."""
    revision = stored_revision(location)
    if revision is None:
        return CheckResult("migrations", "ok", "the database is empty: the first command makes its tables")
    if revision > HEAD_REVISION:
        what = f"the database is at revision {revision}, and this release knows {HEAD_REVISION}"
        return CheckResult("migrations", "fault", what, "ledger", "Use the release that wrote it, or a later one.")
    if revision < HEAD_REVISION:
        what = f"the database is at revision {revision} of {HEAD_REVISION}: the next command migrates it"
        return CheckResult("migrations", "warn", what, "ledger", "oarlock upgrade --dry-run, then oarlock backup FILE")
    return passed("migrations", f"revision {revision}, the newest")


def check_ledger(ledger: Ledger) -> CheckResult:
    """The ledger can be read; raises NotReady if it cannot."""
    return passed("ledger", f"{ledger.count():,} risks")


def check_write_ahead_log(state: StateDir, max_backlog_bytes: int) -> CheckResult:
    """Nothing was set aside, and the database keeps up."""
    if rejected := quarantined_files(state.write_ahead_log):
        next_step = f"Look at it, report what it holds, and move it away: {rejected[0]}"
        return CheckResult("write-ahead log", "fault", "a record could not be stored", str(rejected[0]), next_step)
    waiting = sum(path.stat().st_size for path in state.write_ahead_log.glob(f"*{SEGMENT_SUFFIX}"))
    if waiting > max_backlog_bytes / 2:
        what = f"{waiting:,} bytes wait for the database"
        next_step = "Look at the log of the service: it says why the database is behind."
        return CheckResult("write-ahead log", "warn", what, str(state.write_ahead_log), next_step)
    return passed("write-ahead log", f"{waiting:,} bytes wait for the database")


def check_history(state: StateDir, declared: tuple[Signal, ...]) -> CheckResult:
    """The published day is complete; raises NotReady if nothing is published or the signals changed."""
    history, as_of = published_history(state, declared)
    if not is_intact(history, as_of):
        raise damaged(history.day_link(as_of), "its files are not complete", recompute_hint(as_of))
    return passed("history", f"{as_of:%Y-%m-%d} is complete", history.folder)


def check_online_store(state: StateDir, declared: tuple[Signal, ...]) -> CheckResult:
    """The online store has the accounts of the published day; raises NotReady if it cannot be read."""
    history, as_of = published_history(state, declared)
    file = state.feast / ONLINE_FILE
    if state.stores.online is None and not file.exists():
        raise damaged(file, "it is missing", REFILL)
    account_ids = accounts_on(history, as_of)
    signals = open_online_reader(state).read(account_ids[:READ_ACCOUNTS])
    days = signals.as_of.astype("datetime64[us]").tolist()
    others = [account for account, day in zip(account_ids, days, strict=False) if day != as_of]
    if others:
        what = f"{others[0]} is not online with the signals of {as_of:%Y-%m-%d} (and {len(others) - 1} more)"
        return CheckResult("online store", "fault", what, "online store", "oarlock publish")
    return passed("online store", f"{len(account_ids):,} accounts of {as_of:%Y-%m-%d}")


def check_feast_registry(state: StateDir) -> CheckResult:
    """Feast's registry names what is published, and has not grown."""
    from features.store.feast_store import has_declarations  # heavy

    if state.stores.feast_registry is not None:
        return skipped("feast registry", "it is in a database, which a publish reaches")
    file = state.feast / "registry.db"
    if not has_declarations(file):
        raise damaged(file, "it declares no signals", "Run `oarlock publish`: it makes the registry anew.")
    if (size := file.stat().st_size) > MAX_REGISTRY_BYTES:
        next_step = "Delete it and run `oarlock publish`: it makes the registry anew."
        return CheckResult("feast registry", "warn", f"it has grown to {size / 1e6:,.1f} MB", str(file), next_step)
    return passed("feast registry", f"{size / 1e6:,.2f} MB", file)


def check_mlflow(registry: Registry) -> CheckResult:
    """MLflow is reached and has versions; raises NotReady if it is not."""
    versions = registry.versions()
    if not versions:
        raise NotReady("No model has been trained yet.", "Run `oarlock train`.")
    return passed("mlflow", f"{len(versions)} versions", registry.folder)


def check_champion(state: StateDir, registry: Registry) -> CheckResult:
    """The champion's bundle is loaded, and is that of MLflow's alias; raises NotReady if there is none."""
    champion, pointer = registry.champion(), read_pointer(state)
    if pointer.refused:
        what = f"version {pointer.refused['version']} is refused: {pointer.refused['reason']}"
        return CheckResult("champion", "fault", what, str(state.champion_pointer), "oarlock rollback")
    if pointer.version.number != champion.number:
        what = f"version {pointer.version.number} is served, and MLflow's champion is version {champion.number}"
        return CheckResult("champion", "warn", what, str(state.champion_pointer), f"oarlock promote {champion.number}")
    if not pointer.folder.exists():
        hint = f"Run `oarlock promote {champion.number}`: it builds the bundle anew."
        raise damaged(pointer.folder, "it is missing", hint)
    load_bundle(pointer.folder, Kernel(state.compiled_kernels))
    if pointer.warning:
        return CheckResult("champion", "warn", pointer.warning, "champion", "oarlock train")
    return passed("champion", f"version {champion.number}", pointer.folder)


def check_daily_job(records: Sequence[Path]) -> CheckResult:
    """No step of the newest daily job failed."""
    if not records:
        return skipped("daily job", "it has not run: oarlock run daily")
    newest = max(records)
    steps = json.loads(newest.read_text("utf-8"))["steps"]
    for name, step in steps.items():
        if step["outcome"] in {"failed", "stopped", "running"}:
            what = f"{name} {step['outcome']} on {newest.stem}: {step['detail']}"
            return CheckResult("daily job", "fault", what, str(newest), "oarlock run daily")
    return passed("daily job", f"every step of {newest.stem}", newest)


def holds_secret(settings: Settings, config: Path) -> bool:
    """Whether the settings file itself holds a password."""
    text = config.read_text("utf-8")
    secrets = (settings.ledger.url, settings.stores.online, settings.stores.mlflow, settings.stores.feast_registry)
    return any("@" in secret.get_secret_value() and secret.get_secret_value() in text for secret in secrets if secret)


def recorded_instants(state: StateDir, ledger: Ledger) -> dict[str, datetime]:
    """When the newest things were recorded, by what they are."""
    from features.store.publication import find_publication

    publication = find_publication(state)
    published = {"the published day": datetime.fromisoformat(publication["as_of"])} if publication else {}
    scored_at = ledger.last_scored_at()
    return published | ({"the newest risk": scored_at} if scored_at else {})
