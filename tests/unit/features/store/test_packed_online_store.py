"""The packed online store: its fast read gives the same values as Feast's own read."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pydantic import SecretStr

from configs.sections.stores import StoreSettings
from configs.state_dir import StateDir
from features.store.feast_store import (
    FEATURE_SERVICE,
    KEPT_MATERIALIZATIONS,
    apply_declarations,
    materialize_online,
    open_store,
    read_historical_signals,
    read_online_signals,
)
from features.store.history import published_history
from tests.support.trained_model import EXTRACT_END, TrainedModel
from training.data.training_set import snapshots_on


@pytest.fixture(scope="module")
def store(trained: TrainedModel):
    history, _ = published_history(trained.state)
    opened = open_store(trained.state, trained.settings.name)
    apply_declarations(opened, history, trained.state)  # the state folder is a copy: the history is elsewhere now
    return opened


@pytest.fixture(scope="module")
def published(trained: TrainedModel) -> pd.DataFrame:
    history, as_of = published_history(trained.state)
    return snapshots_on(history, [as_of])


def test_online_values_equal_the_history(store, published):
    offline = read_historical_signals(store, published).drop(columns=["account_id", "as_of"])
    online = read_online_signals(store, list(published.account_id))
    assert (online.as_of == np.datetime64(EXTRACT_END)).all()
    pd.testing.assert_frame_equal(online.values[offline.columns], offline, check_dtype=False)


def test_the_fast_read_equals_feasts_own(store, published):
    ids = [*published.account_id.head(20), "nobody"]
    expected = store.get_online_features(
        features=store.get_feature_service(FEATURE_SERVICE),
        entity_rows=[{"account_id": account_id} for account_id in ids],
    ).to_df()
    fast = read_online_signals(store, ids).values
    pd.testing.assert_frame_equal(fast, expected[fast.columns].astype(fast.dtypes), check_dtype=False)


def test_an_unpublished_account_has_no_timestamp(store):
    signals = read_online_signals(store, ["nobody"])
    assert np.isnat(signals.as_of).all()
    assert signals.values.isna().all(axis=None)


def test_many_accounts_keep_their_order(store, published):
    ids = list(published.account_id.sample(frac=1, random_state=0))
    assert len(ids) > 900
    tenure = read_online_signals(store, ids).values.tenure
    single = [read_online_signals(store, [account_id]).values.tenure[0] for account_id in ids[::200]]
    assert list(tenure[::200]) == single


def test_a_value_written_by_feast_is_read_by_the_fast_read(trained: TrainedModel, tmp_path):
    history, _ = published_history(trained.state)
    state = type(trained.state)(tmp_path)
    store = open_store(state, "other")
    apply_declarations(store, history, state)
    row = {"account_id": "new", "event_timestamp": datetime(2023, 7, 2), "mrr": 12.5}
    missing = {signal.name: np.nan for signal in history.families["billing"] if signal.name != "mrr"}
    store.write_to_online_store("billing", pd.DataFrame([{**row, **missing}]))
    signals = read_online_signals(store, ["new"])
    assert (signals.values.mrr[0], signals.as_of[0]) == (12.5, np.datetime64("2023-07-02"))
    assert np.isnan(signals.values.discount[0])


def test_materialising_again_changes_nothing(store, published):
    before = read_online_signals(store, list(published.account_id)).values
    materialize_online(store, EXTRACT_END)
    pd.testing.assert_frame_equal(read_online_signals(store, list(published.account_id)).values, before)


def test_a_registry_in_a_database_keeps_the_newest_materializations_only(trained: TrainedModel, tmp_path):
    history, _ = published_history(trained.state)
    state = StateDir(tmp_path, StoreSettings(feast_registry=SecretStr(f"sqlite:///{tmp_path / 'registry.db'}")))
    store = open_store(state, "other")
    apply_declarations(store, history, state)
    past = [EXTRACT_END.replace(tzinfo=UTC) - timedelta(days=day) for day in range(2 * KEPT_MATERIALIZATIONS, 0, -1)]
    view = store.get_feature_view("billing")
    view.materialization_intervals = [(day, day) for day in past[1:]]
    store.registry.apply_feature_view(view, store.project)
    materialize_online(store, EXTRACT_END)
    kept = store.get_feature_view("billing").materialization_intervals
    assert len(kept) == KEPT_MATERIALIZATIONS
    assert kept[-1][1] == EXTRACT_END.replace(tzinfo=UTC)
    account_ids = list(snapshots_on(history, [EXTRACT_END]).account_id[:1])
    assert read_online_signals(store, account_ids).as_of[0] == np.datetime64(EXTRACT_END)
