"""A simulated company in the shape of each vendor: its ready mapping gives the contracts and events back."""

from datetime import datetime

import duckdb
import pytest

from benchmarks.ready_mappings.contracts import mapped_contracts, simulated_contracts
from benchmarks.ready_mappings.vendor_shapes import SHAPES, write_vendor_exports
from features.ready.part import part_names
from features.simulator.model.parameters import Company
from features.simulator.writer import write_company
from tests.support.vendors.drafted_exports import DraftedExports

END = datetime(2025, 3, 1)


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "company"
    write_company(Company(accounts=120, months=8, futures=2), folder)
    return folder


def count(company, table: str, condition: str = "true") -> int:
    """The rows of a simulated table."""
    files = f"read_parquet('{company}/{table}/*.parquet')"
    return duckdb.sql(f"select count(*) from {files} where {condition}").fetchall()[0][0]


@pytest.mark.parametrize("vendor", ["stripe", "chargebee", "recurly", "hubspot", "salesforce"])
def test_mapped_contracts_equal_the_simulated_ones(company, tmp_path, vendor):
    exports = DraftedExports(tmp_path)
    write_vendor_exports(company, exports.folder, [vendor])
    exports.draft(vendor)
    expected = simulated_contracts(company, END)
    assert expected.left > 0
    assert mapped_contracts(exports.folder / "mapping.toml", tmp_path / "converted", END) == expected


@pytest.mark.parametrize(
    ("vendors", "table", "condition"),
    [
        ("hubspot", "tickets", "true"),
        ("hubspot", "touches", "true"),
        ("salesforce", "tickets", "true"),
        ("stripe,zendesk", "tickets", "true"),
        ("stripe,intercom", "tickets", "true"),
        ("stripe,vitally", "touches", "true"),
        ("stripe,nps", "surveys", "kind = 'nps'"),
        ("stripe,delighted", "surveys", "answered_at is not null"),
    ],
)
def test_every_simulated_row_arrives_with_its_account(company, tmp_path, vendors, table, condition):
    exports = DraftedExports(tmp_path)
    write_vendor_exports(company, exports.folder, vendors.split(","))
    exports.draft(*vendors.split(","))
    rows = exports.rows(table, "account_id")
    assert len(rows) == count(company, table, condition) > 0
    assert exports.violations() == []


@pytest.mark.parametrize("vendor", ["segment", "posthog", "amplitude"])
def test_events_of_people_arrive_once(company, tmp_path, vendor):
    exports = DraftedExports(tmp_path)
    write_vendor_exports(company, exports.folder, ["stripe", vendor])
    exports.draft("stripe", vendor)
    lines = (exports.folder / vendor / f"{next(iter(SHAPES[vendor]))}.csv").read_text("utf-8").count("\n") - 1
    assert len(exports.rows("usage", "account_id")) == lines > 0


def test_every_ready_mapping_has_a_shape():
    assert sorted(SHAPES) == part_names()
