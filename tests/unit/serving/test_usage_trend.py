"""Usage trends: an arrow only beyond the account's own noise, from the signals of one day."""

import numpy as np
import pandas as pd
import pytest

from serving.accounts.trends.usage_trend import (
    ALL_DAYS,
    RECENT_DAYS,
    SIGNALS,
    USAGE_TRENDS,
    judge_usage,
    measure_usage,
)

GENERATOR = np.random.default_rng(7)


def signals_of(events: np.ndarray) -> dict[str, np.ndarray]:
    """The signals of accounts with these events a day, shape (accounts, days), the newest day last."""
    signals: dict[str, np.ndarray] = {"events_trend_91d": np.ones(len(events))}
    for window in (RECENT_DAYS, ALL_DAYS):
        shown = pd.DataFrame(events[:, -window:], dtype=float)
        active = shown.where(shown > 0)
        signals[f"events_{window}d"] = shown.sum(axis=1).to_numpy()
        signals[f"active_days_{window}d"] = active.count(axis=1).to_numpy(dtype=float)
        signals[f"daily_events_cv_{window}d"] = (active.std(axis=1) / active.mean(axis=1)).to_numpy()
    return signals


def trends_of(events: np.ndarray) -> list[str]:
    return [USAGE_TRENDS[code] for code in judge_usage(measure_usage(signals_of(events)))]


def make_days(accounts: int = 200, mean: float = 40.0) -> np.ndarray:
    return GENERATOR.poisson(mean, (accounts, ALL_DAYS)) + 1


@pytest.mark.parametrize(("factor", "trend"), [(0.2, "falling"), (0.9, "steady"), (1.1, "steady"), (3.0, "rising")])
def test_an_arrow_is_shown_for_the_account_whose_usage_changed(factor: float, trend: str):
    events = make_days()
    events[0, -20:] = np.rint(events[0, -20:] * factor)
    assert trends_of(events)[:3] == [trend, "steady", "steady"]


def test_a_holiday_of_everybody_gives_no_arrow():
    events = make_days()
    events[:, -7:] = np.rint(events[:, -7:] * 0.1)
    assert set(trends_of(events)) == {"steady"}


def test_an_account_that_always_varied_as_much_is_steady():
    events = make_days()
    events[0] = events[1] = 0
    events[0, ::2], events[1, ::21] = 40, 840
    events[:2, -20:] = 0
    assert trends_of(events)[:2] == ["falling", "steady"]


def test_the_noise_is_that_of_a_sum_of_days_drawn_from_the_earlier_ones():
    events = np.where(GENERATOR.random((4_000, ALL_DAYS)) < 0.6, GENERATOR.poisson(30, (4_000, ALL_DAYS)) + 1, 0)
    change = measure_usage(signals_of(events))
    assert np.median(change.noises) == pytest.approx(np.std(change.sizes), rel=0.1)


def test_without_enough_days_or_accounts_it_is_not_known():
    events = make_days()
    events[0, : ALL_DAYS - RECENT_DAYS] = 0
    signals = signals_of(events)
    signals["events_trend_91d"][1] = np.nan
    assert judge_usage(measure_usage(signals))[:3].tolist() == [3, 3, 2]
    assert set(trends_of(make_days(29))) == {"not_known"}
    assert set(judge_usage(measure_usage({name: np.full(50, np.nan) for name in SIGNALS}))) == {3}


def test_usage_that_stopped_is_falling_and_a_machine_that_varies_by_little_is_steady():
    events = make_days()
    events[0, -RECENT_DAYS:] = 0
    events[1] = 500
    events[1, -RECENT_DAYS:] = 450
    assert trends_of(events)[:2] == ["falling", "steady"]
