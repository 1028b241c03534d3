"""A label query on the shipped extract: one that says what a mode says gives the labels of that mode."""

import pandas as pd

from configs.settings import LabelSettings
from features.publishing.pipeline import open_dataset
from features.store.history import complete_days
from tests.support.trained_model import EXTRACT_END, TrainedModel
from training.data.training_set import snapshots_on
from training.labels.build import build_labels

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
