"""Merged accounts: what changes from the day on which a merge is known, and nothing before, by hand-computed tables.

Account a pays 100 and account b 50; a is merged into b on 10 March, which is recorded on 15 March.
"""

from datetime import datetime

import ibis
import pandas as pd
import pytest

from configs.errors import DataError
from configs.sections.accounts import StageSettings
from configs.sections.label import LabelSettings
from features.compute.compute import compute_signals, select_snapshots
from features.ingestion.reader import cast_tables
from features.ingestion.validation import mark_invalid_rows
from features.publishing.account_table_builder import build_account_details
from features.publishing.revenue_table_builder import build_revenue_history
from features.retention.movements import measure_movement
from features.signals.registry import catalogue
from features.tables.account_merges import assign_rows, rows_as_written
from features.tables.contract import ACCOUNT_MERGES
from features.tables.own_contract import extend_contract
from features.tables.raw_table import RawTable
from tests.support.companies.raw_tables import Rows, account, subscription, unchecked_tables
from training.labels.build import build_label_context, build_labels, build_labels_by_horizon

START = datetime(2024, 1, 1)
MERGED, RECORDED = datetime(2024, 3, 10), datetime(2024, 3, 15)
BEFORE, AFTER = datetime(2024, 3, 15), datetime(2024, 3, 16)
LONG_AFTER = datetime(2026, 1, 1)
LABEL = LabelSettings(lead_days=0, horizon_days=30, horizons=(30, 60), grace_days=0)
TABLES = extend_contract((), mapped={ACCOUNT_MERGES.name})


def merge(old: str, new: str, merged_at: datetime = MERGED, recorded_at: datetime | None = None) -> dict:
    return {"account_id": old, "merged_into": new, "merged_at": merged_at, "recorded_at": recorded_at}


def written(*merges: dict, **tables: Rows) -> dict[str, RawTable]:
    accounts = [account(name, START, name=name.upper()) for name in "abcd"]
    return cast_tables(unchecked_tables(TABLES, {"accounts": accounts, "account_merges": list(merges), **tables}))


def merged(*merges: dict, **tables: Rows) -> dict[str, RawTable]:
    return assign_rows(written(*merges, **tables), ibis.memtable)


def usage(account_id: str, day: datetime, **columns: object) -> dict:
    return {"account_id": account_id, "event": "e", "occurred_at": day, **columns}


def at_risk(tables: dict[str, RawTable], as_of: datetime) -> list[str]:
    return sorted(select_snapshots(tables, as_of).to_pyarrow()["account_id"].to_pylist())


def signals_on(tables: dict[str, RawTable], as_of: datetime, *names: str) -> dict[str, tuple]:
    signals = tuple(signal for signal in catalogue() if signal.name in names)
    rows = compute_signals(tables, signals, as_of).to_pyarrow().to_pylist()
    return {row["account_id"]: tuple(row[name] for name in names) for row in rows}


def labels_of(tables: dict[str, RawTable], as_of: datetime, label: LabelSettings = LABEL) -> dict[str, float]:
    snapshots = pd.DataFrame({"account_id": ["a", "b"], "as_of": as_of}).astype({"as_of": "datetime64[us]"})
    return dict(zip("ab", build_labels(tables, snapshots, label, LONG_AFTER), strict=True))


PAYING = [subscription("a", START), subscription("b", START, mrr=50.0)]
LATE = merge("a", "b", recorded_at=RECORDED)


def test_before_a_merge_is_known_nothing_changes():
    tables = merged(LATE, subscriptions=PAYING)
    assert signals_on(tables, BEFORE, "mrr") == {"a": (100.0,), "b": (50.0,)}


def test_once_it_is_known_the_account_that_is_left_has_all_rows_and_the_old_one_is_not_at_risk():
    tables = merged(LATE, subscriptions=PAYING)
    assert at_risk(tables, AFTER) == ["b"]
    assert signals_on(tables, AFTER, "mrr") == {"b": (150.0,)}


def test_without_recorded_at_a_merge_is_known_when_it_happened():
    tables = merged(merge("a", "b"), subscriptions=PAYING)
    assert at_risk(tables, MERGED) == ["a", "b"]
    assert at_risk(tables, datetime(2024, 3, 11)) == ["b"]


def test_usage_of_the_old_account_counts_before_and_after_the_merge():
    rows = [usage("a", datetime(2024, 3, 8)), usage("a", datetime(2024, 3, 14)), usage("b", datetime(2024, 3, 14))]
    tables = merged(LATE, subscriptions=PAYING, usage=rows)
    assert signals_on(tables, BEFORE, "events_28d") == {"a": (2.0,), "b": (1.0,)}
    assert signals_on(tables, AFTER, "events_28d") == {"b": (3.0,)}


