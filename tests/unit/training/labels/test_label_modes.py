"""Label modes: what counts as churn without contracts, by notices, by inactivity and by shrinking revenue."""

from datetime import datetime, timedelta

import pandas as pd
import pytest

from configs.errors import ConfigError
from configs.sections.label import LabelMode, LabelSettings
from configs.settings_file import read_settings
from configs.state_dir import open_state_dir
from features.compute.compute import select_snapshots
from features.publishing.open_dataset import open_dataset
from features.tables.raw_table import RawTable
from tests.support.companies.raw_tables import account, raw_tables, subscription
from training.labels.build import build_contraction_labels, build_label_context, build_labels
from training.labels.definition import matures_at

START = datetime(2023, 1, 1)
LONG_AFTER = datetime(2024, 1, 1)
CONTRACT = LabelSettings(horizon_days=30, grace_days=0)
INACTIVITY = LabelSettings(mode="inactivity", horizon_days=30, inactive_days=30, active_within_days=60, grace_days=0)
EVENT = LabelSettings(mode="event", horizon_days=30, grace_days=0)
CONTRACTION = LabelSettings(mode="contraction", horizon_days=30, grace_days=0, contraction_share=0.2)


def usage_on(*days: str, account_id: str = "a") -> list[dict]:
    return [{"account_id": account_id, "event": "e", "occurred_at": datetime.fromisoformat(day)} for day in days]


def snapshots_on(*days: str) -> pd.DataFrame:
    rows = pd.DataFrame({"account_id": "a", "as_of": [pd.Timestamp(day) for day in days]})
    return rows.astype({"as_of": "datetime64[us]"})


def label_in_june(tables: dict[str, RawTable], label: LabelSettings, known_until: datetime = LONG_AFTER) -> float:
    return build_labels(tables, snapshots_on("2023-06-01"), label, known_until).iloc[0]


@pytest.mark.parametrize(
    ("days", "churned"),
    [
        (("2023-05-20",), 1.0),
        (("2023-05-20", "2023-06-30"), 0.0),
        (("2023-05-20", "2023-07-01"), 1.0),
        (("2023-04-10",), 1.0),
    ],
)
def test_an_account_without_usage_in_the_horizon_is_inactive(days, churned):
    assert label_in_june(raw_tables(usage=usage_on(*days)), INACTIVITY) == churned


@pytest.mark.parametrize(
    ("days", "churned"),
    [(("2023-05-20", "2023-06-20"), 1.0), (("2023-05-20", "2023-06-20", "2023-07-10"), 0.0)],
)
def test_inactivity_may_be_anywhere_in_a_longer_horizon(days, churned):
    longer = INACTIVITY.model_copy(update={"horizon_days": 60})
    assert label_in_june(raw_tables(usage=usage_on(*days)), longer) == churned


@pytest.mark.parametrize(("silent_from", "churned"), [("2023-06-11", None), ("2023-06-30", None), ("2023-08-05", 1.0)])
def test_an_account_that_leaves_within_the_lead_has_no_label_in_any_mode(silent_from: str, churned: float | None):
    left_at = datetime.fromisoformat(silent_from)
    lead = LabelSettings(lead_days=60, horizon_days=60, inactive_days=30, grace_days=0)
    days = [f"{day:%Y-%m-%d}" for day in pd.date_range("2023-05-01", left_at)]
    smaller = [subscription("a", START, left_at), subscription("a", left_at, mrr=10.0)]
    labels = [
        label_in_june(raw_tables(subscriptions=[subscription("a", START, left_at)]), lead),
        label_in_june(
            raw_tables(notices=[{"account_id": "a", "notified_at": left_at}]), lead.model_copy(update={"mode": "event"})
        ),
        label_in_june(raw_tables(usage=usage_on(*days)), lead.model_copy(update={"mode": "inactivity"})),
        label_in_june(raw_tables(subscriptions=smaller), lead.model_copy(update={"mode": "contraction"})),
    ]
    assert [None if pd.isna(label) else label for label in labels] == [churned] * 4


@pytest.mark.parametrize("mode", ["event", "inactivity", "contraction"])
def test_the_grace_delays_no_label_where_nobody_can_come_back(mode: LabelMode):
    label = LabelSettings(mode=mode, horizon_days=90, grace_days=365)
    assert matures_at(START, label) == START + timedelta(days=90)


def test_an_unfinished_inactive_stretch_has_no_label():
    tables = raw_tables(usage=usage_on("2023-05-20"))
    assert pd.isna(label_in_june(tables, INACTIVITY, known_until=datetime(2023, 6, 30)))


def test_without_contracts_recently_active_accounts_are_at_risk():
    usage = [*usage_on("2023-05-20"), *usage_on("2023-01-20", account_id="inactive")]
    snapshots = select_snapshots(raw_tables(usage=usage), datetime(2023, 6, 1), required_activity_days=60).to_pandas()
    assert list(snapshots.account_id) == ["a"]


