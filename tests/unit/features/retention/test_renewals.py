"""The renewal forecast: forty renewals whose figures are computed by hand, terms in sources of each kind, coverage."""

from datetime import datetime

import numpy as np
import pytest

from features.publishing.revenue_table_builder import build_revenue_history
from features.retention.periods import subtract_months
from features.retention.renewals import RenewalForecast, forecast_renewals
from features.store.revenue_table import INSTANT, UNKNOWN, RevenueHistory
from tests.support.companies.raw_tables import account, raw_tables, subscription

DAY = datetime(2026, 7, 1)
ORIGINS = tuple(subtract_months(DAY, months) for months in (6, 3, 0))
NEVER = np.datetime64("NaT")


def history_of(term_ends: np.ndarray, cents: np.ndarray, origins: tuple[datetime, ...] = ORIGINS) -> RevenueHistory:
    """Accounts of one segment by the ends of their terms and what they paid at each origin."""
    accounts = len(cents)
    never = np.full(accounts, NEVER, INSTANT)
    return RevenueHistory(
        as_of=origins[-1], instants=origins, account_ids=np.arange(accounts).astype(str).astype(object), cents=cents,
        first_started=never, notified_at=never, effective_at=never, reasons=np.full(accounts, None),
        voluntary=np.full(accounts, UNKNOWN), attributes={}, has_notices=False, origins=origins,
        term_ends=term_ends.astype(INSTANT), due_cents=cents, first_value_at=never, value_term_ends_at=never,
        has_milestones=False,
    )  # fmt: skip


def quarters_of(paid: list[list[int]], due: int = 100_00, due_now: int = 0) -> RevenueHistory:
    """Accounts whose term ended in the quarter after each origin, with what they paid at its end; some are due now."""
    rows = [(origin, amount) for origin, amounts in enumerate(paid) for amount in amounts]
    ends, cents = np.full((len(rows) + due_now, 3), NEVER, INSTANT), np.zeros((len(rows) + due_now, 3), np.int64)
    for row, (origin, amount) in enumerate(rows):
        ends[row, origin] = np.datetime64(ORIGINS[origin]) + np.timedelta64(40, "D")
        cents[row, origin], cents[row, origin + 1] = due, amount
    ends[len(rows) :, 2] = np.datetime64(DAY) + np.timedelta64(40, "D")
    cents[len(rows) :, 2] = due
    return history_of(ends, cents)


# of 20 accounts at 100: in the first quarter 18 stayed, two of them at 50; in the second 16, one of them at 200
FIRST = [100_00] * 16 + [50_00] * 2 + [0] * 2
SECOND = [100_00] * 15 + [200_00] + [0] * 4
STAY_OF_ALL = (34 + 0.5) / 41
STAY = (34 + 20 * STAY_OF_ALL) / (40 + 20)


@pytest.fixture(scope="module")
def forecast() -> RenewalForecast:
    history = quarters_of([FIRST, SECOND], due_now=30)
    return forecast_renewals(history, np.full((len(history.cents), 4), np.nan))


def test_the_next_quarter_is_forecast_by_past_renewals_as_computed_by_hand(forecast: RenewalForecast):
    quarter = forecast.quarters[0]
    assert (quarter.since, quarter.until) == (DAY, datetime(2026, 10, 1))
    assert (quarter.accounts, quarter.due, quarter.from_risks, quarter.past_quarters) == (30, 3_000_00, 0, 2)
    assert quarter.gross is not None
    assert quarter.net is not None
    assert quarter.gross.rate == pytest.approx(STAY * 33 / 34)  # two of the 34 that stayed paid half
    assert quarter.net.rate == pytest.approx(STAY)  # and one of them twice as much: 34 of 34
    assert quarter.gross.low is not None
    assert quarter.gross.low < quarter.gross.rate < 1


def test_a_risk_that_reaches_the_end_of_the_quarter_is_taken_instead():
    history = quarters_of([FIRST, SECOND], due_now=30)
    stays = np.full((len(history.cents), 4), np.nan)
    stays[-30:-15, 0] = 0.5
    quarter = forecast_renewals(history, stays).quarters[0]
    assert quarter.from_risks == 15
    assert quarter.gross is not None
    assert quarter.gross.rate == pytest.approx((0.5 + STAY) / 2 * 33 / 34)


def test_the_interval_carries_the_level_too():
    """Of 3,000 accounts chance alone moves the share by 1.3 points; the level of one quarter to come is not known."""
    history = quarters_of([FIRST, SECOND], due_now=3_000)
    quarter = forecast_renewals(history, np.full((len(history.cents), 4), np.nan)).quarters[0]
    assert quarter.gross is not None
    assert quarter.gross.low is not None
    assert quarter.gross.low < quarter.gross.rate - 0.08


