"""Outcomes: the file that `export-outcomes` writes is always a raw table that `validate` takes."""

import json
from datetime import date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from serving.accounts.feedback_store import FeedbackStore
from serving.ledger.ledger import open_ledger
from serving.schemas.requests import OutcomeReport

NOW = datetime(2023, 12, 1)
TERMS = {"mrr": 10.0, "started_at": datetime(2023, 1, 1), "ended_at": None}
COMPANY = {
    "accounts": [{"account_id": name, "created_at": datetime(2023, 1, 1)} for name in ("a", "b", "c")],
    "subscriptions": [{"account_id": name, "subscription_id": name, **TERMS} for name in ("a", "b", "c")],
}


def report(account_id: str, day: date) -> OutcomeReport:
    """A departure, also one that older releases took and this one refuses."""
    return OutcomeReport.model_construct(
        account_id=account_id, outcome="left", on=day, reason="price\0", voluntary=None
    )


@pytest.mark.parametrize(
    ("reports", "exported"),
    [
        ([], []),
        ([report("a", date(2023, 6, 30)), report("a", date(2023, 6, 30)), report("b", date(2023, 7, 1))], ["a", "b"]),
        ([report("a", date(1, 1, 1)), report("b", date(9999, 12, 31)), report("c", date(2024, 6, 1))], []),
        ([report("nobody", date(2023, 6, 30)), report(" a", date(2023, 6, 30))], []),
    ],
    ids=["none", "repeated", "impossible days", "unknown accounts"],
)
def test_the_exported_file_is_valid(oarlock, make_company, tmp_path: Path, reports, exported):
    config = make_company(**COMPANY)
    settings = read_settings(config)
    if reports:
        FeedbackStore(open_ledger(settings, open_state_dir(settings))).save_outcomes(reports, NOW)
    notices = tmp_path / "data" / "notices.parquet"
    assert oarlock("export-outcomes", "--output", str(notices), config=config).code == 0
    assert pq.read_table(notices)["account_id"].to_pylist() == exported
    mapping = tmp_path / "acme-data.toml"
    mapping.write_text(mapping.read_text() + 'notices = "notices.parquet"\n')
    result = oarlock("validate", "--json", config=config)
    assert result.code == 0, result.err
    assert json.loads(result.out)