def test_daily_counts_of_people_add_up_because_they_are_other_people():
    day = datetime(2024, 3, 14)
    rows = [usage(name, day, quantity=count) for name, count in (("a", 3.0), ("a", 2.0), ("b", 4.0))]
    tables = merged(LATE, subscriptions=PAYING, usage=[{**row, "event": "active_users"} for row in rows])
    assert signals_on(tables, BEFORE, "peak_daily_active_users_28d") == {"a": (3.0,), "b": (4.0,)}
    assert signals_on(tables, AFTER, "peak_daily_active_users_28d") == {"b": (7.0,)}


def test_a_chain_of_merges_is_followed_as_far_as_it_is_known():
    late_first = [merge("a", "b", datetime(2024, 3, 10)), merge("b", "c", datetime(2024, 3, 5), datetime(2024, 3, 12))]
    tables = merged(*late_first, subscriptions=[*PAYING, subscription("c", START, mrr=7.0)])
    days = (datetime(2024, 3, 10), datetime(2024, 3, 11), datetime(2024, 3, 13))
    values = [signals_on(tables, day, "mrr") for day in days]
    assert values == [{"a": (100.0,), "b": (50.0,), "c": (7.0,)}, {"b": (150.0,), "c": (7.0,)}, {"c": (157.0,)}]


def test_a_circle_of_merges_is_refused_in_one_sentence():
    circle = [merge("a", "b"), merge("b", "c"), merge("c", "a")]
    with pytest.raises(DataError, match="merged in a circle: a into b into c into a"):
        merged(*circle, subscriptions=PAYING)


def test_an_account_that_is_merged_into_itself_is_a_circle():
    with pytest.raises(DataError, match="a into a"):
        merged(merge("a", "a"), subscriptions=PAYING)


def test_a_merge_into_an_unknown_account_breaks_the_contract():
    raw = unchecked_tables(TABLES, {"accounts": [account("a")], "account_merges": [merge("a", "z")]})
    assert mark_invalid_rows(raw, "account_merges").to_pyarrow()["breach"].to_pylist() == [
        "merged_into is not in accounts"
    ]


def test_what_describes_the_account_stays_that_of_the_account_that_is_left():
    details = build_account_details(merged(LATE, subscriptions=PAYING), AFTER, StageSettings())
    assert [(row.account_id, row.name, row.mrr) for row in details if row.mrr] == [("b", "B", 150.0)]


def test_a_row_that_both_accounts_have_counts_once():
    shared = {"subscription_id": "s", "started_at": START, "mrr": 100.0}
    rows = [{"account_id": name, **shared} for name in "ab"]
    assert signals_on(merged(LATE, subscriptions=rows), AFTER, "mrr") == {"b": (100.0,)}


def test_rows_are_there_once_as_they_were_written():
    rows = rows_as_written(merged(LATE, subscriptions=PAYING)["subscriptions"].rows).to_pyarrow()
    assert sorted(rows["account_id"].to_pylist()) == ["a", "b"]


class TestRetention:
    def test_a_merge_is_neither_churn_nor_a_new_logo(self):
        rows = [
            subscription("a", START, MERGED),
            subscription("b", START, mrr=50.0),
            subscription("b", MERGED, mrr=100.0),
        ]
        history = build_revenue_history(merged(LATE, subscriptions=rows), datetime(2024, 4, 2), None, 2)
        assert history is not None
        march, april = (history.instants.index(datetime(2024, month, 1)) for month in (3, 4))
        movement = measure_movement(history, march, april)
        assert (movement.start, movement.end) == (150_00, 150_00)
        assert (movement.new, movement.churned, movement.accounts_new, movement.accounts_churned) == (0, 0, 0, 0)
        assert list(history.account_ids) == ["b"]


ENDS_AT_MERGE = [subscription("a", START, MERGED), subscription("b", START)]


