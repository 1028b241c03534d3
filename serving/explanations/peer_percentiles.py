"""Peers: what a signal is among the accounts of the same segment, from those that were published together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

EVERYONE = "*"
GRID = np.linspace(0, 1, 101)
FEWEST = 30
MOST = 2_000
# Below the 1st and above the 99th percentile lie slips and accounts unlike any other.
LOW, HIGH = 1, 99


@dataclass(frozen=True)
class Peers:
    """Percentiles 0 to 100 of every signal by segment, shape (segments, signals, 101); NaN where nobody has a value."""

    columns: Mapping[str, int]
    segments: Mapping[str, int]
    percentiles: np.ndarray

    def percentile(self, segment: str | None, signal: str, value: float | None) -> float | None:
        """The share of peers, 0 to 100, that lie below a value, those equal to it counted half; None where unknown."""
        grid = self._grid(segment, signal)
        if value is None or grid is None:
            return None
        below, up_to = (np.searchsorted(grid, value, side=side) for side in ("left", "right"))
        return float(np.clip((below + up_to - 1) / 2, 0, 100))

    def at(self, segment: str | None, signal: str, percentile: int) -> float | None:
        """The value that this many of a hundred peers lie below; None where nobody has a value."""
        grid = self._grid(segment, signal)
        return None if grid is None else float(grid[percentile])

    def plausible(self, segment: str | None, signal: str) -> tuple[float, float] | None:
        """From the 1st to the 99th percentile of the segment; None where nobody has a value."""
        grid = self._grid(segment, signal)
        return None if grid is None else (float(grid[LOW]), float(grid[HIGH]))

    def _grid(self, segment: str | None, signal: str) -> np.ndarray | None:
        if signal not in self.columns:
            return None
        of_segment = self.segments.get(segment or EVERYONE, self.segments[EVERYONE])
        grid = self.percentiles[of_segment, self.columns[signal]]
        return None if np.isnan(grid[0]) else grid


def peers_of(values: np.ndarray, names: Sequence[str], segments: Sequence[str | None]) -> Peers:
    """The peers in these accounts' signals, shape (accounts, signals), NaN for missing.

    A segment of fewer than 30 accounts has everyone as its peers.
    """
    groups = {EVERYONE: np.ones(len(segments), dtype=bool)}
    of = np.array([one or "" for one in segments], dtype=object)
    for segment in sorted({one for one in segments if one}):
        members = of == segment
        if members.sum() >= FEWEST:
            groups[segment] = members
    grids = np.stack([_grids(values[members]) for members in groups.values()])
    columns = {name: place for place, name in enumerate(names)}
    return Peers(columns, {name: place for place, name in enumerate(groups)}, grids)


def sampled(segments: Sequence[str | None], most: int = MOST) -> np.ndarray:
    """The places of at most `most` accounts of each segment, evenly spaced: percentiles need no more."""
    of = np.array([one or "" for one in segments], dtype=object)
    chosen = []
    for segment in sorted(set(of.tolist())):
        places = np.flatnonzero(of == segment)
        chosen.append(places[np.linspace(0, len(places) - 1, min(len(places), most)).astype(int)])
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, dtype=int)


def _grids(values: np.ndarray) -> np.ndarray:
    """Percentiles of each column over the rows that have a value, shape (columns, 101)."""
    grids = np.full((values.shape[1], len(GRID)), np.nan)
    for column in range(values.shape[1]):
        there = values[~np.isnan(values[:, column]), column]
        if len(there):
            grids[column] = np.quantile(there, GRID)
    return grids
