"""Horizons: which snapshots the hazard between two horizons is learned from, and which horizons cannot be learned."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from training.data.training_set import CHURNED
from training.labels.departures import churned_column
from training.model.calibrator_fit import Span

KEY = "account_id"


@dataclass(frozen=True)
class Seen:
    """Snapshots, the margins that trees grown on earlier answers gave them, and their segments (None: not known).

    `served` are the margins of the trees that are served, which have learned from these answers too.
    """

    rows: pd.DataFrame
    margins: np.ndarray
    served: np.ndarray
    segments: np.ndarray


@dataclass(frozen=True)
class Asked:
    """The main horizon, the others asked for, and how many must have left, and stayed, in each span between them."""

    main: int
    others: tuple[int, ...]
    fewest: int


def spans_between(seen: Mapping[int, Seen], asked: Asked) -> tuple[list[Span], dict[int, str]]:
    """The spans that the calibrator is fitted on, and why any other horizon is left out.

    `seen` has the snapshots for each horizon: those for a longer one are older, for their answers take longer. The main
    horizon is always kept; another one only where enough left, and stayed, on either side of it up to the main one.
    """
    found: list[Span] = []
    left_out: dict[int, str] = {}
    for days in sorted({*asked.others, asked.main} & seen.keys()):
        start = found[-1].until_day if found else 0
        span = _span(seen[days], start, days, asked.main)
        sides = [span] if days > asked.main else [span, _span(seen[days], days, asked.main, asked.main)]
        if days == asked.main or min(map(_rarer, sides)) >= asked.fewest:
            found.append(span)
        else:
            left_out[days] = _too_few(min(sides, key=_rarer), asked.fewest)
    return found, left_out


def _span(seen: Seen, after: int, until: int, main: int) -> Span:
    """Of those who stayed through `after` days, who left within `until`."""
    left = _answers(seen.rows, until, main)
    there = ~np.isnan(left) if after == 0 else ~np.isnan(left) & (_answers(seen.rows, after, main) == 0)
    of = (seen.margins, seen.served, seen.segments, seen.rows[KEY].to_numpy(dtype="str"), left)
    return Span(until, *(values[there] for values in of))


def _answers(rows: pd.DataFrame, days: int, main: int) -> np.ndarray:
    return rows[CHURNED if days == main else churned_column(days)].to_numpy(dtype="float64")


def _rarer(span: Span) -> int:
    return int(min(span.left.sum(), len(span.left) - span.left.sum()))


def _too_few(span: Span, fewest: int) -> str:
    left = int(span.left.sum())
    told = f"{left} left" if left == _rarer(span) else f"{len(span.left) - left} stayed"
    return f"of {len(span.left)} snapshots only {told} between it and the next horizon; {fewest} are needed"