def test_inactive_days_beyond_the_horizon_are_refused():
    with pytest.raises(ValueError, match="inactive_days must fit"):
        LabelSettings(mode="inactivity", horizon_days=30, inactive_days=31)


@pytest.mark.parametrize(("day", "contracted"), [("2023-08-31", 1.0), ("2023-09-02", 0.0)])
def test_revenue_is_compared_at_the_end_of_the_months(day, contracted):
    smaller = datetime.fromisoformat(day)
    rows = [subscription("a", START, smaller, mrr=100.0), subscription("a", smaller, mrr=50.0)]
    label = LabelSettings(mode="contraction", horizon_months=3, grace_days=0)
    assert label_in_june(raw_tables(subscriptions=rows), label) == contracted


@pytest.mark.parametrize(("back", "churned"), [("2023-08-30", 0.0), ("2023-09-01", 1.0)])
def test_an_account_is_inactive_within_months(back, churned):
    label = LabelSettings(mode="inactivity", horizon_months=3, inactive_days=89)
    tables = raw_tables(usage=usage_on("2023-06-03", back))
    assert label_in_june(tables, label) == churned


@pytest.mark.parametrize(("day", "churned"), [("2023-06-01", 1.0), ("2023-06-30", 1.0), ("2023-07-01", 0.0)])
def test_a_notice_in_the_horizon_is_churn(day, churned):
    notice = {"account_id": "a", "notified_at": datetime.fromisoformat(day)}
    assert label_in_june(raw_tables(notices=[notice]), EVENT) == churned


@pytest.mark.parametrize(
    ("mrr", "contracted"), [(80.0, 1.0), (81.0, 0.0), (120.0, 0.0), (None, 0.0)], ids=["less", "about", "more", "none"]
)
def test_revenue_that_shrinks_but_stays_above_0_is_contraction(mrr, contracted):
    rows = [subscription("a", START, datetime(2023, 6, 15), mrr=100.0)]
    rows += [] if mrr is None else [subscription("a", datetime(2023, 6, 15), mrr=mrr)]
    assert label_in_june(raw_tables(subscriptions=rows), CONTRACTION) == contracted


def test_an_account_without_revenue_cannot_contract():
    assert pd.isna(label_in_june(raw_tables(subscriptions=[subscription("a", LONG_AFTER)]), CONTRACTION))


@pytest.mark.parametrize(("mrr_after", "labels"), [(50.0, (0.0, 1.0)), (None, (1.0, 0.0))], ids=["shrinks", "leaves"])
def test_contraction_and_churn_exclude_each_other(mrr_after, labels):
    rows = [subscription("a", START, datetime(2023, 6, 15), mrr=100.0)]
    rows += [] if mrr_after is None else [subscription("a", datetime(2023, 6, 15), mrr=mrr_after)]
    tables = raw_tables(subscriptions=rows)
    contracted = build_contraction_labels(tables, snapshots_on("2023-06-01"), CONTRACT, LONG_AFTER)
    assert contracted is not None
    assert (label_in_june(tables, CONTRACT), contracted.iloc[0]) == labels


def test_without_subscriptions_there_are_no_contraction_labels():
    assert build_contraction_labels({}, snapshots_on("2023-06-01"), CONTRACT, LONG_AFTER) is None


def test_a_mode_without_its_table_is_refused():
    with pytest.raises(ConfigError, match="'event' needs the table 'notices'"):
        label_in_june(raw_tables(accounts=[account("a")]), EVENT)


def test_a_term_locks_an_account_in_unless_it_ended_before():
    rows = [
        subscription("a", START, renews_at=datetime(2024, 1, 1)),
        subscription("a", datetime(2023, 2, 1), datetime(2023, 3, 1), renews_at=datetime(2025, 1, 1)),
    ]
    context = build_label_context(raw_tables(subscriptions=rows), snapshots_on("2023-06-01"), LabelSettings())
    assert list(context.locked_until) == [pd.Timestamp("2024-01-01")]


def test_a_notice_counts_from_its_day_until_it_takes_effect():
    notice = {"account_id": "a", "notified_at": datetime(2023, 5, 1), "effective_at": datetime(2023, 7, 1)}
    days = snapshots_on("2023-04-30", "2023-06-01", "2023-08-01")
    context = build_label_context(raw_tables(notices=[notice]), days, EVENT)
    assert list(context.notice_until.notna()) == [False, True, False]


def test_the_table_of_the_label_has_no_signal(make_company):
    notice = {"account_id": "a", "notified_at": datetime(2023, 6, 1), "reason": "price"}
    config = make_company(
        '[label]\nmode = "event"\n',
        accounts=[account("a")],
        subscriptions=[subscription("a", START)],
        notices=[notice],
    )
    settings = read_settings(config)
    names = {signal.name for signal in open_dataset(settings, open_state_dir(settings)).history.signals}
    assert "tenure" in names
    assert not names & {"notices_given", "days_since_notice"}
