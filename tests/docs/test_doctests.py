"""The examples in docstrings give what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = ("cli", "configs", "docs", "features", "training", "serving", "monitoring", "tests/support")
MODULES = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for package in PACKAGES
    for file in sorted(Path(ROOT / package).rglob("*.py"))
    if ">>> " in file.read_text("utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_give_what_they_show(name: str):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
