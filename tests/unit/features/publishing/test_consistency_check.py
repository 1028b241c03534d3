"""The consistency check: the online store has the values of the history, and each difference is reported."""

from datetime import UTC
from pathlib import Path

import pandas as pd
import pytest

from configs.errors import DataError, NotReady
from features.publishing.consistency_check import compare_stores, raise_for_differences
from features.publishing.pipeline import PublishRequest, publish
from features.store.feast_store import open_store
from features.store.history import published_history
from tests.support.companies.growing_company import ACCOUNTS, TODAY, Company, create_company
from tests.support.progress import ignore_progress


def test_both_stores_of_a_publish_agree(published_company: Company):
    report = compare_stores(published_company.settings, published_company.state, max_accounts=1_000)
    assert (report.accounts, report.differences) == (len(ACCOUNTS), ())
    raise_for_differences(report)


def test_a_sample_is_spread_over_all_accounts(published_company: Company):
    assert compare_stores(published_company.settings, published_company.state, max_accounts=10).accounts == 10


def _write_wrong_values(published_company: Company) -> list[str]:
    """Write wrong billing signals of one account with an older timestamp to the online store; gives their names."""
    history, as_of = published_history(published_company.state)
    names = [signal.name for signal in history.families["billing"]]
    key = {"account_id": [ACCOUNTS[7]], "event_timestamp": [as_of.replace(tzinfo=UTC) - pd.Timedelta(days=2)]}
    rows = pd.DataFrame({**key, **{name: [123.0] for name in names}})
    open_store(published_company.state, published_company.settings.name).write_to_online_store("billing", rows)
    return names


def test_a_wrong_value_and_timestamp_are_reported(published_company: Company):
    names = _write_wrong_values(published_company)
    report = compare_stores(published_company.settings, published_company.state, max_accounts=1_000)
    assert {(difference.account_id, difference.signal) for difference in report.differences} == {
        (ACCOUNTS[7], name) for name in [*names, "as_of"]
    }
    with pytest.raises(DataError, match=f"of account {ACCOUNTS[7]} is 123.0 online and .* in the history"):
        raise_for_differences(report)


def test_a_backfill_repairs_differences(published_company: Company):
    _write_wrong_values(published_company)
    publish(
        published_company.settings, published_company.state, PublishRequest(TODAY, backfill_from=TODAY), ignore_progress
    )
    assert compare_stores(published_company.settings, published_company.state, max_accounts=1_000).differences == ()


def test_before_any_publish_it_is_not_ready(tmp_path: Path):
    company = create_company(tmp_path / "growing")
    with pytest.raises(NotReady):
        compare_stores(company.settings, company.state, max_accounts=10)
