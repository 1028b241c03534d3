"""The as-of join: what Feast's own join in time answers, without joining a snapshot with all its past."""

from datetime import datetime, timedelta

import pandas as pd
import pytest
from feast import FeatureStore, RepoConfig

from features.publishing.pipeline import Days, publish
from features.store.feast_store import open_store, read_history
from tests.support.growing_company import ACCOUNTS, TODAY, Company, found, silent

FIRST = datetime(2023, 5, 1)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The living company, published."""
    company = found(tmp_path_factory.mktemp("asof") / "living")
    publish(company.settings, company.state, Days(TODAY), silent)
    return company


def _asked(*pairs: tuple[str, datetime]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["account_id", "as_of"]).astype({"as_of": "datetime64[us]"})


def _read(company: Company, asked: pd.DataFrame) -> pd.DataFrame:
    return read_history(open_store(company.state, company.settings.name), asked)


def _feasts_own(company: Company) -> FeatureStore:
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


def test_it_answers_what_feasts_own_join_answers(published: Company):
    days = [FIRST - timedelta(days=1), FIRST, FIRST + timedelta(days=17), TODAY, TODAY + timedelta(days=400)]
    asked = _asked(*((account, day) for day in days for account in ["nobody", *ACCOUNTS[::-7]]))
    pd.testing.assert_frame_equal(_read(published, asked), read_history(_feasts_own(published), asked))


class Lossy:
    """A store whose join loses the snapshot at one place, as joins of Feast were seen to do."""

    def __init__(self, store: FeatureStore, lost: int) -> None:
        self.store, self.lost = store, lost

    def get_feature_service(self, name: str):
        return self.store.get_feature_service(name)

    def get_historical_features(self, entity_df: pd.DataFrame, features):
        return self.store.get_historical_features(entity_df=entity_df.drop(index=self.lost), features=features)


def test_a_snapshot_that_a_join_loses_comes_back_empty_and_moves_no_other(published: Company):
    asked = _asked(*((account, TODAY) for account in ACCOUNTS[:4]))
    whole = _read(published, asked)
    rows = read_history(Lossy(open_store(published.state, published.settings.name), 1), asked)  # type: ignore[arg-type]
    assert rows.drop(columns=["account_id", "as_of"]).iloc[1].isna().all()
    pd.testing.assert_frame_equal(rows.drop(index=1), whole.drop(index=1), check_dtype=False)


def test_it_answers_in_the_order_asked_a_snapshot_asked_twice_twice(published: Company):
    asked = _asked((ACCOUNTS[3], TODAY), (ACCOUNTS[1], FIRST), (ACCOUNTS[3], TODAY))
    rows = _read(published, asked)
    pd.testing.assert_frame_equal(rows[["account_id", "as_of"]], asked)
    assert rows.events_28d.notna().all()


def test_it_knows_nothing_before_the_first_day(published: Company):
    rows = _read(published, _asked((ACCOUNTS[0], FIRST - timedelta(days=1))))
    assert rows.drop(columns=["account_id", "as_of"]).isna().all(axis=None)
