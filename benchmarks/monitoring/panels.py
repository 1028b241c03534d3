"""Simulated panels: accounts week by week, with a season, holidays, wandering signals and planted shifts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

START = datetime(2022, 1, 3)
WEEKS, CHECKED_WEEKS = 152, 52
SIGNALS, MISSING_SHARE = 30, 0.1
HOLIDAY_WEEKS = (51, 52)
SHIFTS = ("none", "source stops", "usage up by half", "values go missing")


@dataclass(frozen=True)
class PanelWeek:
    """One week of a company: its day, and a row per account with a column per signal."""

    day: datetime
    rows: pd.DataFrame


def simulate_panel(accounts: int, seed: int, shift: str, shift_week: int) -> list[PanelWeek]:
    """Weeks of the same accounts. Ten signals are usage: they have holidays and a season, and shift from a week on.

    A shifted signal moves over four weeks, as a window of 28 days does.
    """
    generator = np.random.default_rng(seed)
    level = generator.normal(size=(accounts, SIGNALS))
    own_season = generator.normal(0.1, 0.05, size=SIGNALS)
    weeks: list[PanelWeek] = []
    for week in range(WEEKS):
        level = 0.97 * level + 0.24 * generator.normal(size=level.shape) + 0.01 * generator.normal(size=SIGNALS)
        day = START + timedelta(weeks=week)
        values = level + own_season * np.sin(2 * np.pi * day.timetuple().tm_yday / 365)
        values[:, :10] -= 0.6 * _holiday_share(day)
        rows = np.exp(values)
        _plant(rows, shift, min(max(week - shift_week + 1, 0) / 4, 1.0), generator)
        rows[generator.random(rows.shape) < MISSING_SHARE] = np.nan
        weeks.append(PanelWeek(day, pd.DataFrame(rows).rename(columns=str)))
    return weeks


def _holiday_share(day: datetime) -> float:
    """The share of holiday weeks in the four weeks before a day."""
    return sum((day - timedelta(weeks=week)).isocalendar().week in HOLIDAY_WEEKS for week in range(4)) / 2


def _plant(rows: np.ndarray, shift: str, share: float, generator: np.random.Generator) -> None:
    if shift == "source stops":
        rows[:, :10] *= 1 - share
    elif shift == "usage up by half":
        rows[:, :10] *= 1 + 0.5 * share
    elif shift == "values go missing":
        rows[generator.random(len(rows)) < 0.5 * share, :10] = np.nan
