"""Level: by how much the log-odds of churn will be off on the day that risks are for, forecast from past days.

Churn rates drift and have seasons that no signal shows. On every day with known labels there is a shift of the
log-odds with which the mean risk equals the churn rate. Between days the shift is a Gaussian process (Rasmussen &
Williams, 2006): a mean, a drift that is forgotten within a year or two (Uhlenbeck & Ornstein, 1930), a yearly season
once a year and a quarter are known, and noise. How large each is has a prior, and the levels of past days decide (a
weighted grid, no optimizer). So one bad month moves the forecast a little, and a lasting change most of the way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax
from scipy.stats import lognorm, multivariate_normal

from training.calibration.calibrator import Calibrator
from training.determinism import single_blas_thread

MAX_SHIFT = 20.0
MEAN_SD = 2.0
MEMORY_DAYS = 365.0
QUARTER_DAYS = 91.0
YEAR_DAYS = 365.25
# Multiples of the drift's prior standard deviation, and standard deviations of the noise and of the season.
DRIFT_FACTORS = (0.5, 1.0, 2.0, 4.0, 8.0)
NOISE_SDS = (0.03, 0.1, 0.3)
SEASON_SDS = (0.0, 0.15, 0.3, 0.6)
PRIOR_SPREAD = 0.7  # in the logarithm of a standard deviation
NOISE_PRIOR_SD = 0.05


@dataclass(frozen=True)
class LevelSample:
    """Snapshots with known labels: margin, offset of the segment, label, and day as a number."""

    margins: np.ndarray
    offsets: np.ndarray
    churned: np.ndarray
    days: np.ndarray


@dataclass(frozen=True)
class DayLevels:
    """The shift that each of the `days` needed, rising, and the variance of its estimate."""

    days: np.ndarray
    shifts: np.ndarray
    variances: np.ndarray


@dataclass(frozen=True)
class LevelForecast:
    """The expected shift of the log-odds on a day to come, and its standard deviation."""

    shift: float
    sd: float


@dataclass(frozen=True)
class LevelKernel:
    """How levels vary between days: the standard deviations of its drift, its season and its noise."""

    drift_sd: float
    season_sd: float
    noise_sd: float

    def covariance(self, days: np.ndarray) -> np.ndarray:
        """The covariance of the levels of these days, without noise."""
        apart = np.abs(days[:, None] - days[None])
        season = self.season_sd**2 * np.exp(-2 * np.sin(np.pi * apart / YEAR_DAYS) ** 2)
        return MEAN_SD**2 + self.drift_sd**2 * np.exp(-apart / MEMORY_DAYS) + season


def measure_levels(calibrator: Calibrator, sample: LevelSample, horizon_days: int) -> DayLevels:
    """The shift of every day of the sample.

    Labels of neighbouring days see the same departures. What these days have in common by chance counts as drift.
    """
    days = np.unique(sample.days)
    levels = [_measure_day(calibrator, sample, sample.days == day, horizon_days) for day in days]
    return DayLevels(days, *np.array(levels).T)


def forecast_level(levels: DayLevels, day: float, drift_prior_sd: float) -> LevelForecast:
    """The level of a later day, averaged over kernels, each by how well it explains the past days.

    `drift_prior_sd` is the prior standard deviation of the change of the log-odds within a quarter of a year.
    """
    with single_blas_thread():
        candidates = list(_candidates(levels, drift_prior_sd))
        weights = softmax([prior + _log_likelihood(levels, kernel) for kernel, prior in candidates])
        means, variances = np.array([_predict(levels, kernel, day) for kernel, _ in candidates]).T
    shift = float(weights @ means)
    return LevelForecast(shift, float(np.sqrt(weights @ (variances + (means - shift) ** 2))))


def _measure_day(
    calibrator: Calibrator, sample: LevelSample, mask: np.ndarray, horizon_days: int
) -> tuple[float, float]:
    margins, offsets, churned = sample.margins[mask], sample.offsets[mask], sample.churned[mask]
    column = calibrator.horizon_index(horizon_days)

    def risks(shift: float) -> np.ndarray:
        return calibrator.predict_risks(margins, offsets + shift)[:, column]

    rate = np.clip(churned.mean(), 0.5 / len(churned), 1 - 0.5 / len(churned))
    shift = float(brentq(lambda shift: float(risks(shift).mean() - rate), -MAX_SHIFT, MAX_SHIFT, xtol=1e-6))
    expected = risks(shift)
    return shift, 1 / float((expected * (1 - expected)).sum())


def _candidates(levels: DayLevels, drift_prior_sd: float) -> Iterator[tuple[LevelKernel, float]]:
    """Kernels, each with its log prior; those with a season only if a quarter is known of two years.

    With less, a rate that fell from one winter to the next summer is a drift as likely as a season.
    """
    per_quarter = np.sqrt(2 * (1 - np.exp(-QUARTER_DAYS / MEMORY_DAYS)))
    span = levels.days[-1] - levels.days[0]
    seasons = SEASON_SDS if span >= YEAR_DAYS + QUARTER_DAYS else SEASON_SDS[:1]
    for factor, season_sd, noise_sd in product(DRIFT_FACTORS, seasons, NOISE_SDS):
        prior = _log_prior(factor, 1.0) + _log_prior(noise_sd, NOISE_PRIOR_SD)
        yield LevelKernel(float(factor * drift_prior_sd / per_quarter), season_sd, noise_sd), prior


def _log_prior(value: float, median: float) -> float:
    return float(lognorm.logpdf(value, PRIOR_SPREAD, scale=median) + np.log(value))


def _log_likelihood(levels: DayLevels, kernel: LevelKernel) -> float:
    return float(multivariate_normal.logpdf(levels.shifts, cov=_observed_covariance(levels, kernel)))


def _predict(levels: DayLevels, kernel: LevelKernel, day: float) -> tuple[float, float]:
    """The mean and the variance of the level on a day, given the levels of the past days."""
    covariance = kernel.covariance(np.append(levels.days, day))
    weights = np.linalg.solve(_observed_covariance(levels, kernel), covariance[:-1, -1])
    variance = covariance[-1, -1] - weights @ covariance[:-1, -1] + kernel.noise_sd**2
    return float(weights @ levels.shifts), float(variance)


def _observed_covariance(levels: DayLevels, kernel: LevelKernel) -> np.ndarray:
    return kernel.covariance(levels.days) + np.diag(levels.variances + kernel.noise_sd**2)
