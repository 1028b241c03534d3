"""Every piece of code stands once: no block of ten lines is written twice."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tests.support.source_tree import ROOT, product_files, relative_name

BLOCK_LINES = 10
OTHER_FOLDERS = ("benchmarks", "docs", "examples", "tests")


def _code_lines(text: str) -> list[tuple[int, str]]:
    """The lines with their numbers, without indentation, blank lines and comments."""
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def _repeated_blocks(sources: Iterable[tuple[str, str]], size: int) -> list[list[str]]:
    """Where each block of `size` lines begins that stands more than once; `sources` are pairs of name and text."""
    starts = defaultdict(list)
    for name, text in sources:
        lines = _code_lines(text)
        for first in range(len(lines) - size + 1):
            block = tuple(line for _, line in lines[first : first + size])
            starts[block].append(f"{name}:{lines[first][0]}")
    return [places for places in starts.values() if len(places) > 1]


def _all_files() -> list[Path]:
    return [*product_files(), *(file for folder in OTHER_FOLDERS for file in sorted((ROOT / folder).rglob("*.py")))]


def test_no_block_of_ten_lines_stands_twice():
    sources = [(relative_name(file), file.read_text("utf-8")) for file in _all_files()]
    assert _repeated_blocks(sources, BLOCK_LINES) == []


def test_a_block_is_the_same_at_another_depth_and_with_other_comments():
    first, second = "a = 1\nb = 2\n", "if a:\n    # a reason\n    a = 1\n\n    b = 2\n"
    assert _repeated_blocks([("x.py", first), ("y.py", second)], size=2) == [["x.py:1", "y.py:3"]]
    assert _repeated_blocks([("x.py", first), ("y.py", second)], size=3) == []
