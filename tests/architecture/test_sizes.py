"""Folders, functions and the README stay small enough to read."""

import ast
from collections import Counter
from statistics import median, quantiles

from tests.support.source_tree import ROOT, product_files, relative_name, syntax_tree

MAX_FILES = {"features/signals": 14}
MAX_FILES_ELSEWHERE = 12
MAX_FUNCTION_LINES = 50
MAX_MEDIAN_BODY_LINES = 5
MAX_90TH_PERCENTILE_BODY_LINES = 16
MAX_README_BYTES = 8_000

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions() -> list[tuple[str, Function]]:
    return [
        (f"{relative_name(file)}:{node.name}", node)
        for file in product_files()
        for node in ast.walk(syntax_tree(file))
        if isinstance(node, Function)
    ]


def _body_lines(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_a_folder_holds_about_twelve_files():
    modules = [file for file in product_files() if file.name != "__init__.py"]
    counts = Counter(relative_name(file.parent) for file in modules)
    assert {folder: n for folder, n in counts.items() if n > MAX_FILES.get(folder, MAX_FILES_ELSEWHERE)} == {}


def test_no_function_is_longer_than_a_page():
    assert [name for name, node in _functions() if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES] == []


def test_functions_are_short():
    lines = [_body_lines(node) for _, node in _functions()]
    assert median(lines) <= MAX_MEDIAN_BODY_LINES
    assert quantiles(lines, n=10)[-1] <= MAX_90TH_PERCENTILE_BODY_LINES


def test_the_readme_fits_on_a_few_screens():
    assert (ROOT / "README.md").stat().st_size <= MAX_README_BYTES
