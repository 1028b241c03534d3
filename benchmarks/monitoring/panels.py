"""Simulated panels: accounts week by week, with a season, holidays, wandering signals and planted shifts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

START = datetime(2022, 1, 3)
WEEKS, CHECKED_WEEKS = 152, 52
SIGNALS, USAGE, TRENDS, MISSING_SHARE = 27, 7, 3, 0.1
TREND_WEEKS = 4
HOLIDAY_WEEKS = (51, 52)
SHIFTS = ("source stops", "half of a source", "unit times 100", "usage up by half", "values go missing")
FAMILIES = {"usage": [*map(str, range(USAGE)), *(f"trend of {signal}" for signal in range(TRENDS))]}


@dataclass(frozen=True)
class PanelWeek:
    """One week of a company: its day, and a row per account with a column per signal."""

    day: datetime
    rows: pd.DataFrame


def simulate_panel(accounts: int, seed: int) -> list[PanelWeek]:
    """Weeks of the same accounts. Seven signals are usage: they have holidays and a season; three have a trend, too.

    What moves the usage of an account in a week moves all seven of them: that is half of the variance.
    """
    generator = np.random.default_rng(seed)
    level = _draw(generator, accounts)
    own_season = generator.normal(0.1, 0.05, size=SIGNALS)
    weeks: list[PanelWeek] = []
    for week in range(WEEKS):
        level = 0.97 * level + 0.24 * _draw(generator, accounts) + 0.01 * generator.normal(size=SIGNALS)
        day = START + timedelta(weeks=week)
        values = level + own_season * np.sin(2 * np.pi * day.timetuple().tm_yday / 365)
        values[:, :USAGE] -= 0.6 * _holiday_share(day)
        rows = np.exp(values)
        rows[generator.random(rows.shape) < MISSING_SHARE] = np.nan
        weeks.append(PanelWeek(day, pd.DataFrame(rows).rename(columns=str)))
    return _add_trends(weeks)


def plant_shift(weeks: Sequence[PanelWeek], shift: str, shift_week: int) -> list[PanelWeek]:
    """The same weeks with a shift of the usage from a week on, in full after four, as a window of 28 days moves."""
    return _add_trends(
        [
            week if at < shift_week else PanelWeek(week.day, _shifted(week.rows, shift, (at - shift_week + 1) / 4))
            for at, week in enumerate(weeks)
        ]
    )


def _add_trends(weeks: Sequence[PanelWeek]) -> list[PanelWeek]:
    """The weeks with trends: the usage of four weeks, over that of the four weeks before."""
    return [
        PanelWeek(week.day, week.rows.assign(**_trends(week.rows, weeks[max(at - TREND_WEEKS, 0)].rows)))
        for at, week in enumerate(weeks)
    ]


def _trends(now: pd.DataFrame, before: pd.DataFrame) -> dict[str, pd.Series]:
    names = [str(signal) for signal in range(TRENDS)]
    return {f"trend of {name}": now[name] / before[name].where(before[name] > 0) for name in names}


def _shifted(rows: pd.DataFrame, shift: str, full: float) -> pd.DataFrame:
    values, share = rows.to_numpy().copy(), min(full, 1.0)
    number = np.arange(len(values)) * 0.618034 % 1  # spread evenly, the same accounts every week
    if shift == "source stops":
        values[:, :USAGE] *= 1 - share
    elif shift == "half of a source":
        values[number < 0.5, :USAGE] *= 1 - share
    elif shift == "unit times 100":
        values[:, 0] *= 100
    elif shift == "usage up by half":
        values[:, :USAGE] *= 1 + 0.5 * share
    elif shift == "values go missing":
        values[number < 0.5 * share, :USAGE] = np.nan
    return pd.DataFrame(values, columns=rows.columns)


def _draw(generator: np.random.Generator, accounts: int) -> NDArray[np.float64]:
    own = generator.normal(size=(accounts, SIGNALS))
    common = generator.normal(size=(accounts, 1))
    own[:, :USAGE] = np.sqrt(0.5) * (own[:, :USAGE] + common)
    return own


def _holiday_share(day: datetime) -> float:
    """The share of holiday weeks in the four weeks before a day."""
    return sum((day - timedelta(weeks=week)).isocalendar().week in HOLIDAY_WEEKS for week in range(4)) / 2
