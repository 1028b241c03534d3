"""An empty folder for the exports of vendors, and exports that are drafted once for all tests."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from features.drafting.draft import Draft
from tests.support.companies.vendor_exports import write_exports
from tests.support.vendors.drafted_exports import DraftedExports, UnchangedExports


@pytest.fixture
def exports(tmp_path: Path) -> DraftedExports:
    """The folder, and what is drafted from it."""
    return DraftedExports(tmp_path)


@pytest.fixture(scope="session")
def drafted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[UnchangedExports, Draft]]:
    """The exports of vendors, which no test changes, as CSV or as Parquet, and what is drafted from them."""

    @cache
    def draft(*vendors: str, is_typed: bool = False) -> tuple[UnchangedExports, Draft]:
        exports = UnchangedExports(tmp_path_factory.mktemp("exports"))
        write_exports(exports.folder, *vendors)
        if is_typed:
            exports.to_parquet()
        return exports, exports.draft(*vendors)

    return draft
