"""Parity: the online store answers what the history holds, and a difference is found and named."""

from datetime import UTC
from pathlib import Path

import pandas as pd
import pytest

from configs.errors import DataError, NotReady
from features.publishing.consistency_check import compare_stores, refuse_differences
from features.publishing.pipeline import Days, publish
from features.store.feast_store import open_store
from features.store.publication import published_edition
from tests.support.growing_company import ACCOUNTS, TODAY, Company, found, silent


@pytest.fixture
def published(tmp_path: Path) -> Company:
    """The living company, published."""
    company = found(tmp_path / "living")
    publish(company.settings, company.state, Days(TODAY), silent)
    return company


def test_two_stores_filled_by_one_publish_agree(published: Company):
    parity = compare_stores(published.settings, published.state, most_accounts=1_000)
    assert (parity.accounts, parity.differences) == (len(ACCOUNTS), ())
    refuse_differences(parity)


def test_a_sample_is_spread_over_all_accounts(published: Company):
    assert compare_stores(published.settings, published.state, most_accounts=10).accounts == 10


def _plant(published: Company) -> list[str]:
    """Put other billing signals of one account online, with an older stamp; gives the signals' names."""
    place, as_of = published_edition(published.state)
    names = [one.name for one in place.families["billing"]]
    planted = {"account_id": [ACCOUNTS[7]], "event_timestamp": [as_of.replace(tzinfo=UTC) - pd.Timedelta(days=2)]}
    rows = pd.DataFrame({**planted, **{name: [123.0] for name in names}})
    open_store(published.state, published.settings.name).write_to_online_store("billing", rows)
    return names


def test_a_value_and_a_stamp_that_differ_online_are_found_and_named(published: Company):
    names = _plant(published)
    parity = compare_stores(published.settings, published.state, most_accounts=1_000)
    assert {(one.account_id, one.signal) for one in parity.differences} == {
        (ACCOUNTS[7], name) for name in [*names, "as_of"]
    }
    with pytest.raises(DataError, match=f"of account {ACCOUNTS[7]} is 123.0 online and .* in the history"):
        refuse_differences(parity)


def test_computing_the_day_again_mends_what_differs(published: Company):
    _plant(published)
    publish(published.settings, published.state, Days(TODAY, first=TODAY), silent)
    assert compare_stores(published.settings, published.state, most_accounts=1_000).differences == ()


def test_nothing_published_is_nothing_to_compare(tmp_path: Path):
    company = found(tmp_path / "living")
    with pytest.raises(NotReady):
        compare_stores(company.settings, company.state, most_accounts=10)
