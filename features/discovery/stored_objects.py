"""The data files below an address of S3 or a compatible store as sources, grouped as those of a folder."""

from dataclasses import dataclass, replace
from pathlib import Path

from configs.errors import DataError
from features.discovery.source_files import SUFFIXES, FileGroup, group_files, suffix_of, unique_names
from features.ingestion.copies.object_storage import EarlierCopy, copy_objects, list_objects
from features.tables.mapping import S3, SourceMapping

COPIED = "objects"


@dataclass(frozen=True)
class BucketAddress:
    """A bucket, or what is below a prefix in it, and the address of the store if that is not AWS."""

    url: str
    endpoint: str | None = None

    @property
    def name(self) -> str:
        """The last part of the prefix, or the bucket."""
        return self.prefix.rpartition("/")[2]

    @property
    def prefix(self) -> str:
        """The bucket and the prefix, without a slash at the end."""
        return self.url.removeprefix(S3).strip("/")

    def source(self, pattern: str) -> SourceMapping:
        """The objects that a pattern below the address matches."""
        files = f"{S3}{self.prefix}/{pattern}"
        return SourceMapping(files=files, endpoint=self.endpoint) if self.endpoint else SourceMapping(files=files)


def group_objects(address: BucketAddress, scratch: Path) -> list[FileGroup]:
    """A source for each group of objects, which are copied to this machine to be looked at.

    Raises ConfigError for an endpoint that is none, NotReady if the store does not answer, DataError without an object
    that is data.
    """
    if not address.prefix:
        raise DataError(f"{address.url} names no bucket.", "Write s3://BUCKET or s3://BUCKET/PREFIX.")
    everything = address.source("**/*")
    suffixes = {suffix for path in list_objects(everything) if (suffix := suffix_of(Path(path)))}
    if not suffixes:
        raise DataError(f"{address.url} has no data file.", f"Files that can be read end in {', '.join(SUFFIXES)}.")
    sources = {suffix: address.source(f"**/*{suffix}") for suffix in sorted(suffixes)}
    copy_objects(sources, scratch / COPIED, EarlierCopy(scratch / COPIED, {}))
    groups = [
        replace(group, mapping=address.source(group.pattern))
        for suffix in sources
        for group in group_files(scratch / COPIED / suffix / address.prefix)
    ]
    return sorted(unique_names(groups), key=lambda group: group.name)
