"""The bytes of a file that may be compressed by gzip or zstd."""

import gzip
from pathlib import Path
from typing import BinaryIO, cast


def open_bytes(path: Path) -> BinaryIO:
    """The bytes of a file, decompressed."""
    if path.suffix.lower() == ".zst":
        import pyarrow as pa  # the service reads mappings, but no data files

        return cast(BinaryIO, pa.input_stream(str(path), compression="zstd"))
    return cast(BinaryIO, gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")
