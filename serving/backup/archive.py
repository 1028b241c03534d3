"""The archive of a backup: a tar file, compressed by zstd or gzip, whose last member is its manifest.

    state/...        the files of the state folder
    settings/...     the settings file and the files that it names
    manifest.json    the size and SHA-256 of every file, and the versions that wrote them

The manifest comes last, so an archive that is cut short has none.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Literal

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from configs.errors import RequestError
from configs.stored_files import damaged, damaged_if

FORMAT = 1
MANIFEST = "manifest.json"
COMPRESSIONS: Mapping[str, Literal["zstd", "gzip"]] = {".zst": "zstd", ".gz": "gzip", ".tgz": "gzip"}
CHUNK_BYTES = 1 << 20
OTHER_BACKUP = "Take another backup."
UNREADABLE = (tarfile.TarError, OSError, EOFError, pa.ArrowException)
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700


@dataclass(frozen=True)
class ArchivedFile:
    """What a file has to be when it is restored."""

    size: int
    sha256: str


@dataclass(frozen=True)
class BackupManifest:
    """What a backup holds, of which configuration, and what wrote it.

    `rows` counts the rows of the ledger's tables, `left_out` says what is on a server and not in the backup, `links`
    has the target of each link.
    """

    created_at: datetime
    name: str
    dataset: str
    versions: Mapping[str, str]
    ledger_revision: str
    rows: Mapping[str, int]
    left_out: tuple[str, ...] = ()
    format: int = FORMAT
    files: Mapping[str, ArchivedFile] = field(default_factory=dict[str, ArchivedFile])
    links: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.size for file in self.files.values())


class ArchiveWriter:
    """Adds files to an archive and remembers what they were."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.files = dict[str, ArchivedFile]()
        self.links = dict[str, str]()

    def add(self, name: str, path: Path) -> None:
        """Add a file. One that grows is cut where it ended when it was opened."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            reader = _HashingReader(file)
            self._archive.addfile(_member(name, size), reader)
        self.files[name] = ArchivedFile(size, reader.sha256.hexdigest())

    def add_link(self, name: str, target: str) -> None:
        """Add a link to another path of the same folder, relative to where the link is."""
        member = _member(name, 0)
        member.type, member.linkname = tarfile.SYMTYPE, target
        self._archive.addfile(member)
        self.links[name] = target

    def finish(self, manifest: BackupManifest) -> None:
        """Add the manifest."""
        content = json.dumps(asdict(manifest), default=datetime.isoformat, indent=1).encode()
        self._archive.addfile(_member(MANIFEST, len(content)), BytesIO(content))


class _HashingReader:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        content = self._file.read(size)
        self.sha256.update(content)
        return content


@contextmanager
def write_archive(file: Path, compression: Literal["zstd", "gzip"]) -> Generator[ArchiveWriter]:
    """A new archive, for its owner only: it holds accounts and keys."""
    file.touch(PRIVATE_FILE)
    with (
        pa.OSFile(str(file), "wb") as sink,
        pa.CompressedOutputStream(sink, compression) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        yield ArchiveWriter(archive)


def extract_archive(file: Path, folder: Path) -> BackupManifest:
    """Write the files of an archive into a new folder, each as it was when it was archived; returns the manifest.

    Raises DamagedState if a file is missing, not named, or another one than was archived.
    """
    files, links, manifest = dict[str, ArchivedFile](), dict[str, str](), None
    with damaged_if(UNREADABLE, file, OTHER_BACKUP), _read_archive(file) as archive:
        for member in archive:
            tarfile.data_filter(member, str(folder))  # raises TarError for a path outside the folder
            if member.name == MANIFEST:
                manifest = _content(archive, member).read()
            elif member.issym():
                links[member.name] = _restore_link(folder / member.name, member.linkname)
            else:
                files[member.name] = _restore_file(folder / member.name, _content(archive, member))
    if manifest is None:
        raise damaged(file, "it has no manifest, so it is cut short", OTHER_BACKUP)
    return _check(file, _parse_manifest(file, manifest), files, links)


@contextmanager
def _read_archive(file: Path) -> Generator[tarfile.TarFile]:
    compression = archive_compression(file)
    with (
        pa.OSFile(str(file), "rb") as source,
        pa.CompressedInputStream(source, compression) as content,
        tarfile.open(fileobj=content, mode="r|") as archive,
    ):
        yield archive


def archive_compression(file: Path) -> Literal["zstd", "gzip"]:
    """How an archive of this name is compressed; raises RequestError for a name that does not say it."""
    compression = COMPRESSIONS.get(file.suffix)
    if compression is None:
        message = f"{file.name} does not say how it is compressed."
        raise RequestError(message, "Name a file that ends in .tar.zst or .tar.gz.")
    return compression


def _check(
    file: Path, manifest: BackupManifest, files: Mapping[str, ArchivedFile], links: Mapping[str, str]
) -> BackupManifest:
    expected = {**manifest.files, **manifest.links}
    actual = {**files, **links}
    different = [name for name in sorted(expected.keys() | actual.keys()) if expected.get(name) != actual.get(name)]
    if different:
        raise damaged(file, f"{different[0]} is not what was archived", OTHER_BACKUP)
    return manifest


def _parse_manifest(file: Path, content: bytes) -> BackupManifest:
    hint = "Restore it with the release that wrote it."
    try:
        manifest = TypeAdapter(BackupManifest).validate_json(content)
    except ValidationError as error:
        raise damaged(file, f"its manifest is not known: {error.errors()[0]['msg']}", hint) from None
    if manifest.format != FORMAT:
        raise damaged(file, f"its format is {manifest.format}, and this release knows {FORMAT}", hint)
    return manifest


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, PRIVATE_FILE
    return member


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    if content is None:
        raise tarfile.ReadError(f"{member.name} is no file")
    return content


def _restore_file(path: Path, content: IO[bytes]) -> ArchivedFile:
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    reader, size = _HashingReader(content), 0
    with path.open("xb") as file:
        while chunk := reader.read(CHUNK_BYTES):
            size += file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return ArchivedFile(size, reader.sha256.hexdigest())


def _restore_link(path: Path, target: str) -> str:
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    path.symlink_to(target)
    return target
