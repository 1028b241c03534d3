"""Departures: which accounts churned, which stayed, and which labels are unknown."""

from datetime import datetime

import pandas as pd
import pytest

from configs.sections.label import LabelSettings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from tests.support.companies.raw_tables import account, raw_tables, subscription
from training.data.training_set import LOCKED_IN, build_training_set
from training.labels.departures import find_departures, label_departures

START = datetime(2023, 1, 1)
LABEL = LabelSettings(lead_days=0, horizon_days=30, grace_days=10)
LONG_AFTER = datetime(2024, 1, 1)


def departure_days(*rows: dict, label: LabelSettings = LABEL) -> list[str]:
    departures = find_departures(raw_tables(subscriptions=list(rows)), label)
    return [f"{left_at:%Y-%m-%d}" for left_at in departures.left_at]


def label_of(
    as_of: str, left_at: str | None, label: LabelSettings = LABEL, known_until: datetime = LONG_AFTER
) -> float:
    snapshots = pd.DataFrame({"account_id": ["a"], "as_of": [pd.Timestamp(as_of)]}).astype({"as_of": "datetime64[us]"})
    departures = pd.DataFrame({"account_id": ["a"], "left_at": [pd.Timestamp(left_at or "NaT")]}).dropna()
    return label_departures(snapshots, departures, label, known_until).iloc[0]


def test_an_account_leaves_when_its_last_subscription_ends():
    plan = subscription("a", START, datetime(2023, 3, 1))
    add_on = subscription("a", datetime(2023, 2, 1), datetime(2023, 4, 1))
    assert departure_days(plan, add_on) == ["2023-04-01"]


def test_an_account_with_a_running_subscription_has_not_left():
    assert departure_days(subscription("a", START)) == []


@pytest.mark.parametrize(("back", "left"), [("2023-03-11", []), ("2023-03-12", ["2023-03-01"])])
def test_a_return_within_the_grace_is_no_departure(back, left):
    returned = subscription("a", datetime.fromisoformat(back))
    assert departure_days(subscription("a", START, datetime(2023, 3, 1)), returned) == left


def test_a_renewal_is_no_departure_without_any_grace():
    rows = subscription("a", START, datetime(2023, 2, 1)), subscription("a", datetime(2023, 2, 1))
    assert departure_days(*rows, label=LabelSettings(grace_days=0)) == []


def test_a_long_subscription_covers_a_short_one():
    long = subscription("a", START)
    assert departure_days(long, subscription("a", datetime(2023, 2, 1), datetime(2023, 3, 1))) == []


@pytest.mark.parametrize(
    ("left_at", "churned"),
    [("2023-06-01", 1.0), ("2023-06-30", 1.0), ("2023-07-01", 0.0), (None, 0.0)],
)
def test_a_departure_inside_the_horizon_is_churn(left_at, churned):
    assert label_of("2023-06-01", left_at) == churned


def test_a_departure_before_the_horizon_has_no_label():
    assert pd.isna(label_of("2023-06-01", "2023-06-05", LabelSettings(lead_days=7, horizon_days=30, grace_days=0)))


@pytest.mark.parametrize(("known_until", "is_known"), [("2023-07-11", True), ("2023-07-10", False)])
def test_a_label_is_known_after_horizon_and_grace(known_until, is_known):
    assert pd.notna(label_of("2023-06-01", None, known_until=datetime.fromisoformat(known_until))) is is_known


@pytest.mark.parametrize(
    ("as_of", "left_at", "churned"),
    [
        ("2023-01-15", "2023-04-14", 1.0),  # three months have 90 days here
        ("2023-01-15", "2023-04-15", 0.0),
        ("2023-06-15", "2023-09-14", 1.0),  # and 92 days here
        ("2023-06-15", "2023-09-15", 0.0),
        ("2023-11-30", "2024-02-28", 1.0),  # there is no February 30th: the horizon ends with the month
        ("2023-11-30", "2024-02-29", 0.0),
    ],
)
def test_a_horizon_of_months_ends_on_the_same_day_of_a_later_month(as_of, left_at, churned):
    label = LabelSettings(horizon_months=3, grace_days=0)
    assert label_of(as_of, left_at, label, known_until=datetime(2024, 6, 1)) == churned


@pytest.mark.parametrize(("known_until", "is_known"), [("2023-04-25", True), ("2023-04-24", False)])
def test_a_label_within_months_is_known_after_these_months_and_the_grace(known_until, is_known):
    label = LabelSettings(horizon_months=3, grace_days=10)
    assert pd.notna(label_of("2023-01-15", None, label, datetime.fromisoformat(known_until))) is is_known


@pytest.mark.parametrize(
    ("locked_in_accounts", "terms_can_break", "excluded"),
    [("auto", False, 4), ("auto", True, 0), ("exclude", True, 4), ("keep", False, 0)],
)
def test_locked_in_accounts_are_excluded_as_the_settings_say(
    oarlock, make_company, locked_in_accounts, terms_can_break, excluded
):
    """Four accounts have paid until 2024-06; if terms can be broken, one of them leaves all the same."""
    names, paid_until = [f"a{n}" for n in range(8)], datetime(2024, 6, 1)
    ends = {"a0" if terms_can_break else "a7": datetime(2023, 6, 15)}
    config = make_company(
        f'[label]\nhorizon_days = 60\ngrace_days = 0\nlocked_in_accounts = "{locked_in_accounts}"\n',
        accounts=[account(name, datetime(2022, 1, 1)) for name in names],
        subscriptions=[
            subscription(name, datetime(2022, 1, 1), ends.get(name), renews_at=paid_until if name < "a4" else None)
            for name in names
        ],
    )
    assert oarlock("publish", config=config).code == 0
    settings = read_settings(config)
    training_set = build_training_set(settings, open_state_dir(settings), datetime(2024, 1, 1))
    first_day = training_set.rows[training_set.rows.as_of == training_set.days[0]]
    assert len(first_day) == 8 - excluded
    assert (training_set.excluded.get(LOCKED_IN, 0) > 0) == (excluded > 0)
