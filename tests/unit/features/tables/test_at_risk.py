"""Trials, pauses and free plans: who is at risk, who left, and the revenue of each, for every value of each setting."""

from dataclasses import replace
from datetime import datetime

import pandas as pd
import pytest
from pydantic import ValidationError

from configs.sections.label import LabelSettings
from features.compute.compute import compute_signals, select_snapshots
from features.publishing.revenue_table_builder import build_revenue_history
from features.retention.movements import measure_movement
from features.signals.registry import catalogue
from features.tables.raw_table import RawTable
from features.tables.subscriptions.at_risk import AtRiskCounts, count_at_risk, cut_subscriptions
from features.tables.subscriptions.periods import join_periods
from tests.support.companies.raw_tables import account, raw_tables, subscription
from training.labels.build import build_labels
from training.labels.definition import describe_label, label_hash
from training.labels.departures import find_departures

START, LONG_AFTER = datetime(2023, 1, 1), datetime(2025, 1, 1)
DEFAULT = LabelSettings(horizon_days=30, grace_days=10)
TRIALS = DEFAULT.model_copy(update={"trials_at_risk": True})
NO_PAUSES = DEFAULT.model_copy(update={"pauses_at_risk": False})
PAUSE_IS_DEPARTURE = NO_PAUSES.model_copy(update={"pause_is_departure": True})
NO_FREE_PLANS = DEFAULT.model_copy(update={"free_plans_at_risk": False})
MRR = tuple(signal for signal in catalogue() if signal.name in {"mrr", "tenure"})


def day(text: str) -> datetime:
    return datetime.fromisoformat(text)


def opened(label: LabelSettings, *rows: dict) -> dict[str, RawTable]:
    """The tables as every reader gets them."""
    accounts = [account(name) for name in sorted({row["account_id"] for row in rows})]
    tables = raw_tables(accounts=accounts, subscriptions=list(rows))
    cut = cut_subscriptions(tables["subscriptions"], label)
    joined = join_periods(cut.rows, label.joins_within_hours)
    return {**tables, "subscriptions": replace(cut, rows=joined)}


def mrr_of(tables: dict[str, RawTable], as_of: str) -> dict[str, float]:
    """The accounts at risk with their recurring revenue."""
    rows = compute_signals(tables, MRR, day(as_of)).to_pyarrow().to_pylist()
    assert sorted(row["account_id"] for row in rows) == sorted(
        select_snapshots(tables, day(as_of)).to_pyarrow()["account_id"].to_pylist()
    )
    return {row["account_id"]: row["mrr"] for row in rows}


def departures(tables: dict[str, RawTable], label: LabelSettings) -> list[tuple[str, str]]:
    left = find_departures(tables, label)
    return [(account_id, f"{at:%m-%d}") for account_id, at in zip(left.account_id, left.left_at, strict=True)]


def label_on(tables: dict[str, RawTable], label: LabelSettings, account_id: str, as_of: str) -> float:
    rows = pd.DataFrame({"account_id": [account_id], "as_of": [day(as_of)]}).astype({"as_of": "datetime64[us]"})
    return build_labels(tables, rows, label, LONG_AFTER).iloc[0]


# "paid" stays after its trial, "unpaid" ends within it, "runs" is still in it.
TRIAL_ROWS = (
    subscription("paid", START, trial_until=day("2023-01-15")),
    subscription("unpaid", START, day("2023-01-10"), trial_until=day("2023-01-15")),
    subscription("runs", START, trial_until=day("2023-02-15")),
)


@pytest.mark.parametrize(
    ("label", "in_trial", "at_its_end", "later", "left"),
    [
        (DEFAULT, {}, {}, {"paid": 100.0}, []),
        (
            TRIALS,
            {"paid": 0.0, "runs": 0.0, "unpaid": 0.0},
            {"paid": 0.0, "runs": 0.0},
            {"paid": 100.0, "runs": 0.0},
            [("unpaid", "01-10")],
        ),
    ],
)
def test_a_trial_is_at_risk_only_if_set_so(label, in_trial, at_its_end, later, left):
    tables = opened(label, *TRIAL_ROWS)
    assert mrr_of(tables, "2023-01-05") == in_trial
    assert mrr_of(tables, "2023-01-15") == at_its_end  # what starts on a day is known after it
    assert mrr_of(tables, "2023-01-16") == later
    assert departures(tables, label) == left


