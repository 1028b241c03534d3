"""An empty folder for the exports of vendors."""

from pathlib import Path

import pytest

from tests.support.vendors.drafted_exports import DraftedExports


@pytest.fixture
def exports(tmp_path: Path) -> DraftedExports:
    """The folder, and what is drafted from it."""
    return DraftedExports(tmp_path)
