"""A label query on the shipped extract: one that says what a mode says gives the labels of that mode."""

from datetime import datetime
from pathlib import Path

import pandas as pd

from configs.sections.label import LabelSettings
from features.publishing.open_dataset import open_dataset
from features.store.history import complete_days
from monitoring.outcomes.answers import follow_served_accounts
from serving.ledger.ledger import Ledger
from serving.scoring.batch import open_batch
from serving.scoring.scorer import open_scorer
from tests.support.ledger_rows import source_at
from tests.support.trained_model import EXTRACT_END, TrainedModel
from training.data.training_set import snapshots_on
from training.labels.build import build_labels
from training.labels.definition import label_hash

LAST_PERIOD_ENDS = """
-- a period ends in the horizon, and no other one runs then
select s.account_id, s.as_of, exists (
  select 1 from subscriptions p where p.account_id = s.account_id and p.ended_at >= s.begins and not exists (
    select 1 from subscriptions q
    where q.account_id = p.account_id and q.started_at <= p.ended_at and coalesce(q.ended_at > p.ended_at, true))
) as churned from snapshots s
"""


def test_a_query_for_the_end_of_the_last_contract_gives_the_labels_of_the_mode_contract(trained: TrainedModel):
    opened = open_dataset(trained.settings, trained.state)
    snapshots = snapshots_on(opened.history, complete_days(opened.history))
    asked = LabelSettings(mode="query", query=LAST_PERIOD_ENDS, horizon_days=60)
    by_mode = build_labels(opened.tables, snapshots, trained.settings.label, EXTRACT_END)
    by_query = build_labels(opened.tables, snapshots, asked, EXTRACT_END)
    assert {0.0, 1.0} <= set(by_mode)
    pd.testing.assert_series_equal(by_query, by_mode)


def test_the_outcomes_of_served_risks_are_the_answers_of_the_query(trained: TrainedModel, tmp_path: Path):
    asked = LabelSettings(mode="query", query=LAST_PERIOD_ENDS, horizon_days=60)
    settings, served_on = trained.settings.model_copy(update={"label": asked}), datetime(2023, 5, 1)
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db")
    scorer = open_scorer(trained.settings, trained.state, lambda: EXTRACT_END, Ledger(tmp_path / "scratch.db"))
    scores = open_batch(trained.state, scorer, [], served_on).score_all(0)["scores"]
    ledger.append(scores, {**source_at(served_on), "label_hash": label_hash(asked)})
    opened = open_dataset(settings, trained.state)
    followed = follow_served_accounts(opened, settings, ledger, EXTRACT_END).rows
    snapshots = pd.DataFrame({"account_id": [score["account_id"] for score in scores], "as_of": served_on})
    expected = build_labels(opened.tables, snapshots.astype({"as_of": "datetime64[us]"}), asked, EXTRACT_END)
    assert followed["churned"].value_counts().to_dict() == expected.value_counts().to_dict()
    assert set(expected) == {0.0, 1.0}