def test_a_trial_that_ends_unpaid_is_a_departure_of_a_snapshot_in_it():
    assert label_on(opened(TRIALS, *TRIAL_ROWS), TRIALS, "unpaid", "2023-01-05") == 1
    assert label_on(opened(TRIALS, *TRIAL_ROWS), TRIALS, "paid", "2023-01-05") == 0


def test_without_trials_a_customer_is_one_from_its_first_paid_day():
    rows = compute_signals(opened(DEFAULT, *TRIAL_ROWS), MRR, day("2023-01-25")).to_pyarrow().to_pylist()
    assert [row["tenure"] for row in rows] == [10]


def test_a_trial_of_another_plan_does_not_hide_that_the_paid_one_ended():
    rows = (
        subscription("a", START, day("2023-03-01"), plan="pro"),
        subscription("a", day("2023-02-20"), day("2023-03-20"), plan="team", trial_until=day("2023-03-20")),
    )
    assert departures(opened(DEFAULT, *rows), DEFAULT) == [("a", "03-01")]
    assert departures(opened(TRIALS, *rows), TRIALS) == [("a", "03-20")]


# "back" resumes, "gone" ends within its pause, "away" is still paused, and "two" has another subscription.
PAUSE = {"paused_from": day("2023-03-01"), "paused_until": day("2023-05-01")}
PAUSE_ROWS = (
    subscription("back", START, **PAUSE),
    subscription("gone", START, day("2023-04-01"), **PAUSE),
    subscription("away", START, paused_from=day("2023-03-01")),
    subscription("two", START, **PAUSE),
    subscription("two", datetime(2023, 1, 2), mrr=30.0),
)
ALL = {"back": 100.0, "gone": 100.0, "away": 100.0, "two": 130.0}


@pytest.mark.parametrize(
    ("label", "paused", "resumed", "left"),
    [
        (DEFAULT, ALL, {"back": 100.0, "away": 100.0, "two": 130.0}, [("gone", "04-01")]),
        (NO_PAUSES, {"two": 30.0}, {"back": 100.0, "two": 130.0}, [("gone", "04-01")]),
        (
            PAUSE_IS_DEPARTURE,
            {"two": 30.0},
            {"back": 100.0, "two": 130.0},
            [("away", "03-01"), ("back", "03-01"), ("gone", "03-01")],
        ),
    ],
)
def test_a_pause_is_at_risk_a_time_out_or_a_departure(label, paused, resumed, left):
    tables = opened(label, *PAUSE_ROWS)
    assert mrr_of(tables, "2023-02-15") == ALL
    assert mrr_of(tables, "2023-03-15") == paused
    assert mrr_of(tables, "2023-05-15") == resumed
    assert departures(tables, label) == left


@pytest.mark.parametrize(("label", "churned"), [(DEFAULT, 0), (NO_PAUSES, 0), (PAUSE_IS_DEPARTURE, 1)])
def test_the_label_of_an_account_before_its_pause(label, churned):
    assert label_on(opened(label, *PAUSE_ROWS), label, "back", "2023-02-15") == churned


def test_a_pause_within_the_grace_is_no_departure():
    row = subscription("a", START, paused_from=day("2023-03-01"), paused_until=day("2023-03-09"))
    assert departures(opened(PAUSE_IS_DEPARTURE, row), PAUSE_IS_DEPARTURE) == []


def test_a_pause_after_the_end_changes_nothing():
    row = subscription("a", START, day("2023-02-01"), **PAUSE)
    assert departures(opened(NO_PAUSES, row), NO_PAUSES) == [("a", "02-01")]


@pytest.mark.parametrize(("label", "left"), [(DEFAULT, []), (NO_PAUSES, []), (PAUSE_IS_DEPARTURE, [("a", "03-01")])])
def test_a_row_that_is_a_pause_as_a_whole_keeps_the_account(label, left):
    rows = (
        subscription("a", START, day("2023-03-01")),
        subscription("a", day("2023-03-01"), day("2023-05-01"), **PAUSE),
        subscription("a", day("2023-05-01")),
    )
    tables = opened(label, *rows)
    assert departures(tables, label) == left
    assert set(mrr_of(tables, "2023-04-01")) == ({"a"} if label == DEFAULT else set())


