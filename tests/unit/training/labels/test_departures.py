"""Labels: who churned, who stayed, and whose answer is not known."""

from datetime import datetime

import pandas as pd
import pytest

from configs.settings import LabelSettings, read_settings
from configs.state_dir import open_state
from tests.conftest import account, raw_tables, subscription
from training.data.training_set import build_panel
from training.labels.departures import departures, label_hash, label_departures

START = datetime(2023, 1, 1)
LABEL = LabelSettings(lead_days=0, horizon_days=30, grace_days=10)
LONG_AFTER = datetime(2024, 1, 1)


def _departures(*rows: dict, label: LabelSettings = LABEL) -> list[str]:
    found = departures(raw_tables(subscriptions=list(rows)), label)
    return [f"{row.left_at:%Y-%m-%d}" for row in found.itertuples()]


def _label(as_of: str, left_at: str | None, label: LabelSettings = LABEL, known_until: datetime = LONG_AFTER) -> float:
    snapshots = pd.DataFrame({"account_id": ["a"], "as_of": [pd.Timestamp(as_of)]}).astype({"as_of": "datetime64[us]"})
    left = pd.DataFrame({"account_id": ["a"], "left_at": [pd.Timestamp(left_at or "NaT")]}).dropna()
    return label_departures(snapshots, left, label, known_until).iloc[0]


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


@pytest.mark.parametrize(
    ("locked_in", "breaks", "left_out"),
    [("auto", False, 4), ("auto", True, 0), ("exclude", True, 4), ("keep", False, 0)],
)
def test_an_account_that_could_not_leave_is_no_negative(oarlock, company, locked_in, breaks, left_out):
    """Four accounts are paid until 2024-06; one of them leaves all the same where terms can be broken."""
    names, paid_until = [f"a{n}" for n in range(8)], datetime(2024, 6, 1)
    ends = {"a0": datetime(2023, 6, 15)} if breaks else {"a7": datetime(2023, 6, 15)}
    config = company(
        f'[label]\nhorizon_days = 60\ngrace_days = 0\nlocked_in_accounts = "{locked_in}"\n',
        accounts=[account(name, datetime(2022, 1, 1)) for name in names],
        subscriptions=[
            subscription(name, datetime(2022, 1, 1), ends.get(name), renews_at=paid_until if name < "a4" else None)
            for name in names
        ],
    )
    assert oarlock("publish", config=config).code == 0
    settings = read_settings(config)
    panel = build_panel(settings, open_state(settings), datetime(2024, 1, 1))
    on_first = panel.rows[panel.rows.as_of == panel.days[0]]
    assert len(on_first) == 8 - left_out
    assert (panel.dropped.get("could not leave inside the horizon", 0) > 0) == (left_out > 0)
