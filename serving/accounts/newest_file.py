"""What this process read from a file that a publish replaces, read again after each one."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

Content = TypeVar("Content")


class NewestFile(Generic[Content]):
    """Keeps the content of the newest version of a file."""

    def __init__(self, file: Path, read: Callable[[Path], Content]) -> None:
        self.file = file
        self._read = read
        self._cached: tuple[int, Content] | None = None

    def written_at(self) -> int:
        """When the file was written, in nanoseconds since 1970; 0 if nothing was published."""
        return self.file.stat().st_mtime_ns if self.file.exists() else 0

    def current(self) -> Content:
        """The content of the newest published day; raises NotReady if nothing was published."""
        written, cached = self.written_at(), self._cached
        if cached is None or cached[0] != written:
            # The previous content is not closed: another thread may be reading it. It closes with its last reader.
            self._cached = cached = (written, self._read(self.file))
        return cached[1]
