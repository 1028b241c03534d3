"""The driver kernel: splits margins into each signal's exact share, by machine code and without LightGBM or shap.

At the default model (120 trees of 4 leaves) it is worth 9 % of the CPU of a request for 100 or 1,000 accounts, compared
with LightGBM's `pred_contrib`; for one account nothing is felt. And a worker does not import LightGBM, which would take
164 MB and a second of CPU. `algorithm.py` says how it works, `compile.py` makes the machine code; here it is loaded and
called.
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

from serving.treeshap.lightgbm_parser import ARRAY_TYPES, MAX_POINTS, Trees

ENTRY = "oarlock_walk"
LIBRARY, OBJECT = ".so", ".o"  # loaded by the system, or by LLVM on a machine without a linker
SOURCES = ("algorithm.py", "compile.py", "llvm.py", "lightgbm_parser.py")
# Of `algorithm.walk`: the arrays of Trees, of the quadrature (3) and of the scratch memory (5), matrix and shares.
POINTER_TYPES = (*ARRAY_TYPES.values(), *["float64"] * 10)
COUNTS = 7
BLOCK_ROWS = 128
# The lines of /proc/cpuinfo that describe a processor, on x86 and on ARM.
PROCESSOR_LINES = (
    "model name", "flags", "Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part",
)  # fmt: skip
ZERO_LIMIT = float(np.float32(1e-35))
Walk = Callable[..., int]


class Kernel:
    """The machine code, and what it needs besides the trees."""

    def __init__(self, folder: Path, file: Path | None = None) -> None:
        """Load the machine code from a file, or this version's, which is compiled in seconds if there is none."""
        self._walk, self._owner = _load(file) if file else _load_or_recompile(folder)
        points, weights = quadrature()
        self._quadrature = points, weights, 1.0 / (1.0 - points)
        self._unused = ctypes.c_void_p()  # numba's convention: where the result (None) and an exception (never) go
        self._result = ctypes.addressof(self._unused)
        self._local = threading.local()
        self._prepared: _PreparedTrees | None = None

    def shares(self, trees: Trees, matrix: np.ndarray, threads: int = 1) -> np.ndarray:
        """Each signal's share of the margin, (rows, signals): `trees.expected_margin` plus a row's sum is its margin.

        They equal LightGBM's `pred_contrib` to rounding. `matrix` is float64, its columns in the order of the signals.
        """
        shares = np.empty(matrix.shape)
        # LightGBM replaces values as small as this with 0 before its trees see them.
        matrix = np.where(np.abs(matrix) <= ZERO_LIMIT, 0.0, matrix)

        def walk(start: int) -> None:
            rows = slice(start, start + BLOCK_ROWS)
            shares[rows] = self._walk_block(trees, np.ascontiguousarray(matrix[rows].T, dtype="float64")).T

        starts = range(0, len(matrix), BLOCK_ROWS)
        if min(threads, len(starts)) <= 1:
            for start in starts:
                walk(start)
        else:  # machine code called through ctypes does not hold the interpreter's lock
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(walk, starts))
        return shares

    def _walk_block(self, trees: Trees, block: np.ndarray) -> np.ndarray:
        """The shares of a block of rows; both have the shape (signals, rows)."""
        prepared = self._prepared
        if prepared is None or prepared.trees is not trees:
            prepared = self._prepared = _PreparedTrees.of(trees, self._quadrature)
        shares = np.zeros(block.shape)
        pointers = (*prepared.addresses, *self._scratch_of(prepared).addresses, _address(block), _address(shares))
        self._walk(self._result, self._result, *pointers, *prepared.counts, *block.shape)
        return shares

    def _scratch_of(self, prepared: "_PreparedTrees") -> "_Scratch":
        """This thread's scratch memory: to allocate it for every request would cost more than a short walk."""
        scratch: _Scratch | None = getattr(self._local, "scratch", None)
        if scratch is None or scratch.prepared is not prepared:
            scratch = self._local.scratch = _Scratch.of(prepared)
        return scratch


