"""The revenue table of this process, read again after every publish."""

from pathlib import Path

from features.store.revenue_table import RevenueHistory, read_revenue_table


class RevenueCache:
    """Keeps the newest revenue table."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._read: tuple[int, RevenueHistory] | None = None

    @property
    def written(self) -> int:
        """When the table was written, in nanoseconds; 0 if it was not."""
        return self.file.stat().st_mtime_ns if self.file.exists() else 0

    def current(self) -> RevenueHistory:
        """The revenue of the newest published day; raises NotReady if none was published."""
        written, read = self.written, self._read
        if read is None or read[0] != written:
            self._read = read = (written, read_revenue_table(self.file))
        return read[1]
