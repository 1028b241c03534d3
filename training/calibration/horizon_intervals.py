"""Horizon intervals: the snapshots that each hazard of the calibrator is fitted on, and which horizons have too few."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.tables.contract import ACCOUNT_ID
from training.calibration.calibrator_fit import HorizonInterval
from training.labels.definition import CHURNED, churned_column


@dataclass(frozen=True)
class MarginSample:
    """Snapshots, their margins by trees fitted on earlier labels, and their segments (None if unknown).

    `refit_margins` are those of the refitted trees, which were fitted on these labels too.
    """

    rows: pd.DataFrame
    margins: np.ndarray
    refit_margins: np.ndarray
    segments: np.ndarray


@dataclass(frozen=True)
class HorizonRequest:
    """The main horizon, the others, and how many accounts must have churned, and stayed, in each interval."""

    main: int
    others: tuple[int, ...]
    min_churned: int


def split_into_intervals(
    samples: Mapping[int, MarginSample], request: HorizonRequest
) -> tuple[list[HorizonInterval], dict[int, str]]:
    """The intervals that the calibrator is fitted on, and why any other horizon is unavailable.

    `samples` has the snapshots for each horizon: those for a longer one are older, because its labels take longer to
    mature. The main horizon is always available. A shorter one needs enough churned and stayed accounts in its own
    interval and in the one from there to the main horizon, a longer one in its own.
    """
    intervals: list[HorizonInterval] = []
    unavailable: dict[int, str] = {}
    for days in sorted({*request.others, request.main} & samples.keys()):
        start = intervals[-1].until_day if intervals else 0
        interval = _interval(samples[days], start, days, main=request.main)
        sides = [interval]
        if days <= request.main:
            sides.append(_interval(samples[days], days, request.main, main=request.main))
        if days == request.main or min(map(_minority, sides)) >= request.min_churned:
            intervals.append(interval)
        else:
            unavailable[days] = _too_few(min(sides, key=_minority), request.min_churned)
    return intervals, unavailable


def _interval(sample: MarginSample, after: int, until: int, *, main: int) -> HorizonInterval:
    """The accounts that stayed through `after` days, and which of them left within `until`."""
    churned = _labels(sample.rows, until, main)
    is_at_risk = ~np.isnan(churned)
    if after > 0:
        is_at_risk &= _labels(sample.rows, after, main) == 0
    return HorizonInterval(
        until_day=until,
        margins=sample.margins[is_at_risk],
        refit_margins=sample.refit_margins[is_at_risk],
        segments=sample.segments[is_at_risk],
        account_ids=sample.rows[ACCOUNT_ID].to_numpy(dtype="str")[is_at_risk],
        churned=churned[is_at_risk],
    )


def _labels(rows: pd.DataFrame, days: int, main: int) -> np.ndarray:
    return rows[CHURNED if days == main else churned_column(days)].to_numpy(dtype="float64")


def _minority(interval: HorizonInterval) -> int:
    """How many churned, or how many stayed, whichever is fewer."""
    return int(min(interval.churned.sum(), len(interval.churned) - interval.churned.sum()))


def _too_few(interval: HorizonInterval, min_churned: int) -> str:
    churned, snapshots = int(interval.churned.sum()), len(interval.churned)
    count = f"{churned} churned" if churned == _minority(interval) else f"{snapshots - churned} stayed"
    return f"of {snapshots} snapshots only {count} between it and the next horizon; at least {min_churned} are needed"
