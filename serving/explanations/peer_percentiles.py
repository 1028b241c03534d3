"""Peers: what a signal is among the accounts of the same segment, from those that were published together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

ALL_SEGMENTS = "*"
GRID = np.linspace(0, 1, 101)
MIN_PEERS = 30
MAX_SAMPLE = 2_000
# Below the 1st and above the 99th percentile lie slips and accounts unlike any other.
LOWEST_PLAUSIBLE, HIGHEST_PLAUSIBLE = 1, 99


@dataclass(frozen=True)
class PeerPercentiles:
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

    def value_at(self, segment: str | None, signal: str, percentile: int) -> float | None:
        """The value that this many of a hundred peers lie below; None where nobody has a value."""
        grid = self._grid(segment, signal)
        return None if grid is None else float(grid[percentile])

    def plausible_range(self, segment: str | None, signal: str) -> tuple[float, float] | None:
        """From the 1st to the 99th percentile of the segment; None where nobody has a value."""
        grid = self._grid(segment, signal)
        return None if grid is None else (float(grid[LOWEST_PLAUSIBLE]), float(grid[HIGHEST_PLAUSIBLE]))

    def _grid(self, segment: str | None, signal: str) -> np.ndarray | None:
        if signal not in self.columns:
            return None
        of_segment = self.segments.get(segment or ALL_SEGMENTS, self.segments[ALL_SEGMENTS])
        grid = self.percentiles[of_segment, self.columns[signal]]
        return None if np.isnan(grid[0]) else grid


def compute_peers(values: np.ndarray, names: Sequence[str], segments: Sequence[str | None]) -> PeerPercentiles:
    """The peers in these accounts' signals, shape (accounts, signals), NaN for missing.

    A segment of fewer than 30 accounts has everyone as its peers.
    """
    groups = {ALL_SEGMENTS: np.ones(len(segments), dtype=bool)}
    of = np.array([one or "" for one in segments], dtype=object)
    for segment in sorted({one for one in segments if one}):
        members = of == segment
        if members.sum() >= MIN_PEERS:
            groups[segment] = members
    grids = np.stack([_percentile_grids(values[members]) for members in groups.values()])
    columns = {name: place for place, name in enumerate(names)}
    return PeerPercentiles(columns, {name: place for place, name in enumerate(groups)}, grids)


def sample_rows(segments: Sequence[str | None], max_per_segment: int = MAX_SAMPLE) -> np.ndarray:
    """The places of at most `most` accounts of each segment, evenly spaced: percentiles need no more."""
    of = np.array([one or "" for one in segments], dtype=object)
    chosen = []
    for segment in sorted(set(of.tolist())):
        places = np.flatnonzero(of == segment)
        chosen.append(places[np.linspace(0, len(places) - 1, min(len(places), max_per_segment)).astype(int)])
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, dtype=int)


def _percentile_grids(values: np.ndarray) -> np.ndarray:
    """Percentiles of each column over the rows that have a value, shape (columns, 101)."""
    grids = np.full((values.shape[1], len(GRID)), np.nan)
    for column in range(values.shape[1]):
        there = values[~np.isnan(values[:, column]), column]
        if len(there):
            grids[column] = np.quantile(there, GRID)
    return grids
