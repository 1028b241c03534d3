"""Takes a backup: everything of a configuration in one archive, consistent while the service answers.

The order, so that nothing names what is missing:

1. the pointers: which champion, which shadow, which versions
2. the write-ahead log, before the ledger: what the database does not hold yet is in the log, never in neither
3. the ledger, as of one instant, then MLflow's database, in its file or on its server, and the other SQLite files
4. everything else: MLflow's artifacts, bundles, the history wherever it is, Feast's registry

Nothing is published meanwhile, so history and online store are of the same day. A risk that was acknowledged before the
backup began is in it.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from importlib import metadata
from pathlib import Path

import sqlalchemy as sql

from configs.errors import RequestError
from configs.files import atomic_write, exclusive_lock, sqlite_url
from configs.settings import Settings
from configs.state_dir import StateDir
from serving.backup.archive import ArchiveWriter, BackupManifest, archive_compression, write_archive
from serving.backup.ledger_copy import copy_ledger, copy_sqlite, count_rows, stored_bytes
from serving.backup.mlflow_copy import copy_mlflow
from serving.backup.state_files import is_inner_link, link_target, list_files, list_first_files, list_plain_files
from serving.ledger.ledger import open_ledger
from serving.ledger.schema import HEAD_REVISION
from serving.ledger.write_ahead_log import SEGMENT_SUFFIX
from training.registry.mlflow_registry import mlflow_database, open_registry

STATE, SETTINGS = "state", "settings"
HISTORY = "history"  # in the state folder, unless the settings name another place
PACKAGES = ("oarlock", "feast", "mlflow", "lightgbm", "sqlalchemy", "pyarrow")


def create_backup(settings: Settings, state: StateDir, config: Path, file: Path, at: datetime) -> BackupManifest:
    """Write the backup of a configuration to a new file, all of it or nothing; returns what it holds.

    Raises RequestError for a file that exists or is in the state folder, Busy while a day is published.
    """
    compression = archive_compression(file)
    _require_new(state, file)
    engine = open_ledger(settings, state).engine
    scratch = tempfile.TemporaryDirectory(dir=file.resolve().parent, prefix=".oarlock-backup-")
    with exclusive_lock(state.publish_lock, "publishing into"), scratch as folder, atomic_write(file) as temporary:
        copies = Path(folder)
        _copy_first(state, engine, copies)
        is_copied = _copy_registry(settings, state, copies)
        with write_archive(temporary, compression) as archive:
            for path in sorted(path for path in copies.rglob("*") if path.is_file()):
                archive.add(f"{STATE}/{path.relative_to(copies)}", path)
            _add_plain_files(archive, state, without=state.mlflow if is_copied else None)
            for path in _settings_files(settings, config):
                archive.add(f"{SETTINGS}/{_settings_name(path, config)}", path)
            manifest = _describe(settings, archive, copies / state.ledger.name, at)
            archive.finish(manifest)
    return manifest


def _require_new(state: StateDir, file: Path) -> None:
    if file.exists():
        raise RequestError(f"{file} exists already.", "Name a new file.")
    if file.resolve().is_relative_to(state.folder.resolve()):
        raise RequestError(f"{file} is in the state folder.", "Name a file on another disk.")
    if not file.resolve().parent.is_dir():
        raise RequestError(f"{file.resolve().parent} is no folder.", "Make it, or name another one.")


def _copy_first(state: StateDir, engine: sql.Engine, copies: Path) -> None:
    """Copy what may change while it is read."""
    first = list_first_files(state)
    for path in first.pointers:
        shutil.copyfile(path, _copy_of(state, path, copies))
    for path in first.log:
        with suppress(FileNotFoundError):  # the database holds all of it by now
            shutil.copyfile(path, _copy_of(state, path, copies))
    ledger = copies / state.ledger.name
    copy_ledger(engine, ledger)
    _drop_stored_segments(copies / state.write_ahead_log.name, ledger)
    for path in first.databases:
        copy_sqlite(path, _copy_of(state, path, copies))


def _copy_registry(settings: Settings, state: StateDir, copies: Path) -> bool:
    """Copy what an MLflow server holds to where the state folder would have it; False if there is nothing to copy.

    A state folder that once had its own MLflow may still hold it; the server's is what counts.
    """
    database, target = mlflow_database(settings.stores), copies / state.mlflow.name
    if database is None:
        return False
    shutil.rmtree(target, ignore_errors=True)
    registry = open_registry(state, settings.name)
    copy_mlflow(registry, database, target)
    return not registry.keeps_files_in_folder


def _copy_of(state: StateDir, path: Path, copies: Path) -> Path:
    copy = copies / path.relative_to(state.folder)
    copy.parent.mkdir(parents=True, exist_ok=True)
    return copy


def _drop_stored_segments(log: Path, ledger: Path) -> None:
    """Remove the copies of segments of which the copied ledger, which is later, holds everything."""
    stored = stored_bytes(ledger)
    for segment in log.glob(f"*{SEGMENT_SUFFIX}"):
        if stored.get(segment.stem, 0) >= segment.stat().st_size:
            segment.unlink()


def _add_plain_files(archive: ArchiveWriter, state: StateDir, *, without: Path | None) -> None:
    for path in list_plain_files(state):
        if without is None or not path.is_relative_to(without):
            _add_file(archive, path, state.folder, STATE)
    if not state.history.is_relative_to(state.folder):
        for path in list_files(state.history):
            _add_file(archive, path, state.history, f"{STATE}/{HISTORY}")


def _add_file(archive: ArchiveWriter, path: Path, root: Path, root_name: str) -> None:
    """Add a file that is below a folder, or a link that leads to another path below it."""
    name = f"{root_name}/{path.relative_to(root)}"
    if is_inner_link(root, path):
        archive.add_link(name, os.path.relpath(link_target(path), path.parent))
    else:
        archive.add(name, path)


def _settings_files(settings: Settings, config: Path) -> Iterator[Path]:
    """The settings file and the files that it names, each once."""
    exports = (export.field_map for export in settings.daily.exports)
    files = (config, settings.data.dataset, settings.playbook, settings.health_parts, *settings.signals.modules)
    yield from sorted({path.resolve() for path in (*files, *exports) if path and path.is_file()})


def _settings_name(path: Path, config: Path) -> str:
    """Where a settings file is in the archive: as it lies to the settings file, or by its whole path."""
    folder = config.resolve().parent
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else f"elsewhere{path}"


def _left_out(settings: Settings) -> Iterator[str]:
    """What is outside the state folder, with how it comes back."""
    if settings.stores.online is not None:
        yield "the online store in Redis: `oarlock publish` fills it again"
    if settings.stores.feast_registry is not None:
        yield "the registry of Feast: `oarlock publish` makes it again"
    if settings.stores.mlflow is not None and mlflow_database(settings.stores) is None:
        yield "MLflow on its server: set stores.mlflow_database, or back up its database first, and then its artifacts"


def _describe(settings: Settings, archive: ArchiveWriter, ledger: Path, at: datetime) -> BackupManifest:
    copy = sql.create_engine(sqlite_url(ledger))
    with copy.connect() as connection:
        rows = count_rows(connection)
    copy.dispose()
    manifest = BackupManifest(
        created_at=at,
        name=settings.name,
        dataset=settings.data.dataset.name,
        versions={name: metadata.version(name) for name in PACKAGES},
        ledger_revision=HEAD_REVISION,
        rows=rows,
        left_out=tuple(_left_out(settings)),
    )
    return replace(manifest, files=archive.files, links=archive.links)