@dataclass(frozen=True)
class _PreparedTrees:
    """Some trees with the addresses of their arrays and their counts, looked up once for all requests."""

    trees: Trees
    addresses: tuple[int, ...]
    counts: tuple[int, int, int, int, int]

    @classmethod
    def of(cls, trees: Trees, quadrature: tuple[np.ndarray, ...]) -> "_PreparedTrees":
        sizes = (len(trees.point_counts), len(trees.split_signal), len(trees.category_bits))
        max_nodes, max_points = np.diff(trees.tree_starts).max(initial=1), trees.point_counts.max(initial=1)
        addresses = tuple(_address(array) for array in (*trees, *quadrature))
        return cls(trees, addresses, (*sizes, int(max_nodes), int(max_points)))


@dataclass(frozen=True)
class _Scratch:
    """Scratch memory for blocks of some trees (see `algorithm.Scratch`), with its addresses."""

    prepared: _PreparedTrees
    arrays: tuple[np.ndarray, ...]
    addresses: tuple[int, ...]

    @classmethod
    def of(cls, prepared: _PreparedTrees) -> "_Scratch":
        nodes, points = prepared.counts[3:]
        sizes = (nodes * points * BLOCK_ROWS, nodes * BLOCK_ROWS, BLOCK_ROWS, 4 * BLOCK_ROWS, nodes * points)
        arrays = tuple(np.zeros(size) for size in sizes)
        return cls(prepared, arrays, tuple(map(_address, arrays)))


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights on [0, 1]: row n holds n of them, filled up with points of weight 0."""
    points, weights = np.full((MAX_POINTS + 1, MAX_POINTS), 0.5), np.zeros((MAX_POINTS + 1, MAX_POINTS))
    for count in range(1, MAX_POINTS + 1):
        nodes, node_weights = np.polynomial.legendre.leggauss(count)
        points[count, :count], weights[count, :count] = (nodes + 1) / 2, node_weights / 2
    return points, weights


def compiled_file(folder: Path) -> Path:
    """The machine code for this processor and this version of the algorithm, compiled if it does not exist yet.

    It is kept beside the code, as Python's own bytecode is, or in `folder` if the code's folder cannot be written.
    """
    package = Path(__file__).parent
    sources = b"".join((package / name).read_bytes() for name in SOURCES)
    compiler = (version("numba"), version("llvmlite"), _processor())
    name = f"walk-{hashlib.sha256(sources + repr(compiler).encode()).hexdigest()[:16]}"
    folders = [package / "__pycache__", folder]
    for file in (path / f"{name}{suffix}" for path in folders for suffix in (LIBRARY, OBJECT)):
        if file.exists():
            return file
    target = (folders[0] if os.access(package, os.W_OK) else folder) / name
    command = [sys.executable, "-m", "serving.treeshap.compile", str(target.resolve())]
    ended = subprocess.run(command, check=True, cwd=package.parents[1], stdout=subprocess.PIPE, text=True)
    return Path(ended.stdout.strip())


def _processor() -> str:
    """What distinguishes processors: the machine code is for exactly this one."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().split("\n\n")[0].splitlines() if cpuinfo.exists() else []
    described = [line for line in lines if line.partition("\t")[0].strip(": ") in PROCESSOR_LINES]
    return " ".join([platform.machine(), platform.processor(), *described])


def _load_or_recompile(folder: Path) -> tuple[Walk, object]:
    file = compiled_file(folder)
    try:
        return _load(file)
    except OSError:  # a power failure cut the file short; it would be found again every time
        file.unlink(missing_ok=True)
        return _load(compiled_file(folder))


def _load(file: Path) -> tuple[Walk, object]:
    """The function in the file, and the object that owns its memory."""
    # By numba's convention the first two pointers are for a result and an exception.
    types = [ctypes.c_void_p] * (2 + len(POINTER_TYPES)) + [ctypes.c_int64] * COUNTS
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, *types)
    if file.suffix == LIBRARY:
        library = ctypes.CDLL(str(file))
        return prototype((ENTRY, library)), library
    from serving.treeshap.llvm import load_object  # takes 38 MB of a process, which a linked file does not

    address, engine = load_object(file, ENTRY)
    return prototype(address), engine
