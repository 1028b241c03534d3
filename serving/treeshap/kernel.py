"""The driver kernel: margins taken apart into each signal's exact share, by machine code without LightGBM or shap.

`walks.py` says how, `compiling.py` makes the machine code; here it is loaded and called.
"""

import ctypes
import hashlib
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from serving.treeshap.lightgbm_parser import KINDS, LANES, MOST_POINTS, Trees, room_of

ENTRY = "oarlock_walk"
LIBRARY, OBJECT = ".so", ".o"  # machine code as the system loads it, or where nothing links it as LLVM does
SOURCES = ("algorithm.py", "simd.py", "compile.py", "llvm.py", "lightgbm_parser.py")
# The arrays of Trees, quadrature points and weights, matrix, shares, and room.
POINTERS = (*KINDS.values(), *["float64"] * 5)
COUNTS = 7  # trees, nodes, words, nodes of the largest tree, signals, rows or blocks of them, whether rows walk alone
STRETCH = 256  # rows for which a tree's terms are worked out once; with their shares they fit into the cache
# What /proc/cpuinfo calls the kind of a processor and what it can do, on x86 and on ARM.
PROCESSOR = ("model name", "flags", "Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part")
SMALLEST = float(np.float32(1e-35))
ALONE = 3  # up to so many rows are faster one by one


class Kernel:
    """The walks as machine code, and what they need besides the trees."""

    def __init__(self, folder: Path, file: Path | None = None) -> None:
        """Load the machine code, of this file or of this version; where there is none yet it is made, in seconds."""
        self._walk, self._held = _load(file) if file else _load_or_remake(folder)
        self._points, self._weights = quadrature()
        self._kept = ctypes.c_void_p()  # where numba's convention puts a result (None) and an exception (never)
        self._result = ctypes.addressof(self._kept)
        self._rooms = threading.local()
        self._known: _Known | None = None

    def shares(self, trees: Trees, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """Each signal's share of the margin, (rows, signals); `trees.expected` and a row's sum are its margin.

        The figures of LightGBM's `pred_contrib`, to rounding. `matrix` holds float64 in the order of the signals.
        """
        shares = np.zeros(matrix.shape)
        # LightGBM takes what is as small as this for 0 before its trees see it.
        matrix = np.where(np.abs(matrix) <= SMALLEST, 0.0, matrix)
        if len(matrix) <= ALONE:
            self._run(trees, np.ascontiguousarray(matrix, dtype="float64"), shares, alone=True)
            return shares

        def walk(start: int) -> None:
            part = _blocks(matrix[start : start + STRETCH])
            found = np.zeros(part.shape)
            self._run(trees, part, found, alone=False)
            rows = shares[start : start + STRETCH]
            rows[:] = found.transpose(0, 2, 1).reshape(-1, matrix.shape[1])[: len(rows)]

        starts = range(0, len(matrix), STRETCH)
        if min(threads, len(starts)) == 1:
            for start in starts:
                walk(start)
        else:  # machine code called through ctypes holds no lock of the interpreter
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(walk, starts))
        return shares

    def _run(self, trees: Trees, matrix: np.ndarray, shares: np.ndarray, *, alone: bool) -> None:
        known = self._known
        if known is None or known.trees is not trees:
            known = self._known = _Known.of(trees, self._points, self._weights)
        room = self._room(known.most)
        given = (*known.addresses, *map(_address, (matrix, shares, room)))
        sizes = (*known.sizes, known.most, matrix.shape[1], len(matrix), int(alone))
        self._walk(self._result, self._result, *given, *sizes)

    def _room(self, most: int) -> np.ndarray:
        """This thread's room for a walk; new memory for every request would cost more than a short walk."""
        mine = getattr(self._rooms, "mine", None)
        if mine is None or mine[0] < most:
            mine = self._rooms.mine = (most, np.zeros(room_of(most)))
        return mine[1]


@dataclass(frozen=True)
class _Known:
    """Where the arrays of some trees are, looked up once for all requests, and how large they are."""

    trees: Trees
    addresses: tuple[int, ...]
    sizes: tuple[int, int, int]
    most: int

    @classmethod
    def of(cls, trees: Trees, *quadrature: np.ndarray) -> "_Known":
        addresses = tuple(_address(one) for one in (*trees, *quadrature))
        sizes = (len(trees.degrees), len(trees.signal), len(trees.bits))
        return cls(trees, addresses, sizes, int(np.diff(trees.starts).max(initial=1)))


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _blocks(rows: np.ndarray) -> np.ndarray:
    """Rows as (blocks, signals, LANES), the last block filled up with rows of zeros."""
    whole = np.zeros((-(-len(rows) // LANES) * LANES, rows.shape[1]))
    whole[: len(rows)] = rows
    return np.ascontiguousarray(whole.reshape(-1, LANES, rows.shape[1]).transpose(0, 2, 1))


def quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights on [0, 1]: row n holds the n of them, filled up with points of weight 0."""
    points, weights = np.full((MOST_POINTS + 1, MOST_POINTS), 0.5), np.zeros((MOST_POINTS + 1, MOST_POINTS))
    for degree in range(1, MOST_POINTS + 1):
        at, weight = np.polynomial.legendre.leggauss(degree)
        points[degree, :degree], weights[degree, :degree] = (at + 1) / 2, weight / 2
    return points, weights


def compiled(folder: Path) -> Path:
    """The file of machine code for this processor and this version of the walks, made where it is not there yet.

    It is kept beside the code, as Python keeps its own, and in `folder` where the code cannot be written to.
    """
    room = Path(__file__).parent
    sources = b"".join((room / name).read_bytes() for name in SOURCES)
    made_with = (version("numba"), version("llvmlite"), _processor())
    name = f"walk-{hashlib.sha256(sources + repr(made_with).encode()).hexdigest()[:16]}"
    places = [room / "__pycache__", folder]
    for found in (place / f"{name}{ending}" for place in places for ending in (LIBRARY, OBJECT)):
        if found.exists():
            return found
    file = (places[0] if os.access(room, os.W_OK) else folder) / name
    command = [sys.executable, "-m", "serving.treeshap.compile", str(file.resolve())]
    told = subprocess.run(command, check=True, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
    return Path(told.stdout.strip())


def _processor() -> str:
    """What tells one kind of processor from another: the machine code is for this very one."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().split("\n\n")[0].splitlines() if about.exists() else []
    kept = [line for line in lines if line.partition("\t")[0].strip(": ") in PROCESSOR]
    return " ".join([platform.machine(), platform.processor(), *kept])


def _load_or_remake(folder: Path) -> tuple[Callable[..., int], object]:
    file = compiled(folder)
    try:
        return _load(file)
    except OSError:  # cut short by a power cut, it would be found again for ever
        file.unlink(missing_ok=True)
        return _load(compiled(folder))


def _load(file: Path) -> tuple[Callable[..., int], object]:
    """The function in the file, and what keeps its memory for as long as it is held."""
    # Two leading pointers, for a result and an exception, are numba's way of calling.
    types = [ctypes.c_void_p] * (2 + len(POINTERS)) + [ctypes.c_int64] * COUNTS
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, *types)
    if file.suffix == LIBRARY:
        library = ctypes.CDLL(str(file))
        return prototype((ENTRY, library)), library
    from serving.treeshap.llvm import loaded  # 38 MB of a process, which a linked file spares it

    address, engine = loaded(file, ENTRY)
    return prototype(address), engine