def test_nothing_is_said_of_too_few(forecast: RenewalForecast):
    assert [quarter.accounts for quarter in forecast.quarters] == [30, 0, 0, 0]
    assert [quarter.gross for quarter in forecast.quarters[1:]] == [None] * 3
    history = quarters_of([FIRST, []], due_now=30)  # one past quarter only
    assert forecast_renewals(history, np.full((len(history.cents), 4), np.nan)).quarters[0].gross is None


def test_past_quarters_are_forecast_from_what_was_known_then():
    """With a third past quarter, the forecast of it is that of the fixture above, and 24 of 30 stayed."""
    origins = (subtract_months(DAY, 9), *ORIGINS)
    history = quarters_of([FIRST, SECOND], due_now=30)
    ends = np.column_stack([history.term_ends - np.timedelta64(91, "D"), np.full(len(history.cents), NEVER, INSTANT)])
    cents = np.column_stack([history.cents, np.zeros(len(history.cents), np.int64)])
    cents[-24:, 3] = 100_00
    (check,) = forecast_renewals(history_of(ends, cents, origins), np.full((len(cents), 4), np.nan)).checks or [None]
    assert check is not None
    assert (check.origin, check.quarters_ahead, check.forecast.until) == (ORIGINS[1], 1, DAY)
    assert check.forecast.gross is not None
    assert check.forecast.gross.rate == pytest.approx(STAY * 33 / 34)
    assert (check.gross, check.net, check.covers_gross) == (0.8, 0.8, True)


def term_end_at(instant: datetime, **columns) -> list[object]:
    """When the term of one account ends, at the last three origins before an instant."""
    tables = raw_tables(accounts=[account("a")], subscriptions=[subscription("a", datetime(2024, 3, 31), **columns)])
    history = build_revenue_history(tables, instant, datetime(2023, 1, 1), 4)
    assert history is not None
    return [None if np.isnat(end) else end.astype(datetime).date().isoformat() for end in history.term_ends[0, -3:]]


@pytest.mark.parametrize(
    ("columns", "ends"),
    [
        ({"renews_at": datetime(2025, 3, 31), "term_months": 12.0}, ["2026-03-31", "2027-03-31", "2027-03-31"]),
        ({"renews_at": datetime(2027, 3, 31), "term_months": 12.0}, ["2026-03-31", "2027-03-31", "2027-03-31"]),
        ({"renews_at": datetime(2027, 3, 31), "term_months": 36.0}, ["2027-03-31"] * 3),
        ({"renews_at": datetime(2026, 7, 31), "term_months": 1.0}, [None] * 3),
        ({"renews_at": datetime(2027, 3, 31)}, [None] * 3),
    ],
    ids=["never moved", "moved at every renewal", "one term", "monthly", "no length"],
)
def test_the_end_of_a_term_is_known_from_sources_of_each_kind(columns: dict[str, object], ends: list[object]):
    assert term_end_at(DAY, **columns) == ends


def test_a_term_that_was_recorded_later_was_not_known_then():
    row = {"renews_at": datetime(2027, 3, 31), "term_months": 36.0, "recorded_at": datetime(2026, 5, 1)}
    assert term_end_at(DAY, **row) == [None, None, "2027-03-31"]


def test_intervals_cover_what_is_kept_though_levels_differ():
    """150 companies of 60 renewals a quarter, whose log-odds to stay vary by 0.3 from quarter to quarter."""
    random = np.random.default_rng(4)
    origins = tuple(subtract_months(DAY, 3 * back) for back in range(6, -1, -1))
    covered = 0
    for _ in range(150):
        ends, cents = np.full((420, 7), NEVER, INSTANT), np.zeros((420, 7), np.int64)
        kept = np.zeros(60)
        for quarter, start in enumerate(origins):
            rows = slice(quarter * 60, quarter * 60 + 60)
            ends[rows, quarter] = np.datetime64(start) + np.timedelta64(40, "D")
            cents[rows, quarter] = np.rint(random.lognormal(9, 1, 60))
            chance = 1 / (1 + np.exp(-2 - 0.3 * random.standard_normal()))
            stayed = random.random(60) < chance
            kept = np.rint(cents[rows, quarter] * stayed).astype(np.int64)
            if quarter < 6:
                cents[rows, quarter + 1] = kept
        history = history_of(ends, cents, origins)
        gross = forecast_renewals(history, np.full((420, 4), np.nan)).quarters[0].gross
        due = cents[360:, 6]
        assert gross is not None
        assert gross.low is not None
        assert gross.high is not None
        covered += gross.low <= kept.sum() / due.sum() <= gross.high
    assert covered >= 0.9 * 150, covered


def test_accounts_without_a_term_that_ends_are_counted_apart(forecast: RenewalForecast):
    assert (forecast.other_accounts, forecast.other_revenue) == (16, 1_700_00)  # those of the second quarter
