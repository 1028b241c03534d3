"""Copies objects of S3 or a compatible store: what a pattern matches, and nothing that changed meanwhile.

An object that is unchanged since the last copy, by its entity tag, is linked and not read again. Credentials come from
where the tools of AWS look: the environment, `~/.aws`, or the role of the machine.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import ConfigError, DataError, NotReady
from configs.stored_files import find_full_disk
from features.tables.dataset import is_shadow
from features.tables.mapping import S3, SourceMapping

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

CONNECT_SECONDS, SILENT_SECONDS, ATTEMPTS = 5, 15, 2  # a store that is silent is given up after half a minute
THREADS = 8
REASONS = {"curlCode: 7,": "it refuses connections", "curlCode: 28,": "it does not answer"}
WILDCARD = re.compile(r"(\*\*/|\*|\?|\[[^]/]+\])")
TRANSLATED = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}


@dataclass(frozen=True)
class EarlierCopy:
    """The folder of the copy before, and the entity tags of its objects."""

    folder: Path
    tags: Mapping[str, str]


@dataclass(frozen=True)
class _Bucket:
    """The objects that the pattern of a source matches."""

    name: str
    source: SourceMapping
    store: "FileSystem"

    def objects(self) -> dict[str, "FileInfo"]:
        """The objects by path, bucket included. Raises DataError if there is none."""
        from pyarrow.fs import FileSelector, FileType

        pattern = self.source.files.removeprefix(S3)
        fixed = WILDCARD.split(pattern, maxsplit=1)[0]
        selector = FileSelector(fixed.rpartition("/")[0], allow_not_found=True, recursive=True)
        expression = re.compile(_translate(pattern))
        listed = [info for info in self.store.get_file_info(selector) if info.type == FileType.File]
        matches = [info for info in listed if expression.fullmatch(info.path)]
        objects = {info.path: info for info in matches if not is_shadow(Path(info.path), Path())}
        if not objects:
            raise DataError(f"The source '{self.name}' has no object {self.source.files}.", "Correct its pattern.")
        return objects


@dataclass(frozen=True)
class _Transfer:
    """An object on its way to a file, or to a link to the file that an earlier copy has of it."""

    bucket: _Bucket
    path: str
    target: Path
    earlier: Path
    earlier_tag: str | None

    def run(self) -> str:
        """Copy the object; returns its entity tag. Raises DataError for a path that a folder cannot have."""
        if {"..", ".", ""} & set(self.path.split("/")):
            raise DataError(f"The object {S3}{self.path} has a path that no file can have.", "Rename it.")
        self.target.parent.mkdir(parents=True, exist_ok=True)
        with self.bucket.store.open_input_file(self.path) as content:
            tag = _entity_tag(content.metadata())
            if tag and tag == self.earlier_tag and self.earlier.exists():
                os.link(self.earlier, self.target)
            else:
                with self.target.open("wb") as output:
                    shutil.copyfileobj(content, output, 1 << 22)
        return tag


def list_objects(source: SourceMapping) -> tuple[str, ...]:
    """The paths of the objects that a source matches, bucket included.

    Raises DataError if there is none, NotReady if the store does not answer.
    """
    try:
        return tuple(_Bucket(source.files, source, _open_store(source)).objects())
    except OSError as error:
        raise _not_ready(error) from None


def copy_objects(sources: Mapping[str, SourceMapping], folder: Path, earlier: EarlierCopy) -> dict[str, str]:
    """Write the objects of each source to `FOLDER/SOURCE/KEY`; returns their entity tags.

    Raises DataError for a source without objects and for objects that change meanwhile, NotReady if the store does not
    answer, StorageFull if the copies have no room.
    """
    try:
        buckets = [_Bucket(name, source, _open_store(source)) for name, source in sources.items()]
        before = {bucket.name: bucket.objects() for bucket in buckets}
        transfers = [transfer for bucket in buckets for transfer in _transfers(bucket, before, folder, earlier)]
        with ThreadPoolExecutor(THREADS) as pool:
            tags = list(pool.map(_Transfer.run, transfers))
        for bucket in buckets:
            _require_unchanged(bucket, before[bucket.name])
    except OSError as error:
        raise _not_ready(error) from None
    return {_key(transfer): tag for transfer, tag in zip(transfers, tags, strict=True)}


def _not_ready(error: OSError) -> NotReady:
    line = str(error).strip().partition("\n")[0].rstrip(".")
    reason = next((reason for code, reason in REASONS.items() if code in line), line)
    hint = "Start it, or check its address and its credentials."
    return find_full_disk(error) or NotReady(f"Cannot read the object storage: {reason}.", hint)


def _open_store(source: SourceMapping) -> "FileSystem":
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    limits = {"connect_timeout": CONNECT_SECONDS, "request_timeout": SILENT_SECONDS}
    retries = AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS)
    if source.endpoint is None:
        return S3FileSystem(retry_strategy=retries, **limits)
    scheme, _, host = source.endpoint.partition("://")
    if scheme not in {"http", "https"} or not host:
        raise ConfigError(f"'{source.endpoint}' is no endpoint.", "Write https://HOST, or http:// in your own network.")
    return S3FileSystem(endpoint_override=host.rstrip("/"), scheme=scheme, retry_strategy=retries, **limits)


def _transfers(
    bucket: _Bucket,
    objects: Mapping[str, Mapping[str, "FileInfo"]],
    folder: Path,
    earlier: EarlierCopy,
) -> Iterator[_Transfer]:
    for path in objects[bucket.name]:
        key = f"{bucket.name}/{path}"
        yield _Transfer(bucket, path, folder / key, earlier.folder / key, earlier.tags.get(key))


def _key(transfer: _Transfer) -> str:
    return f"{transfer.bucket.name}/{transfer.path}"


def _require_unchanged(bucket: _Bucket, before: Mapping[str, "FileInfo"]) -> None:
    """Raise DataError if the objects are others than before they were copied: they might be of two instants."""
    after = bucket.objects()
    changed = [
        path
        for path in sorted({*before, *after})
        if path not in before
        or path not in after
        or (before[path].size, before[path].mtime_ns) != (after[path].size, after[path].mtime_ns)
    ]
    if changed:
        raise DataError(f"{S3}{changed[0]} changed while it was read.", "Run this again when the export is complete.")


def _translate(pattern: str) -> str:
    """A pattern of paths as a regular expression.

    >>> bool(re.fullmatch(_translate("acme/usage/**/*.parquet"), "acme/usage/month=2024-01/part-0.parquet"))
    True
    """
    return "".join(TRANSLATED.get(part) or _literal(part) for part in WILDCARD.split(pattern))


def _literal(part: str) -> str:
    """A set of characters as it is, and any other text escaped."""
    return part if part.startswith("[") and part.endswith("]") else re.escape(part)


def _entity_tag(metadata: Mapping[str, bytes]) -> str:
    return next((value.decode() for name, value in metadata.items() if name.casefold() == "etag"), "")
