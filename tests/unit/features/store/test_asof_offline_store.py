"""The as-of offline store gives the values of Feast's point-in-time join without reading all earlier rows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from feast import FeatureStore, RepoConfig

from features.store.feast_store import (
    materialize_online,
    open_store,
    read_historical_signals,
    read_online_signals,
)
from features.store.history import published_history
from features.store.online_reader import ONLINE_FILE, remove_online_store
from tests.support.companies.growing_company import ACCOUNTS, TODAY, Company

FIRST_DAY = datetime(2023, 5, 1)


@pytest.fixture
def published(published_once: Company) -> Company:
    """The growing company, published; no test changes it."""
    return published_once


def _snapshot_keys(*pairs: tuple[str, datetime]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["account_id", "as_of"]).astype({"as_of": "datetime64[us]"})


def _read(company: Company, keys: pd.DataFrame) -> pd.DataFrame:
    return read_historical_signals(open_store(company.state, company.settings.name), keys)


def _feast_store(company: Company) -> FeatureStore:
    """The same registry and history, with the offline store that Feast brings."""
    return FeatureStore(
        config=RepoConfig(
            project=company.settings.name,
            provider="local",
            registry=str(company.state.feast / "registry.db"),
            offline_store={"type": "duckdb"},
            online_store={"type": "sqlite", "path": str(company.state.feast / "none.db")},
            entity_key_serialization_version=3,
        )
    )


def test_it_agrees_with_feasts_own_join(published: Company):
    days = [
        FIRST_DAY - timedelta(days=1),
        FIRST_DAY,
        FIRST_DAY + timedelta(days=17),
        TODAY,
        TODAY + timedelta(days=400),
    ]
    keys = _snapshot_keys(*((account, day) for day in days for account in ["nobody", *ACCOUNTS[::-7]]))
    pd.testing.assert_frame_equal(_read(published, keys), read_historical_signals(_feast_store(published), keys))


def test_to_materialize_a_day_only_its_own_files_are_opened(published_company: Company):
    history, as_of = published_history(published_company.state)
    for file in history.folder.glob(f"days/{FIRST_DAY:%Y-%m-%d}/*.parquet"):
        file.write_bytes(b"not Parquet")
    store = open_store(published_company.state, published_company.settings.name)
    materialize_online(store, as_of)
    assert (read_online_signals(store, ACCOUNTS).as_of == np.datetime64(TODAY)).all()


def test_a_period_of_several_days_gives_the_newest_row(published_company: Company):
    store = open_store(published_company.state, published_company.settings.name)
    begin, end = FIRST_DAY.replace(tzinfo=UTC), datetime(2023, 7, 15, tzinfo=UTC)
    remove_online_store(published_company.state.feast / ONLINE_FILE)
    store.materialize(begin, end, disable_event_timestamp=False)
    assert (read_online_signals(store, ACCOUNTS).as_of == np.datetime64("2023-07-01")).all()


class LossyStore:
    """A store whose join loses the snapshot at index `lost`, as Feast's joins sometimes do."""

    def __init__(self, store: FeatureStore, lost: int) -> None:
        self.store, self.lost = store, lost

    def get_feature_service(self, name: str):
        return self.store.get_feature_service(name)

    def get_historical_features(self, entity_df: pd.DataFrame, features):
        return self.store.get_historical_features(entity_df=entity_df.drop(index=self.lost), features=features)


def test_a_snapshot_lost_by_a_join_comes_back_empty(published: Company):
    keys = _snapshot_keys(*((account, TODAY) for account in ACCOUNTS[:4]))
    expected = _read(published, keys)
    rows = read_historical_signals(LossyStore(open_store(published.state, published.settings.name), 1), keys)  # type: ignore[arg-type]
    assert rows.drop(columns=["account_id", "as_of"]).iloc[1].isna().all()
    pd.testing.assert_frame_equal(rows.drop(index=1), expected.drop(index=1), check_dtype=False)


def test_it_keeps_the_order_and_repeated_snapshots(published: Company):
    keys = _snapshot_keys((ACCOUNTS[3], TODAY), (ACCOUNTS[1], FIRST_DAY), (ACCOUNTS[3], TODAY))
    rows = _read(published, keys)
    pd.testing.assert_frame_equal(rows[["account_id", "as_of"]], keys)
    assert rows.events_28d.notna().all()


def test_it_has_no_values_before_the_first_day(published: Company):
    rows = _read(published, _snapshot_keys((ACCOUNTS[0], FIRST_DAY - timedelta(days=1))))
    assert rows.drop(columns=["account_id", "as_of"]).isna().all(axis=None)
