"""A simulated company in the shape of each vendor: its ready mapping gives the contracts and events back."""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path

import duckdb
import pytest

from benchmarks.ready_mappings.contracts import mapped_contracts, simulated_contracts
from benchmarks.ready_mappings.vendor_shapes import SHAPES, write_vendor_exports
from features.ready.part import part_names
from features.simulator.model.parameters import Company
from features.simulator.writer import write_company
from tests.support.vendors.drafted_exports import UnchangedExports

END = datetime(2025, 3, 1)
# Each vendor beside a billing system, and no two that give the same table.
FIRST, SECOND, THIRD = "stripe,zendesk,nps,segment", "stripe,intercom,delighted,posthog", "stripe,vitally,amplitude"


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "company"
    write_company(Company(accounts=120, months=8, futures=2), folder)
    return folder


@pytest.fixture(scope="module")
def drafted(company: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], UnchangedExports]:
    """The exports of vendors, separated by commas, with the mapping that is drafted from them once."""

    @cache
    def draft(vendors: str) -> UnchangedExports:
        exports = UnchangedExports(tmp_path_factory.mktemp("exports"))
        write_vendor_exports(company, exports.folder, vendors.split(","))
        exports.draft(*vendors.split(","))
        return exports

    return draft


def count(company, table: str, condition: str = "true") -> int:
    """The rows of a simulated table."""
    files = f"read_parquet('{company}/{table}/*.parquet')"
    return duckdb.sql(f"select count(*) from {files} where {condition}").fetchall()[0][0]


@pytest.mark.parametrize("vendors", [FIRST, "chargebee", "recurly", "hubspot", "salesforce"])
def test_mapped_contracts_equal_the_simulated_ones(company, drafted, tmp_path, vendors):
    exports = drafted(vendors)
    expected = simulated_contracts(company, END)
    assert expected.left > 0
    assert mapped_contracts(exports.folder / "mapping.toml", tmp_path / "converted", END) == expected


@pytest.mark.parametrize(
    ("vendors", "table", "condition"),
    [
        ("hubspot", "tickets", "true"),
        ("hubspot", "touches", "true"),
        ("salesforce", "tickets", "true"),
        (FIRST, "tickets", "true"),  # of zendesk
        (SECOND, "tickets", "true"),  # of intercom
        (THIRD, "touches", "true"),  # of vitally
        (FIRST, "surveys", "kind = 'nps'"),  # of nps
        (SECOND, "surveys", "answered_at is not null"),  # of delighted
    ],
)
def test_every_simulated_row_arrives_with_its_account(company, drafted, vendors, table, condition):
    exports = drafted(vendors)
    rows = exports.rows(table, "account_id")
    assert len(rows) == count(company, table, condition) > 0
    assert exports.violations() == []


@pytest.mark.parametrize(("vendors", "vendor"), [(FIRST, "segment"), (SECOND, "posthog"), (THIRD, "amplitude")])
def test_events_of_people_arrive_once(drafted, vendors, vendor):
    exports = drafted(vendors)
    lines = (exports.folder / vendor / f"{next(iter(SHAPES[vendor]))}.csv").read_text("utf-8").count("\n") - 1
    assert len(exports.rows("usage", "account_id")) == lines > 0


def test_every_ready_mapping_has_a_shape():
    assert sorted(SHAPES) == part_names()
