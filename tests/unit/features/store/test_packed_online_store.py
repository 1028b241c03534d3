"""The packed online store: the same answers as Feast's own reading path, and nothing lost on the way."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from features.store.feast_store import SERVICE, apply_declarations, materialise, open_store, read_history, read_online
from features.store.publication import published_edition
from tests.conftest import EXTRACT_ENDS
from training.data.training_set import snapshots_of


@pytest.fixture(scope="module")
def store(trained):
    return open_store(trained.state, trained.settings.name)


@pytest.fixture(scope="module")
def published(trained) -> pd.DataFrame:
    place, as_of = published_edition(trained.state)
    return snapshots_of(place, [as_of])


def test_online_equals_the_history_value_by_value(store, published):
    offline = read_history(store, published).drop(columns=["account_id", "as_of"])
    online = read_online(store, list(published.account_id))
    assert (online.as_of == np.datetime64(EXTRACT_ENDS)).all()
    pd.testing.assert_frame_equal(online.values[offline.columns], offline, check_dtype=False)


def test_the_fast_path_equals_feasts_own(store, published):
    ids = [*published.account_id.head(20), "nobody"]
    own = store.get_online_features(
        features=store.get_feature_service(SERVICE), entity_rows=[{"account_id": one} for one in ids]
    ).to_df()
    fast = read_online(store, ids).values
    pd.testing.assert_frame_equal(fast, own[fast.columns].astype(fast.dtypes), check_dtype=False)


def test_an_account_that_was_never_published_has_no_instant(store):
    found = read_online(store, ["nobody"])
    assert np.isnat(found.as_of).all()
    assert found.values.isna().all(axis=None)


def test_many_accounts_come_back_in_the_order_asked(store, published):
    ids = list(published.account_id.sample(frac=1, random_state=0))
    assert len(ids) > 900
    tenure = read_online(store, ids).values.tenure
    alone = [read_online(store, [one]).values.tenure[0] for one in ids[::200]]
    assert list(tenure[::200]) == alone


def test_a_value_written_through_feast_is_read_through_the_fast_path(trained, tmp_path):
    place, _ = published_edition(trained.state)
    state = type(trained.state)(tmp_path)
    store = open_store(state, "other")
    apply_declarations(store, place, state)
    row = {"account_id": "new", "event_timestamp": datetime(2023, 7, 2), "mrr": 12.5}
    missing = {one.name: np.nan for one in place.families["billing"] if one.name != "mrr"}
    store.write_to_online_store("billing", pd.DataFrame([{**row, **missing}]))
    found = read_online(store, ["new"])
    assert (found.values.mrr[0], found.as_of[0]) == (12.5, np.datetime64("2023-07-02"))
    assert np.isnan(found.values.discount[0])


def test_materialising_again_changes_nothing(store, published):
    before = read_online(store, list(published.account_id)).values
    materialise(store, EXTRACT_ENDS)
    pd.testing.assert_frame_equal(read_online(store, list(published.account_id)).values, before)