def test_several_pauses_are_several_rows():
    first = {"paused_from": day("2023-02-01"), "paused_until": day("2023-03-01")}
    second = {"paused_from": day("2023-05-01"), "paused_until": day("2023-06-01")}
    tables = opened(
        NO_PAUSES, subscription("a", START, day("2023-04-01"), **first), subscription("a", day("2023-04-01"), **second)
    )
    dates = ("2023-01-15", "2023-02-15", "2023-04-01", "2023-05-15", "2023-06-15")
    assert ["a" in mrr_of(tables, date) for date in dates] == [True, False, True, False, True]
    assert departures(tables, NO_PAUSES) == []


# "free" never paid, "moved" goes from a paid to a free plan, and "metered" pays by use.
FREE_ROWS = (
    subscription("free", START, mrr=0.0),
    subscription("moved", START, day("2023-03-01")),
    subscription("moved", day("2023-03-01"), mrr=0.0),
    subscription("metered", START, mrr=0.0, is_free=False),
    subscription("given", START, mrr=5.0, is_free=True),
)


@pytest.mark.parametrize(
    ("label", "before", "after", "left"),
    [
        (
            DEFAULT,
            {"free": 0.0, "moved": 100.0, "metered": 0.0, "given": 5.0},
            {"free": 0.0, "moved": 0.0, "metered": 0.0, "given": 5.0},
            [],
        ),
        (NO_FREE_PLANS, {"moved": 100.0, "metered": 0.0}, {"metered": 0.0}, [("moved", "03-01")]),
    ],
)
def test_a_free_plan_is_at_risk_unless_set_otherwise(label, before, after, left):
    tables = opened(label, *FREE_ROWS)
    assert mrr_of(tables, "2023-02-15") == before
    assert mrr_of(tables, "2023-03-15") == after
    assert departures(tables, label) == left


@pytest.mark.parametrize(("label", "churned", "returned"), [(DEFAULT, 10_000, 0), (NO_PAUSES, 30_000, 10_000)])
def test_retention_loses_the_revenue_of_a_pause_until_it_ends(label, churned, returned):
    history = build_revenue_history(opened(label, *PAUSE_ROWS[:3]), day("2023-07-01"), START, 3)
    assert history
    first, second, third = (history.instants.index(day(text)) for text in ("2023-02-01", "2023-04-01", "2023-06-01"))
    assert measure_movement(history, first, second).churned == churned
    assert measure_movement(history, second, third).returned == returned


def test_the_settings_are_in_the_label_only_if_they_are_not_the_default():
    assert not {"trials_at_risk", "pauses_at_risk", "free_plans_at_risk"} & describe_label(DEFAULT).keys()
    labels = (DEFAULT, TRIALS, NO_PAUSES, PAUSE_IS_DEPARTURE, NO_FREE_PLANS)
    assert len({label_hash(label) for label in labels}) == 5


def test_the_hash_of_a_label_is_that_of_before_these_settings():
    assert label_hash(LabelSettings()) == "625a2c6b81f3"


def test_a_pause_at_risk_is_no_departure():
    with pytest.raises(ValidationError, match="pause_is_departure needs pauses_at_risk = false"):
        LabelSettings(pause_is_departure=True)


def test_what_the_settings_concern_is_counted():
    tables = raw_tables(subscriptions=[*TRIAL_ROWS, *PAUSE_ROWS, *FREE_ROWS])
    assert count_at_risk(tables["subscriptions"]) == AtRiskCounts(trials=3, pauses=4, free_plans=3)


def test_rows_without_these_columns_stay_as_they_are():
    tables = raw_tables(subscriptions=[subscription("a", START, day("2023-03-01")), subscription("b", START)])
    cut = cut_subscriptions(tables["subscriptions"], DEFAULT)
    assert cut.source_columns == tables["subscriptions"].source_columns
    written = tables["subscriptions"].rows.select(*cut.rows.columns)
    assert cut.rows.order_by("account_id").to_pyarrow().equals(written.order_by("account_id").to_pyarrow())
