"""Restores a backup into an empty state folder, and its ledger and MLflow into the servers that the settings name.

Everything is written beside the state folder and verified first. Then MLflow's server and the ledger's database are
filled if the settings name them, each in one transaction, and last the folder is renamed: whenever a restore is
stopped, the state folder is empty or complete.
"""

import shutil
from pathlib import Path

import sqlalchemy as sql

from configs.errors import ConfigError, NotReady, RequestError
from configs.files import exclusive_lock
from configs.settings import Settings
from configs.state_dir import OWNER_FILE, OWNER_ONLY, StateDir
from serving.backup.archive import BackupManifest, extract_archive
from serving.backup.backup import HISTORY, SETTINGS, STATE
from serving.backup.ledger_copy import fill_database, require_empty
from serving.backup.mlflow_copy import fill_mlflow
from serving.ledger.database import open_database
from serving.ledger.schema import HEAD_REVISION
from training.registry.mlflow_registry import DATABASE, mlflow_database, open_registry


def restore_backup(settings: Settings, file: Path) -> BackupManifest:
    """Restore a backup into the state folder of the settings; returns what it held.

    Raises NotReady unless folder and databases are empty, DamagedState for a damaged archive, ConfigError for one of
    another configuration or a later release, or for an MLflow server without its database, Busy while another process
    restores into the same folder.
    """
    state = StateDir(settings.state.resolve() / settings.name, settings.stores)
    _require_file(file)
    require_empty_folder(state)
    _require_no_history(state)
    state.folder.parent.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
    database = _open_empty_database(settings)
    scratch = state.folder.with_name(f".{state.folder.name}.restore")
    with exclusive_lock(scratch.with_suffix(".lock"), "restoring into"):
        shutil.rmtree(scratch, ignore_errors=True)  # of a restore that was killed
        scratch.mkdir(OWNER_ONLY)
        try:
            manifest = extract_archive(file, scratch)
            _require_same(manifest, settings, file)
            _fill_registry(settings, state, scratch / STATE)
            if database is not None:
                fill_database(scratch / STATE / state.ledger.name, database)
                (scratch / STATE / state.ledger.name).unlink()
            require_empty_folder(state)
            _place_history(state, scratch / STATE / HISTORY)
            _move(scratch / STATE, state.folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return manifest


def restore_settings(file: Path, folder: Path) -> list[Path]:
    """Write the settings files of a backup into a new folder; returns them.

    Raises RequestError if the folder exists, DamagedState for a damaged archive.
    """
    _require_file(file)
    if folder.exists():
        raise RequestError(f"{folder} exists already.", "Name a new folder.")
    scratch = folder.with_name(f".{folder.name}.restore")
    scratch.mkdir(OWNER_ONLY, parents=True)
    try:
        extract_archive(file, scratch)
        (scratch / SETTINGS).rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def require_empty_folder(state: StateDir) -> None:
    """Raise NotReady if a state folder holds anything but its owner."""
    if not state.folder.exists():
        return
    content = sorted(path.name for path in state.folder.iterdir() if path.name != OWNER_FILE)
    if content:
        message = f"{state.folder} is not empty: it holds {content[0]}."
        raise NotReady(message, "Restore into a new folder: give another `state` in the settings.")


def _require_no_history(state: StateDir) -> None:
    """Raise NotReady if the folder in `stores.history` has a history already."""
    if state.stores.history is not None and state.history.exists():
        raise NotReady(f"{state.history} exists already.", "Move it away, or give another `stores.history`.")


def _require_file(file: Path) -> None:
    if not file.is_file():
        raise RequestError(f"There is no file {file}.", "Name a file that `oarlock backup` wrote.")


def _open_empty_database(settings: Settings) -> sql.Engine | None:
    """The database in `ledger.url`; None if the ledger is a file of the state folder."""
    url = settings.ledger.url
    if url is None:
        return None
    engine = open_database(url.get_secret_value())
    with engine.connect() as connection:
        require_empty(connection)
    return engine


def _fill_registry(settings: Settings, state: StateDir, restored: Path) -> None:
    """Give MLflow's server what the backup holds of MLflow; nothing if either of the two is missing."""
    registry, source = open_registry(state, settings.name), restored / state.mlflow.name
    if registry.server is None or not (source / DATABASE).exists():
        return
    database = mlflow_database(settings.stores)
    if database is None:
        message = "The backup holds MLflow, and the settings name an MLflow server without its database."
        raise ConfigError(message, "Set OARLOCK_STORES__MLFLOW_DATABASE to the database behind the server.")
    fill_mlflow(source, registry, database)
    (source / DATABASE).unlink()
    if not registry.keeps_files_in_folder:
        shutil.rmtree(source)


def _place_history(state: StateDir, restored: Path) -> None:
    """Put the history where `stores.history` says, which may be another disk; nothing if it is in the state folder."""
    if state.stores.history is None or not restored.exists():
        return
    incoming = state.history.with_name(f".{state.history.name}.restore")
    shutil.rmtree(incoming, ignore_errors=True)  # of a restore that was killed
    shutil.copytree(restored, incoming, symlinks=True)
    incoming.rename(state.history)
    shutil.rmtree(restored)


def _require_same(manifest: BackupManifest, settings: Settings, file: Path) -> None:
    """Raise ConfigError if a backup is of another configuration, or of a later release."""
    for setting, archived, own in (
        ("name", manifest.name, settings.name),
        ("data set", manifest.dataset, settings.data.dataset.name),
    ):
        if archived != own:
            message = f"{file} is of the {setting} {archived}, and the settings have {own}."
            raise ConfigError(message, "`oarlock restore FILE --settings-to FOLDER` writes the settings of the backup.")
    if manifest.ledger_revision > HEAD_REVISION:
        message = f"{file} has a ledger of revision {manifest.ledger_revision}, this release knows {HEAD_REVISION}."
        raise ConfigError(message, "Use the release that wrote the backup, or a later one.")


def _move(restored: Path, folder: Path) -> None:
    """Put the restored folder where an empty one may be."""
    (folder / OWNER_FILE).unlink(missing_ok=True)
    restored.chmod(OWNER_ONLY)
    restored.rename(folder)
