"""The retention report: eight accounts whose figures are computed by hand, exact sums, intervals that cover."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from configs.errors import RequestError
from configs.sections.accounts import RetentionSettings
from features.publishing.revenue_table_builder import build_revenue_history
from features.retention.definitions import FigureDefinition
from features.retention.losses import RevenueLoss
from features.retention.movements import measure_movement
from features.retention.rates import Grouping, group_retention
from features.retention.report import RetentionReport, report_retention
from features.store.revenue_table import RevenueHistory, read_revenue_table, write_revenue_table
from features.tables.subscriptions.periods import join_periods
from tests.support.companies.raw_tables import Rows, account, raw_tables, subscription

OBSERVED_FROM, START, DAY = datetime(2024, 1, 1), datetime(2025, 1, 1), datetime(2026, 1, 1)
BEFORE, JUNE = datetime(2024, 3, 1), datetime(2025, 6, 1)
REASONS = RetentionSettings(controllable=("Too Expensive",))

# account  1 Jan 2025  1 Jan 2026   what happened
# keeps           100         100   gave notice for March 2026
# grows           200         300   expansion 100
# shrinks         400         250   contraction 150
# leaves          300           0   churned, too expensive
# unpaid           50           0   churned, a payment failed
# silent          150           0   churned, without notice
# new               0         500   began in June 2025
# returns           0          80   paid from March to June 2024, and again since October 2025
#              -------     -------
#                1,200       1,230   = 1,200 + 500 new + 80 returned + 100 expansion - 150 contraction - 500 churned
SUBSCRIPTIONS = [
    subscription("keeps", BEFORE),
    subscription("grows", BEFORE, JUNE, mrr=200.0),
    subscription("grows", JUNE, mrr=300.0),
    subscription("shrinks", BEFORE, JUNE, mrr=400.0),
    subscription("shrinks", JUNE, mrr=250.0),
    subscription("leaves", BEFORE, JUNE, mrr=300.0),
    subscription("unpaid", BEFORE, JUNE, mrr=50.0),
    subscription("silent", BEFORE, JUNE, mrr=150.0),
    subscription("new", JUNE, mrr=500.0),
    subscription("returns", BEFORE, datetime(2024, 6, 1), mrr=80.0),
    subscription("returns", datetime(2025, 10, 15), mrr=80.0),
]
NOTICES: Rows = [
    {"account_id": "leaves", "notified_at": datetime(2025, 4, 1), "effective_at": JUNE, "reason": "too expensive",
     "voluntary": True},
    {"account_id": "unpaid", "notified_at": datetime(2025, 5, 1), "effective_at": JUNE, "reason": "card",
     "voluntary": False},
    {"account_id": "keeps", "notified_at": datetime(2025, 12, 1), "effective_at": datetime(2026, 3, 1),
     "reason": "merger", "voluntary": True},
]  # fmt: skip
ACCOUNTS = [
    account(name, segment="large" if name in {"shrinks", "leaves", "new"} else "small")
    for name in ("keeps", "grows", "shrinks", "leaves", "unpaid", "silent", "new", "returns")
]


def open_history(as_of: datetime = DAY, notices: Rows = NOTICES) -> RevenueHistory:
    tables = raw_tables(accounts=ACCOUNTS, subscriptions=SUBSCRIPTIONS, notices=notices)
    subscriptions = tables["subscriptions"]
    tables["subscriptions"] = replace(subscriptions, rows=join_periods(subscriptions.rows, 1))
    history = build_revenue_history(tables, as_of, OBSERVED_FROM, 4)
    assert history is not None
    return history


@pytest.fixture(scope="module")
def report() -> RetentionReport:
    return report_retention(open_history(), 12, REASONS)


def test_gross_net_and_logo_are_those_computed_by_hand(report: RetentionReport):
    everybody = report.everybody
    assert everybody is not None
    assert (everybody.accounts, everybody.stayed, everybody.start) == (6, 3, 1_200_00)
    assert (everybody.expansion, everybody.contraction, everybody.churned) == (100_00, 150_00, 500_00)
    assert everybody.gross.rate == (100 + 200 + 250) / 1_200
    assert everybody.net.rate == (100 + 300 + 250) / 1_200
    assert everybody.logo.rate == 3 / 6
    assert everybody.logo.low == pytest.approx(0.1876, abs=1e-4)  # Wilson, 3 of 6
    assert everybody.gross.low is None  # six accounts are too few for an interval


def test_each_segment_has_its_own_figures(report: RetentionReport):
    small, large = (
        next(group for group in report.groups if group.group == name and group.dimension == "segment")
        for name in ("small", "large")
    )
    assert (small.accounts, small.gross.rate, small.net.rate) == (4, 300 / 500, 400 / 500)
    assert (large.accounts, large.gross.rate, large.net.rate) == (2, 250 / 700, 250 / 700)


def test_the_movement_of_the_period_adds_up(report: RetentionReport):
    movement = report.movement
    assert movement.parts == (500_00, 80_00, 100_00, -150_00, -500_00)
    assert (movement.start, movement.end) == (1_200_00, 1_230_00)
    assert (movement.accounts_new, movement.accounts_churned) == (1, 3)


def test_the_months_lead_from_the_start_to_the_end(report: RetentionReport):
    assert len(report.months) == 12
    assert [month.start for month in report.months[1:]] == [month.end for month in report.months[:-1]]
    assert all(month.start + sum(month.parts) == month.end for month in report.months)
    may, june = report.months[4:6]  # what ends on the first of June has ended then, what begins runs after it
    assert (may.parts, may.accounts_churned) == ((0, 0, 0, 0, -500_00), 3)
    assert (june.since, june.parts) == (JUNE, (500_00, 0, 100_00, -150_00, 0))


def test_the_months_cover_a_period_that_begins_within_a_month():
    report = report_retention(open_history(datetime(2025, 6, 15)), 12, REASONS)
    assert (report.months[0].since, report.months[-1].until) == (datetime(2024, 6, 15), datetime(2025, 6, 15))
    assert [month.until for month in report.months[:-1]] == [month.since for month in report.months[1:]]
    totals = [sum(amounts) for amounts in zip(*(month.parts for month in report.months), strict=True)]
    assert (report.months[0].start, *totals, report.months[-1].end) == (1_200_00, *report.movement.parts, 1_150_00)


def test_losses_are_sorted_by_who_could_have_prevented_them(report: RetentionReport):
    assert report.losses == [
        RevenueLoss("involuntary", has_notice=True, reason="card", accounts=1, churned=50_00),
        RevenueLoss("controllable", has_notice=True, reason="too expensive", accounts=1, churned=300_00),
        RevenueLoss("unknown", has_notice=False, reason=None, accounts=1, churned=150_00),
    ]
    assert report.everybody is not None
    assert sum(loss.churned for loss in report.losses) == report.everybody.churned


def test_a_notice_that_takes_effect_after_the_day_explains_no_loss_before_it():
    later = NOTICES[0] | {"effective_at": datetime(2026, 2, 1)}
    losses = report_retention(open_history(notices=[later]), 12, REASONS).losses
    assert losses == [RevenueLoss("unknown", has_notice=False, reason=None, accounts=3, churned=500_00)]


def test_a_notice_without_a_reason_is_no_missing_notice():
    unnamed = [notice | {"reason": None} for notice in NOTICES]
    losses = report_retention(open_history(notices=unnamed), 12, REASONS).losses
    assert [(loss.kind, loss.has_notice, loss.churned) for loss in losses] == [
        ("involuntary", True, 50_00),
        ("unknown", True, 300_00),
        ("unknown", False, 150_00),
    ]


def test_committed_revenue_is_without_accounts_whose_notice_takes_effect_later(report: RetentionReport):
    assert report.committed is not None
    assert (report.committed.mrr, report.committed.committed) == (1_230_00, 1_130_00)


def test_nothing_that_was_recorded_later_is_in_the_report():
    """On 15 May 2025 nobody has left yet, and the notice of the unpaid account has just been given."""
    report = report_retention(open_history(datetime(2025, 5, 15)), 3, REASONS)
    assert report.everybody is not None
    assert (report.everybody.gross.rate, report.losses) == (1.0, [])
    assert report.committed is not None
    assert report.committed.leaving_accounts == 2


def test_a_period_that_begins_before_the_data_is_refused():
    with pytest.raises(RequestError, match="The data begin 2024-01-01, which is less than 12 months before 2024-06-01"):
        report_retention(open_history(datetime(2024, 6, 1)), 12, REASONS)


def test_without_subscriptions_there_is_no_revenue():
    assert build_revenue_history(raw_tables(accounts=ACCOUNTS), DAY, None, 4) is None


def test_the_table_is_read_as_it_was_written(tmp_path):
    history = open_history()
    write_revenue_table(tmp_path / "revenue.db", history)
    read = read_revenue_table(tmp_path / "revenue.db")
    assert report_retention(read, 12, REASONS) == report_retention(history, 12, REASONS)


def test_movements_of_any_amounts_add_up_exactly():
    random = np.random.default_rng(1)
    history = open_history()
    cents = random.integers(0, 3, (len(history.cents), len(history.instants))) * random.integers(1, 10**12)
    changed = RevenueHistory(**{**vars(history), "cents": cents})
    for last in range(1, cents.shape[1]):
        movement = measure_movement(changed, last - 1, last)
        assert movement.start + sum(movement.parts) == movement.end


def test_intervals_cover_the_true_retention():
    """200 samples of 150 accounts of skewed size, of which 10 % leave, 10 % shrink and 15 % grow: at least 90 %."""
    random = np.random.default_rng(5)
    truth = {"gross": 1 - 0.10 - 0.10 * 0.3, "net": 1 - 0.10 - 0.10 * 0.3 + 0.15 * 0.2, "logo": 0.90}
    covered = dict.fromkeys(truth, 0)
    for _ in range(200):
        start = np.rint(random.lognormal(6, 0.5, 150) * 100).astype(np.int64)
        factor = random.choice([0.0, 0.7, 1.2, 1.0], 150, p=[0.10, 0.10, 0.15, 0.65])
        end = np.rint(start * factor).astype(np.int64)
        (everybody,) = group_retention(start, end, [Grouping("all", ["all"], np.zeros(150, int))])
        for name, value in truth.items():
            interval = getattr(everybody, name)
            covered[name] += interval.low <= value <= interval.high
    assert min(covered.values()) >= 0.9 * 200, covered


def test_accounts_that_are_drawn_together_make_an_interval_no_narrower():
    """The interval of 20,000 accounts is as wide as that of the linearised ratio, which counts each by itself."""
    random = np.random.default_rng(3)
    start = np.rint(random.lognormal(9, 1, 20_000)).astype(np.int64)
    change = random.choice([0.0, 1.0, 2.0], 20_000, p=[0.1, 0.6, 0.3]) * random.uniform(0.9, 1.0, 20_000)
    end = np.where(change < 0.95, np.rint(start * change), start * np.ceil(change)).astype(np.int64)
    (everybody,) = group_retention(start, end, [Grouping("all", ["all"], np.zeros(20_000, int))])
    for interval, amounts in ((everybody.gross, np.minimum(start, end)), (everybody.net, end)):
        assert interval.low is not None
        assert interval.high is not None
        error = np.sqrt(((amounts - interval.rate * start) ** 2.0).sum()) / start.sum()
        assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_the_hash_of_a_definition_changes_with_its_meaning():
    first, second = (FigureDefinition("net", "Net", meaning, "end / start") for meaning in ("With.", "Without."))
    assert first.hash != second.hash
    assert first.hash == FigureDefinition("net", "Another label", "With.", "end / start", "A source").hash
