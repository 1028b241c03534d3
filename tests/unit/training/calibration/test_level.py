"""The level of a day to come: steady rates keep it, one bad month moves it little, a lasting change moves it."""

import numpy as np
import pytest
from scipy.special import expit

from training.calibration.calibrator import Calibrator
from training.calibration.level import DayLevels, LevelForecast, LevelSample, forecast_level, measure_levels

MONTH = 30.4
DRIFT_SD = 0.1


def forecast(shifts: list[float] | np.ndarray, *, after_days: float = 90, sd: float = 0.05) -> LevelForecast:
    days = MONTH * np.arange(len(shifts))
    levels = DayLevels(days, np.array(shifts, dtype="float64"), np.full(len(shifts), sd**2))
    return forecast_level(levels, days[-1] + after_days, DRIFT_SD)


def test_the_shift_of_a_day_makes_its_mean_risk_the_churn_rate():
    calibrator = Calibrator((30, 90), (1.0, 1.0), (-3.0, -2.5))
    margins, offsets = np.random.default_rng(0).normal(0, 1, (2, 4000)) * [[1.0], [0.1]]
    days = np.repeat([0.0, 30.0], 2000)
    churned = np.tile(np.arange(2000) < 300, 2) * 1.0
    levels = measure_levels(calibrator, LevelSample(margins, offsets, churned, days), 90)
    for day, shift in zip(levels.days, levels.shifts, strict=True):
        risks = calibrator.shifted(shift).predict_risks(margins[days == day], offsets[days == day])
        assert risks[:, 1].mean() == pytest.approx(0.15, abs=1e-5)


def test_a_day_with_one_known_rate_has_the_variance_of_its_log_odds():
    sample = LevelSample(np.zeros(100), np.zeros(100), (np.arange(100) < 20) * 1.0, np.zeros(100))
    levels = measure_levels(Calibrator((90,), (1.0,), (0.0,)), sample, 90)
    assert expit(levels.shifts) == pytest.approx(0.2)
    assert levels.variances == pytest.approx(1 / (100 * 0.2 * 0.8))


def test_a_day_on_which_nobody_churned_has_a_finite_level():
    sample = LevelSample(np.zeros(100), np.zeros(100), np.zeros(100), np.zeros(100))
    levels = measure_levels(Calibrator((90,), (1.0,), (0.0,)), sample, 90)
    assert expit(levels.shifts) == pytest.approx(0.005, rel=1e-3)


def test_a_steady_level_is_kept():
    assert forecast([0.3] * 12).shift == pytest.approx(0.3, abs=0.01)


def test_one_bad_month_moves_the_level_little():
    assert forecast([0.0] * 11 + [0.5], sd=0.2).shift < 0.15


def test_a_lasting_change_moves_the_level_most_of_the_way():
    assert forecast([0.0] * 9 + [0.6] * 9).shift > 0.35


def test_a_noisy_company_stays_closer_to_its_mean():
    steady, noisy = (forecast([*np.tile([-size, size], 6), 0.4]).shift for size in (0.02, 0.4))
    assert noisy < steady


@pytest.mark.parametrize("count", [17, 30])
@pytest.mark.parametrize("first_month", [0, 3, 6, 9])
def test_a_season_is_followed_after_a_year_and_a_quarter(first_month, count):
    months = first_month + np.arange(count + 4)
    season = 0.6 * np.sin(2 * np.pi * months * MONTH / 365.25)
    assert forecast(season[:count], after_days=4 * MONTH).shift == pytest.approx(season[-1], abs=0.2)


def test_a_rate_that_fell_within_a_year_is_no_season():
    falling = 0.6 * np.cos(np.pi * np.arange(13) * MONTH / 365.25)
    assert forecast(falling, after_days=4 * MONTH).shift < -0.3


def test_a_single_day_is_enough():
    assert forecast([0.2]).shift == pytest.approx(0.2, abs=0.01)


def test_more_days_leave_less_doubt():
    draw = np.random.default_rng(1)
    short, long = (forecast(draw.normal(0, 0.05, months)).sd for months in (2, 24))
    assert long < short


@pytest.mark.slow
def test_a_forecast_covers_what_comes_as_often_as_it_says():
    draw = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        drift = [0.0]
        keep = np.exp(-MONTH / 365)
        for _ in range(26):
            drift.append(drift[-1] * keep + draw.normal(0, 0.2 * np.sqrt(1 - keep**2)))
        levels = np.array(drift) + draw.normal(0, 0.1, 27)
        forecasted = forecast(levels[:24], after_days=3 * MONTH)
        hits += abs(forecasted.shift - levels[26]) < 1.645 * forecasted.sd
    assert 165 <= hits <= 195  # 90 % of 200
