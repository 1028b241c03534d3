"""The data set with fresh copies of the sources that are no local files; what was copied before is never served."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from configs.errors import ConfigError, NotReady
from configs.files import locked_folder, remove_unread, write_json
from configs.sections.publishing import DataSettings
from configs.sections.signals import SignalSettings
from configs.stored_files import read_rebuildable
from features.compute.backends.spill_folder import SPILL
from features.ingestion.copies.object_storage import EarlierCopy, copy_objects
from features.tables.copied_files import POINTER, PresentCopy, hash_declared, list_copied
from features.tables.dataset import Dataset, read_dataset
from features.tables.mapping import DatasetMapping, read_mapping


def fetch_dataset(settings: DataSettings, signals: SignalSettings | None = None) -> Dataset:
    """As `read_dataset`, with the rows that databases and object storage hold now.

    Raises ConfigError or DataError for a source that cannot be read, NotReady if it cannot be reached.
    """
    mapping, _ = read_mapping(settings)
    if mapping.copied_sources:
        copy_sources(mapping, _copies_folder(settings))
    return read_dataset(settings, signals)


def require_copies(dataset: Dataset) -> None:
    """Raise NotReady for a source that has not been copied yet."""
    for name in dataset.mapping.copied_sources:
        if not dataset.files[name]:
            message = f"The source '{name}' has not been copied yet, as the mapping now declares it."
            raise NotReady(message, "Run `oarlock publish`, which copies it.")


def copy_sources(mapping: DatasetMapping, folder: Path) -> None:
    """Copy every source that is no local file; older copies are removed unless a process reads them."""
    from features.ingestion.copies.postgres import copy_tables  # it loads a query engine, for few data sets

    sources = mapping.copied_sources
    tables = {name: source for name, source in sources.items() if source.database}
    objects = {name: source for name, source in sources.items() if not source.database}
    with locked_folder(folder):
        temporary = Path(tempfile.mkdtemp(prefix=".", dir=folder))
        try:
            copy_tables(tables, temporary, folder.parent / SPILL)
            tags = copy_objects(objects, temporary, _earlier_copy(folder)) if objects else {}
            target = folder / _content_hash(temporary, sorted(sources))
            if not target.exists():
                temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        write_json(folder / POINTER, {"declared": hash_declared(sources), "copy": target.name, "tags": tags})
        remove_unread(folder, keep=target)


def _copies_folder(settings: DataSettings) -> Path:
    if settings.copies is None:
        raise ConfigError("Sources of a database or object storage need a folder for their copies.", "Set data.copies.")
    return settings.copies


def _earlier_copy(folder: Path) -> EarlierCopy:
    """The present copy, whatever was declared for it."""
    present = read_rebuildable(folder / POINTER, PresentCopy)
    return EarlierCopy(folder / present.copy, present.tags) if present else EarlierCopy(folder, {})


def _content_hash(folder: Path, sources: list[str]) -> str:
    digest = hashlib.sha256()
    for name in sources:
        for file in list_copied(folder / name):
            with file.open("rb") as stream:
                digest.update(f"{file.relative_to(folder)}".encode() + hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]
