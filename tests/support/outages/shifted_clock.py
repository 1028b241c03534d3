"""A clock that is off: processes that preload a small library read it, and a test moves it while they run."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")


@dataclass(frozen=True)
class ShiftedClock:
    """The clock of the processes that have these variables."""

    library: Path
    shift: Path

    @property
    def variables(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "SHIFTED_CLOCK_FILE": str(self.shift)}

    @contextmanager
    def shifted(self, seconds: int) -> Iterator[None]:
        """Move the clock until the block ends."""
        self._write(seconds)
        try:
            yield
        finally:
            self._write(0)

    def _write(self, seconds: int) -> None:
        with self.shift.open("r+b") as file:
            file.write((seconds * 10**9).to_bytes(8, "little", signed=True))


def build_shifted_clock(folder: Path) -> ShiftedClock:
    """Compile the library into a folder; skips the test without a C compiler."""
    compiler, library, shift = shutil.which("cc"), folder / "shifted_clock.so", folder / "shift"
    if compiler is None:
        pytest.skip("no C compiler is installed")
    folder.mkdir()
    shift.write_bytes(bytes(8))
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
    return ShiftedClock(library, shift)
