"""Reading the online store without Feast: the very values that Feast reads, all in one read."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from configs.errors import NotReady
from configs.files import write_json
from configs.state_dir import State
from features.store.feast_store import SERVICE, open_store
from features.store.online_reader import OnlineReader
from features.store.publication import published_edition
from tests.conftest import EXTRACT_ENDS, ROOT
from training.data.training_set import snapshots_on


@pytest.fixture(scope="module")
def ids(trained) -> list[str]:
    place, as_of = published_edition(trained.state)
    return list(snapshots_on(place, [as_of]).account_id)


def _frame(found) -> pd.DataFrame:
    columns, values = found.values.columns, found.values
    names = [*columns.numbers, *columns.categories]
    return pd.DataFrame({name: [values.value(name, row) for row in range(len(values))] for name in names})


def test_it_reads_what_feast_reads(trained, ids):
    store, asked = open_store(trained.state, trained.settings.name), [*ids[:40], "nobody"]
    own = store.get_online_features(
        features=store.get_feature_service(SERVICE), entity_rows=[{"account_id": one} for one in asked]
    ).to_df()
    found = _frame(OnlineReader(trained.state).read(asked))
    pd.testing.assert_frame_equal(found, own[found.columns].astype(found.dtypes), check_dtype=False)


def test_it_keeps_the_order_and_the_repetitions_of_many_ids(trained, ids):
    reader = OnlineReader(trained.state)
    asked = [*reversed(ids), ids[0], ids[0], "nobody"]
    found = reader.read(asked)
    assert (len(found.values), len(ids)) == (len(asked), 1222)
    for place in (0, 700, len(asked) - 3):
        alone = reader.read([asked[place]])
        assert np.array_equal(alone.values.numbers[0], found.values.numbers[place], equal_nan=True)
    assert (found.as_of[:-1] == np.datetime64(EXTRACT_ENDS)).all()


def test_an_unknown_account_has_no_instant_and_no_values(trained):
    found = OnlineReader(trained.state).read(["nobody", "'; drop table billing; --", "é" * 5000])
    assert np.isnat(found.as_of).all()
    assert np.isnat(found.stamps).all()
    assert np.isnan(found.values.numbers).all()


def test_no_ids_are_no_rows(trained):
    assert OnlineReader(trained.state).read([]).values.numbers.shape[0] == 0


def test_an_account_is_as_old_as_its_oldest_view(own_copy, trained, ids):
    folder = own_copy("feast").parent
    note = json.loads(trained.state.published.read_text())
    write_json(folder / "published.json", note)
    reader = OnlineReader(State(folder))
    store = open_store(State(folder), trained.settings.name)
    place, _ = published_edition(trained.state)
    family = next(iter(place.families))
    row = {
        one.name: pd.Series([None], dtype="float64" if one.kind == "number" else "object")
        for one in place.families[family]
    }
    early = pd.Timestamp("2023-06-01")
    store._get_provider().ingest_df(
        store.get_feature_view(family), pd.DataFrame({"account_id": [ids[0]], "event_timestamp": [early], **row})
    )
    found = reader.read(ids[:2])
    assert list(found.as_of) == [np.datetime64(early), np.datetime64(EXTRACT_ENDS)]
    assert list(found.stamps[0]).count(np.datetime64(early)) == 1


def test_a_new_publish_is_seen_by_an_open_reader(own_copy, trained, ids):
    folder = own_copy("feast").parent
    note = json.loads(trained.state.published.read_text())
    write_json(folder / "published.json", note)
    reader = OnlineReader(State(folder))
    assert reader.read(ids[:1]).published == EXTRACT_ENDS
    write_json(folder / "published.json", {**note, "as_of": "2023-07-02T00:00:00"})
    assert reader.read(ids[:1]).published.day == 2


def test_nothing_published_is_said(tmp_path):
    with pytest.raises(NotReady, match="Nothing has been published"):
        OnlineReader(State(tmp_path)).read(["a"])


LEAN = """
import sys
from datetime import datetime
from pathlib import Path
from configs.settings import read_settings
from configs.state_dir import open_state
import serving.service
from serving.scoring.scorer import Scorer
settings = read_settings(Path(sys.argv[1]))
scorer = Scorer(settings, open_state(settings), lambda: datetime(2023, 7, 1))
reply = scorer.to_response(scorer.score_accounts([sys.argv[2]]), 3)
assert 0 < reply["scores"][0]["risk"] < 1
heavy = ("mlflow", "shap", "lightgbm", "feast", "pandas", "numba", "sklearn", "duckdb", "ibis", "pyarrow", "scipy")
print([name for name in heavy if name in sys.modules])
"""


def test_a_worker_scores_without_the_heavy_frameworks(trained, ids):
    command = [sys.executable, "-c", LEAN, str(trained.config), ids[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
