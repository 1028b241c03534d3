"""Reading the online store without Feast: the same values that Feast reads, in one query."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from configs.errors import NotReady
from configs.files import write_json
from configs.state_dir import StateDir
from features.store.feast_store import FEATURE_SERVICE, open_store
from features.store.history import published_history
from features.store.online_reader import OnlineReader
from tests.support.paths import ROOT
from tests.support.trained_model import EXTRACT_END, TrainedModel
from training.data.training_set import snapshots_on


@pytest.fixture(scope="module")
def ids(trained: TrainedModel) -> list[str]:
    history, as_of = published_history(trained.state)
    return list(snapshots_on(history, [as_of]).account_id)


def _frame(signals) -> pd.DataFrame:
    columns, values = signals.values.columns, signals.values
    names = [*columns.numbers, *columns.categories]
    return pd.DataFrame({name: [values.value(name, row) for row in range(len(values))] for name in names})


def test_it_reads_the_same_values_as_feast(trained: TrainedModel, ids):
    store, account_ids = open_store(trained.state, trained.settings.name), [*ids[:40], "nobody"]
    expected = store.get_online_features(
        features=store.get_feature_service(FEATURE_SERVICE),
        entity_rows=[{"account_id": account_id} for account_id in account_ids],
    ).to_df()
    actual = _frame(OnlineReader(trained.state).read(account_ids))
    pd.testing.assert_frame_equal(actual, expected[actual.columns].astype(actual.dtypes), check_dtype=False)


def test_it_keeps_the_order_and_repeated_ids(trained: TrainedModel, ids):
    reader = OnlineReader(trained.state)
    account_ids = [*reversed(ids), ids[0], ids[0], "nobody"]
    signals = reader.read(account_ids)
    assert (len(signals.values), len(ids)) == (len(account_ids), 1222)
    for row in (0, 700, len(account_ids) - 3):
        single = reader.read([account_ids[row]])
        assert np.array_equal(single.values.numbers[0], signals.values.numbers[row], equal_nan=True)
    assert (signals.as_of[:-1] == np.datetime64(EXTRACT_END)).all()


def test_an_unknown_account_has_no_timestamp_and_no_values(trained: TrainedModel):
    signals = OnlineReader(trained.state).read(["nobody", "'; drop table billing; --", "é" * 5000])
    assert np.isnat(signals.as_of).all()
    assert np.isnat(signals.timestamps).all()
    assert np.isnan(signals.values.numbers).all()


def test_no_ids_give_no_rows(trained: TrainedModel):
    assert OnlineReader(trained.state).read([]).values.numbers.shape[0] == 0


def test_an_account_is_as_old_as_its_oldest_view(copy_state_part, trained: TrainedModel, ids):
    folder = copy_state_part("feast").parent
    publication = json.loads(trained.state.publication.read_text())
    write_json(folder / "published.json", publication)
    reader = OnlineReader(StateDir(folder))
    store = open_store(StateDir(folder), trained.settings.name)
    history, _ = published_history(trained.state)
    family = next(iter(history.families))
    row = {
        signal.name: pd.Series([None], dtype="float64" if signal.kind == "number" else "object")
        for signal in history.families[family]
    }
    early = pd.Timestamp("2023-06-01")
    store._get_provider().ingest_df(
        store.get_feature_view(family), pd.DataFrame({"account_id": [ids[0]], "event_timestamp": [early], **row})
    )
    signals = reader.read(ids[:2])
    assert list(signals.as_of) == [np.datetime64(early), np.datetime64(EXTRACT_END)]
    assert list(signals.timestamps[0]).count(np.datetime64(early)) == 1


def test_a_new_publish_is_seen_by_an_open_reader(copy_state_part, trained: TrainedModel, ids):
    folder = copy_state_part("feast").parent
    publication = json.loads(trained.state.publication.read_text())
    write_json(folder / "published.json", publication)
    reader = OnlineReader(StateDir(folder))
    assert reader.read(ids[:1]).published == EXTRACT_END
    write_json(folder / "published.json", {**publication, "as_of": "2023-07-02T00:00:00"})
    assert reader.read(ids[:1]).published.day == 2


def test_before_any_publish_it_is_not_ready(tmp_path):
    with pytest.raises(NotReady, match="Nothing has been published"):
        OnlineReader(StateDir(tmp_path)).read(["a"])


SCORE_IN_A_WORKER = """
import sys
from datetime import datetime
from pathlib import Path
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
import serving.service
from serving.scoring.scorer import open_scorer
settings = read_settings(Path(sys.argv[1]))
scorer = open_scorer(settings, open_state_dir(settings), lambda: datetime(2023, 7, 1))
reply = scorer.to_response(scorer.score_accounts([sys.argv[2]]), 3)
assert 0 < reply["scores"][0]["risk"] < 1
heavy = ("mlflow", "shap", "lightgbm", "feast", "pandas", "numba", "sklearn", "duckdb", "ibis", "pyarrow", "scipy")
print([name for name in heavy if name in sys.modules])
"""


def test_a_worker_imports_no_heavy_framework(trained: TrainedModel, ids):
    command = [sys.executable, "-c", SCORE_IN_A_WORKER, str(trained.config), ids[0]]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"
