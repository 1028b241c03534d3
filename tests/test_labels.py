"""Labels: who churned, who stayed, and whose answer is not known."""

from datetime import datetime

import pandas as pd
import pytest

from configs.settings import LabelSettings
from tests.conftest import raw_tables, subscription
from training.labels import departures, label_hash, labelled

START = datetime(2023, 1, 1)
LABEL = LabelSettings(lead_days=0, horizon_days=30, grace_days=10)
LONG_AFTER = datetime(2024, 1, 1)


def _departures(*rows: dict, label: LabelSettings = LABEL) -> list[str]:
    found = departures(raw_tables(subscriptions=list(rows)), label)
    return [f"{row.left_at:%Y-%m-%d}" for row in found.itertuples()]


def _label(as_of: str, left_at: str | None, label: LabelSettings = LABEL, known_until: datetime = LONG_AFTER) -> float:
    snapshots = pd.DataFrame({"account_id": ["a"], "as_of": [pd.Timestamp(as_of)]}).astype({"as_of": "datetime64[us]"})
    left = pd.DataFrame({"account_id": ["a"], "left_at": [pd.Timestamp(left_at or "NaT")]}).dropna()
    return labelled(snapshots, left, label, known_until).iloc[0]


def test_an_account_leaves_when_its_last_subscription_ends():
    plan = subscription("a", START, datetime(2023, 3, 1))
    add_on = subscription("a", datetime(2023, 2, 1), datetime(2023, 4, 1))
    assert _departures(plan, add_on) == ["2023-04-01"]


def test_an_account_that_still_runs_has_not_left():
    assert _departures(subscription("a", START)) == []


@pytest.mark.parametrize(("back", "left"), [("2023-03-11", []), ("2023-03-12", ["2023-03-01"])])
def test_a_return_within_the_grace_is_no_departure(back, left):
    again = subscription("a", datetime.fromisoformat(back))
    assert _departures(subscription("a", START, datetime(2023, 3, 1)), again) == left


def test_a_renewal_is_no_departure_without_any_grace():
    rows = subscription("a", START, datetime(2023, 2, 1)), subscription("a", datetime(2023, 2, 1))
    assert _departures(*rows, label=LabelSettings(grace_days=0)) == []


def test_a_long_subscription_covers_short_ones_inside_it():
    long = subscription("a", START)
    assert _departures(long, subscription("a", datetime(2023, 2, 1), datetime(2023, 3, 1))) == []


@pytest.mark.parametrize(
    ("left_at", "answer"),
    [("2023-06-01", 1.0), ("2023-06-30", 1.0), ("2023-07-01", 0.0), (None, 0.0)],
)
def test_leaving_inside_the_horizon_is_churn(left_at, answer):
    assert _label("2023-06-01", left_at) == answer


def test_leaving_before_the_horizon_begins_has_no_answer():
    assert pd.isna(_label("2023-06-01", "2023-06-05", LabelSettings(lead_days=7, horizon_days=30, grace_days=0)))


@pytest.mark.parametrize(("known_until", "is_known"), [("2023-07-11", True), ("2023-07-10", False)])
def test_an_answer_is_known_once_horizon_and_grace_have_passed(known_until, is_known):
    assert pd.notna(_label("2023-06-01", None, known_until=datetime.fromisoformat(known_until))) is is_known


def test_another_label_has_another_hash():
    assert label_hash(LABEL) != label_hash(LabelSettings(lead_days=0, horizon_days=31, grace_days=10))