class TestLabels:
    def test_the_old_account_did_not_leave(self):
        as_of = datetime(2024, 3, 1)
        assert labels_of(written(subscriptions=ENDS_AT_MERGE), as_of) == {"a": 1.0, "b": 0.0}
        assert labels_of(merged(LATE, subscriptions=ENDS_AT_MERGE), as_of) == {"a": 0.0, "b": 0.0}

    def test_after_the_merge_the_old_account_leaves_when_the_account_that_is_left_does(self):
        rows = [subscription("a", START, MERGED), subscription("b", START, datetime(2024, 3, 20))]
        assert labels_of(merged(LATE, subscriptions=rows), datetime(2024, 3, 1)) == {"a": 1.0, "b": 1.0}

    def test_an_account_that_left_long_before_it_was_merged_has_left(self):
        rows = [subscription("a", START, datetime(2024, 3, 2)), subscription("b", START)]
        assert labels_of(merged(LATE, subscriptions=rows), datetime(2024, 3, 1)) == {"a": 1.0, "b": 0.0}

    def test_the_account_that_is_left_stays_while_the_subscription_of_the_old_one_runs(self):
        rows = [subscription("a", START), subscription("b", START, datetime(2024, 3, 20))]
        assert labels_of(merged(LATE, subscriptions=rows), datetime(2024, 3, 1)) == {"a": 0.0, "b": 0.0}

    def test_it_leaves_if_its_own_ended_before_the_merge(self):
        rows = [subscription("a", START), subscription("b", START, datetime(2024, 3, 5))]
        assert labels_of(merged(LATE, subscriptions=rows), datetime(2024, 3, 1)) == {"a": 0.0, "b": 1.0}

    def test_all_horizons_follow_the_merge(self):
        snapshots = pd.DataFrame({"account_id": ["a"], "as_of": [pd.Timestamp("2024-03-01")]})
        snapshots = snapshots.astype({"as_of": "datetime64[us]"})
        rows = [subscription("a", START, MERGED), subscription("b", START, datetime(2024, 4, 10))]
        labels = build_labels_by_horizon(merged(LATE, subscriptions=rows), snapshots, LABEL, LONG_AFTER)
        assert labels.to_dict("list") == {"churned_30": [0.0], "churned_60": [1.0]}
        context = build_label_context(merged(LATE, subscriptions=rows), snapshots, LABEL)
        assert context.left_at.tolist() == [pd.Timestamp("2024-04-10")]

    def test_a_notice_that_the_merge_overtook_is_none(self):
        label = LABEL.model_copy(update={"mode": "event"})
        notice = {"account_id": "a", "notified_at": datetime(2024, 3, 5), "effective_at": MERGED}
        early = {**notice, "effective_at": datetime(2024, 3, 8)}
        as_of = datetime(2024, 3, 1)
        assert labels_of(merged(LATE, notices=[notice]), as_of, label) == {"a": 0.0, "b": 0.0}
        assert labels_of(merged(LATE, notices=[early]), as_of, label) == {"a": 1.0, "b": 0.0}

    def test_a_notice_of_the_account_that_is_left_counts_for_both(self):
        label = LABEL.model_copy(update={"mode": "event"})
        notices = [{"account_id": "b", "notified_at": datetime(2024, 3, 20)}]
        assert labels_of(merged(LATE, notices=notices), datetime(2024, 3, 1), label) == {"a": 1.0, "b": 1.0}

    def test_usage_under_the_other_account_is_activity(self):
        label = LabelSettings(mode="inactivity", horizon_days=60, inactive_days=30, active_within_days=30)
        rows = [
            usage("a", datetime(2024, 2, 20)),
            *(usage("b", day) for day in pd.date_range("2024-02-01", "2024-06-01", freq="7D")),
        ]
        silent = labels_of(written(usage=rows), datetime(2024, 3, 1), label)
        assert (silent, labels_of(merged(LATE, usage=rows), datetime(2024, 3, 1), label)) == (
            {"a": 1.0, "b": 0.0},
            {"a": 0.0, "b": 0.0},
        )

    def test_revenue_that_moved_did_not_shrink(self):
        label = LABEL.model_copy(update={"mode": "contraction"})
        rows = [subscription("a", START, MERGED), subscription("a", MERGED, mrr=10.0), subscription("b", START)]
        assert labels_of(written(subscriptions=rows), datetime(2024, 3, 1), label)["a"] == 1.0
        assert labels_of(merged(LATE, subscriptions=rows), datetime(2024, 3, 1), label)["a"] == 0.0

    def test_a_query_sees_the_rows_of_the_account_that_is_left(self):
        query = """select s.account_id, s.as_of, coalesce(bool_and(p.ended_at is not null), true) as churned
            from snapshots s left join subscriptions p on p.account_id = s.account_id
            group by s.account_id, s.as_of"""
        label = LABEL.model_copy(update={"mode": "query", "query": query})
        assert labels_of(merged(LATE, subscriptions=ENDS_AT_MERGE), datetime(2024, 3, 1), label) == {
            "a": 0.0,
            "b": 0.0,
        }
