"""From a folder of files to the first scores, or to what is missing for them."""

import csv
import json
import re

import pytest

from tests.support.companies.company_files import company_rows, write_company


@pytest.mark.slow
def test_quickstart_with_too_few_churners_counts_them_and_gives_a_health_score(oarlock, tmp_path):
    folder = write_company(tmp_path / "acme", company_rows())
    result = oarlock("quickstart", str(folder), "--yes")
    assert result.code == 4
    assert "No horizon of 30, 60, 90, 180, 365 days would do" in result.err
    assert re.search(r"90 days +609 +18 +7 +11", result.out)  # snapshots, accounts, of the fit, of the calibration
    assert "It is not a risk" in result.out
    with (folder / "health.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert all(sum(int(row[name] or 0) for name in list(row)[2:]) == int(row["health_score"]) for row in rows)
    report = json.loads(oarlock("--config", str(folder / "acme.toml"), "health-score", "--json").out)
    assert report["is_risk"] is False
    assert [account["health_score"] for account in report["accounts"]] == [int(row["health_score"]) for row in rows]
    again = oarlock("quickstart", str(folder), "--yes")
    assert "Used: " in again.out
    assert "assumption" in again.out
