"""Label modes: what counts as churn where there is no contract, only notices, or only less revenue."""

from datetime import datetime

import pandas as pd
import pytest

from configs.errors import ConfigError
from configs.settings import LabelSettings, read_settings
from configs.state_dir import open_state
from features.compute.compute import snapshots
from features.publishing.pipeline import open_dataset
from features.tables.raw_table import RawTable
from tests.conftest import account, raw_tables, subscription
from training.labels.build import answers, facts
from training.labels.departures import label_hash

START = datetime(2023, 1, 1)
LONG_AFTER = datetime(2024, 1, 1)
INACTIVITY = LabelSettings(mode="inactivity", horizon_days=30, inactive_days=30, active_within_days=60, grace_days=0)
EVENT = LabelSettings(mode="event", horizon_days=30, grace_days=0)
CONTRACTION = LabelSettings(mode="contraction", horizon_days=30, grace_days=0, contraction_share=0.2)


def use(*days: str) -> list[dict]:
    return [{"account_id": "a", "event": "e", "occurred_at": datetime.fromisoformat(day)} for day in days]


def asked(*days: str) -> pd.DataFrame:
    rows = pd.DataFrame({"account_id": "a", "as_of": [pd.Timestamp(day) for day in days]})
    return rows.astype({"as_of": "datetime64[us]"})


def answer(tables: dict[str, RawTable], label: LabelSettings, as_of: str = "2023-06-01") -> float:
    return answers(tables, asked(as_of), label, LONG_AFTER).iloc[0]


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (("2023-05-20",), 1.0),
        (("2023-05-20", "2023-06-30"), 0.0),
        (("2023-05-20", "2023-07-01"), 1.0),
        (("2023-04-10",), 1.0),
    ],
)
def test_an_account_that_does_nothing_in_the_horizon_is_silent(days, told):
    assert answer(raw_tables(usage=use(*days)), INACTIVITY) == told


def test_a_silence_counts_wherever_it_fits_inside_a_longer_horizon():
    longer = INACTIVITY.model_copy(update={"horizon_days": 60})
    assert answer(raw_tables(usage=use("2023-05-20", "2023-06-20")), longer) == 1.0
    assert answer(raw_tables(usage=use("2023-05-20", "2023-06-20", "2023-07-10")), longer) == 0.0


def test_a_silence_that_is_not_over_has_no_answer():
    found = answers(raw_tables(usage=use("2023-05-20")), asked("2023-06-01"), INACTIVITY, datetime(2023, 6, 30))
    assert found.isna().all()


def test_without_contracts_the_accounts_active_of_late_are_at_risk():
    tables = raw_tables(usage=[*use("2023-05-20"), {**use("2023-01-20")[0], "account_id": "long gone"}])
    found = snapshots(tables, datetime(2023, 6, 1), active_within=60).to_pandas()
    assert list(found.account_id) == ["a"]


def test_a_silence_longer_than_the_horizon_is_refused():
    with pytest.raises(ValueError, match="inactive_days must fit"):
        LabelSettings(mode="inactivity", horizon_days=30, inactive_days=31)


@pytest.mark.parametrize(("day", "told"), [("2023-06-01", 1.0), ("2023-06-30", 1.0), ("2023-07-01", 0.0)])
def test_a_notice_in_the_horizon_is_churn(day, told):
    notice = {"account_id": "a", "notified_at": datetime.fromisoformat(day)}
    assert answer(raw_tables(notices=[notice]), EVENT) == told


@pytest.mark.parametrize(
    ("mrr", "told"), [(80.0, 1.0), (81.0, 0.0), (120.0, 0.0), (None, 0.0)], ids=["less", "hardly", "more", "gone"]
)
def test_revenue_that_shrinks_but_is_not_gone_is_contraction(mrr, told):
    rows = [subscription("a", START, datetime(2023, 6, 15), mrr=100.0)]
    rows += [] if mrr is None else [subscription("a", datetime(2023, 6, 15), mrr=mrr)]
    assert answer(raw_tables(subscriptions=rows), CONTRACTION) == told


def test_an_account_without_revenue_cannot_contract():
    assert pd.isna(answer(raw_tables(subscriptions=[subscription("a", LONG_AFTER)]), CONTRACTION))


def test_a_mode_without_its_table_is_refused():
    with pytest.raises(ConfigError, match="'event' needs the table 'notices'"):
        answer(raw_tables(accounts=[account("a")]), EVENT)


def test_the_hash_covers_the_mode_and_what_it_reads_only():
    silent_longer = INACTIVITY.model_copy(update={"active_within_days": 90})
    other_share = INACTIVITY.model_copy(update={"contraction_share": 0.5})
    hashes = {label_hash(one) for one in (INACTIVITY, EVENT, CONTRACTION, silent_longer)}
    assert len(hashes) == 4
    assert label_hash(other_share) == label_hash(INACTIVITY)


def test_a_term_binds_until_its_end_unless_it_ended_before():
    rows = [
        subscription("a", START, renews_at=datetime(2024, 1, 1)),
        subscription("a", datetime(2023, 2, 1), datetime(2023, 3, 1), renews_at=datetime(2025, 1, 1)),
    ]
    found = facts(raw_tables(subscriptions=rows), asked("2023-06-01"), LabelSettings()).locked_until
    assert list(found) == [pd.Timestamp("2024-01-01")]


def test_a_notice_binds_from_the_day_it_is_given_until_it_takes_effect():
    notice = {"account_id": "a", "notified_at": datetime(2023, 5, 1), "effective_at": datetime(2023, 7, 1)}
    found = facts(raw_tables(notices=[notice]), asked("2023-04-30", "2023-06-01", "2023-08-01"), EVENT).notice_until
    assert list(found.notna()) == [False, True, False]


def test_a_table_that_holds_the_answer_carries_no_signal(company):
    start = datetime(2023, 1, 1)
    notice = {"account_id": "a", "notified_at": datetime(2023, 6, 1), "reason": "price"}
    config = company(
        '[label]\nmode = "event"\n',
        accounts=[account("a")],
        subscriptions=[subscription("a", start)],
        notices=[notice],
    )
    settings = read_settings(config)
    names = {one.name for one in open_dataset(settings, open_state(settings)).place.signals}
    assert "tenure" in names
    assert not names & {"notices_given", "days_since_notice"}
