"""Periods: neighbouring subscriptions are joined, however their source writes ends, and overlapping ones are not."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.sections.label import LabelSettings
from features.compute.compute import select_snapshots
from features.tables.contract import CONTRACT
from features.tables.derived import mrr_steps
from features.tables.point_in_time import as_of_view
from features.tables.raw_table import RawTable
from features.tables.subscriptions.periods import PeriodCounts, count_periods, join_periods
from tests.support.companies.raw_tables import raw_tables, subscription
from training.labels.build import build_contraction_labels, build_labels

START, AS_OF, LONG_AFTER = datetime(2023, 1, 1), datetime(2023, 6, 1), datetime(2025, 1, 1)
LABEL = LabelSettings(horizon_days=30, grace_days=0)
LENGTH = 180  # days of the period that is split


def _joined(*rows: dict, hours: int = 24) -> dict[str, RawTable]:
    tables = raw_tables(subscriptions=list(rows))
    subscriptions = tables["subscriptions"]
    return {"subscriptions": replace(subscriptions, rows=join_periods(subscriptions.rows, hours))}


def _ends(*rows: dict, hours: int = 24) -> list[datetime | None]:
    joined = _joined(*rows, hours=hours)["subscriptions"].rows
    return joined.order_by("started_at", "ended_at").to_pyarrow()["ended_at"].to_pylist()


def _steps(tables: dict[str, RawTable], as_of: datetime) -> list[tuple[datetime, float]]:
    view = as_of_view(tables["subscriptions"].rows, CONTRACT["subscriptions"], as_of)
    rows = mrr_steps(view).order_by("account_id", "day").to_pyarrow().to_pylist()
    return [(row["day"], row["step"]) for row in rows]


def _at_risk(tables: dict[str, RawTable], as_of: datetime) -> list[str]:
    return sorted(select_snapshots(tables, as_of).to_pyarrow()["account_id"].to_pylist())


@pytest.mark.parametrize("end", ["2023-01-31 23:59:59", "2023-01-31", "2023-02-01"])
def test_an_end_is_moved_to_the_next_start(end: str):
    rows = subscription("a", START, datetime.fromisoformat(end)), subscription("a", datetime(2023, 2, 1))
    assert _ends(*rows) == [datetime(2023, 2, 1), None]


@pytest.mark.parametrize(("hours", "moved"), [(24, False), (48, True)])
def test_a_longer_gap_stays(hours: int, moved: bool):
    rows = subscription("a", START, datetime(2023, 1, 30)), subscription("a", datetime(2023, 2, 1))
    assert _ends(*rows, hours=hours)[0] == (datetime(2023, 2, 1) if moved else datetime(2023, 1, 30))


def test_an_end_just_after_the_next_start_of_the_same_plan_is_moved_back():
    rows = [subscription("a", START, datetime(2023, 2, 1, 5), plan="pro")]
    rows += [subscription("a", datetime(2023, 2, 1), plan="pro"), subscription("a", datetime(2023, 2, 1, 2), plan="x")]
    assert _ends(*rows)[0] == datetime(2023, 2, 1)


def test_overlapping_subscriptions_count_together():
    plan = subscription("a", START, datetime(2023, 6, 1), mrr=100.0)
    add_on = subscription("a", datetime(2023, 3, 1), datetime(2023, 9, 1), mrr=30.0)
    assert _steps(_joined(plan, add_on), datetime(2023, 8, 1)) == [
        (datetime(2023, 3, 1), 30.0),
        (datetime(2023, 6, 1), -100.0),
    ]


def test_a_lower_price_of_the_next_period_is_a_decrease_of_the_difference():
    rows = (
        subscription("a", START, datetime(2023, 1, 31, 23, 59, 59)),
        subscription("a", datetime(2023, 2, 1), mrr=60.0),
    )
    assert _steps(_joined(*rows), datetime(2023, 3, 1)) == [(datetime(2023, 2, 1), -40.0)]


def test_other_accounts_do_not_continue_a_period():
    rows = subscription("a", START, datetime(2023, 1, 31)), subscription("b", datetime(2023, 2, 1))
    assert _ends(*rows) == [datetime(2023, 1, 31), None]


@pytest.mark.parametrize(("day", "at_risk"), [("2023-03-31", ["a"]), ("2023-04-01", []), ("2023-04-02", [])])
def test_a_subscription_does_not_run_at_its_end(day: str, at_risk: list[str]):
    tables = _joined(subscription("a", START, datetime(2023, 4, 1)))
    assert _at_risk(tables, datetime.fromisoformat(day)) == at_risk


def test_an_account_that_renews_at_as_of_stays_at_risk():
    tables = _joined(subscription("a", START, datetime(2023, 3, 31)), subscription("a", datetime(2023, 4, 1)))
    assert _at_risk(tables, datetime(2023, 4, 1)) == ["a"]


def test_what_was_joined_and_what_remains_is_counted():
    rows = [subscription("a", START, datetime(2023, 1, 31)), subscription("a", datetime(2023, 2, 1))]
    rows += [subscription("b", START, datetime(2023, 2, 1)), subscription("b", datetime(2023, 3, 1))]
    rows += [subscription("c", START), subscription("c", datetime(2023, 3, 1))]
    written = raw_tables(subscriptions=rows)["subscriptions"].rows
    assert count_periods(written, join_periods(written, 24)) == PeriodCounts(joined=1, gaps=1, overlaps=1)


@dataclass(frozen=True)
class Split:
    """A period cut on some days, the seconds that each end is too early, whether it ends, and the day it is seen on."""

    cuts: tuple[int, ...]
    seconds_early: tuple[int, ...]
    ends: bool
    seen_on: int

    def whole(self, account: str) -> list[dict]:
        return self._rows(account, (), ())

    def pieces(self, account: str) -> list[dict]:
        return self._rows(account, self.cuts, self.seconds_early)

    def _rows(self, account: str, cuts: tuple[int, ...], seconds_early: tuple[int, ...]) -> list[dict]:
        """The subscriptions, moved so that `seen_on` is `AS_OF`."""
        begin = AS_OF - timedelta(days=self.seen_on)
        bounds = [begin + timedelta(days=day) for day in (0, *sorted(cuts), LENGTH)]
        rows = [
            subscription(account, start, end - timedelta(seconds=early))
            for (start, end), early in zip(pairwise(bounds), (*seconds_early[: len(cuts)], 0), strict=True)
        ]
        return rows if self.ends else [*rows[:-1], rows[-1] | {"ended_at": None}]


splits = st.builds(
    Split,
    cuts=st.lists(st.integers(2, LENGTH - 10), min_size=1, max_size=3, unique=True).map(tuple),
    seconds_early=st.lists(st.integers(0, 24 * 3600), min_size=3, max_size=3).map(tuple),
    ends=st.booleans(),
    seen_on=st.integers(1, LENGTH + 10),
)


def _snapshots(accounts: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {"account_id": accounts, "as_of": pd.Series(AS_OF, range(len(accounts))).astype("datetime64[us]")}
    )


@settings(max_examples=1, deadline=None, derandomize=True)
@given(st.lists(splits, min_size=40, max_size=40))
def test_splitting_a_period_changes_no_label_no_risk_set_and_no_step(cases: list[Split]):
    names = [f"{number:02}" for number in range(len(cases))]
    on_cuts = [Split(case.cuts, case.seconds_early, case.ends, case.cuts[0]) for case in cases[:20]]
    cases = [*on_cuts, *cases[20:]]
    results = []
    for rows_of in (Split.whole, Split.pieces):
        tables = _joined(*(row for name, case in zip(names, cases, strict=True) for row in rows_of(case, name)))
        labels = build_labels(tables, _snapshots(names), LABEL, LONG_AFTER)
        contracted = build_contraction_labels(tables, _snapshots(names), LABEL, LONG_AFTER)
        assert contracted is not None
        results.append((_at_risk(tables, AS_OF), _steps(tables, AS_OF), str([*labels, *contracted])))
    assert results[0] == results[1]


@settings(max_examples=1, deadline=None, derandomize=True)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(-30, 5), st.integers(1, 30)), min_size=1, max_size=4), min_size=40, max_size=40
    )
)
def test_an_account_at_risk_leaves_exactly_if_it_is_not_at_risk_later(cases: list[list[tuple[int, int]]]):
    names = [f"{number:02}" for number in range(len(cases))]
    rows = [
        subscription(
            name,
            AS_OF + timedelta(days=start),
            AS_OF + timedelta(days=start + length),
            subscription_id=f"{start} {length}",
        )
        for name, periods in zip(names, cases, strict=True)
        for start, length in periods
    ]
    tables = _joined(*rows, hours=0)
    labels = build_labels(tables, _snapshots(names), LABEL.model_copy(update={"horizon_days": 2}), LONG_AFTER)
    today, tomorrow = (set(_at_risk(tables, AS_OF + timedelta(days=days))) for days in (0, 1))
    assert {name for name, churned in zip(names, labels, strict=True) if name in today and churned} == today - tomorrow
