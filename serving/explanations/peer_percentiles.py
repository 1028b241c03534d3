"""Percentiles of every signal among the accounts of one segment, from the accounts published together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

ALL_SEGMENTS = "*"
GRID = np.linspace(0, 1, 101)
MIN_PEERS = 30
MAX_SAMPLE = 2_000
# Values outside these percentiles are often data errors, or belong to accounts unlike any other.
LOWEST_PLAUSIBLE, HIGHEST_PLAUSIBLE = 1, 99


@dataclass(frozen=True)
class PeerPercentiles:
    """Percentiles 0 to 100 of every signal by segment, shape (segments, signals, 101); NaN if no account has a value.

    `columns` and `segments` give the index of each signal and each segment. `counts`, shape (segments, signals), says
    how many accounts each row of percentiles is made of: those of the sample that have a value.
    """

    columns: Mapping[str, int]
    segments: Mapping[str, int]
    percentiles: np.ndarray
    counts: np.ndarray

    def count(self, segment: str | None, signal: str) -> int:
        """How many peers have a value."""
        index = self.columns.get(signal)
        return 0 if index is None else int(self.counts[self._segment_index(segment), index])

    def percentile(self, segment: str | None, signal: str, value: float | None) -> float | None:
        """The percentage of peers below a value, equal values counted half; None if it is not known."""
        grid = self._grid(segment, signal)
        if value is None or grid is None:
            return None
        below, up_to = (np.searchsorted(grid, value, side=side) for side in ("left", "right"))
        return float(np.clip((below + up_to - 1) / 2, 0, 100))

    def value_at(self, segment: str | None, signal: str, percentile: int) -> float | None:
        """The value at a percentile of the segment; None if no peer has a value."""
        grid = self._grid(segment, signal)
        return None if grid is None else float(grid[percentile])

    def plausible_range(self, segment: str | None, signal: str) -> tuple[float, float] | None:
        """The 1st and the 99th percentile of the segment; None if no peer has a value."""
        grid = self._grid(segment, signal)
        return None if grid is None else (float(grid[LOWEST_PLAUSIBLE]), float(grid[HIGHEST_PLAUSIBLE]))

    def _grid(self, segment: str | None, signal: str) -> np.ndarray | None:
        if signal not in self.columns:
            return None
        grid = self.percentiles[self._segment_index(segment), self.columns[signal]]
        return None if np.isnan(grid[0]) else grid

    def _segment_index(self, segment: str | None) -> int:
        return self.segments.get(segment or ALL_SEGMENTS, self.segments[ALL_SEGMENTS])


def compute_peers(values: np.ndarray, names: Sequence[str], segments: Sequence[str | None]) -> PeerPercentiles:
    """The percentiles of these accounts' signals, shape (accounts, signals), NaN for missing.

    In a segment of fewer than 30 accounts the peers are all accounts.
    """
    groups = {ALL_SEGMENTS: np.ones(len(segments), dtype=bool)}
    segment_of = np.array([segment or "" for segment in segments], dtype=object)
    for segment in sorted({segment for segment in segments if segment}):
        members = segment_of == segment
        if members.sum() >= MIN_PEERS:
            groups[segment] = members
    grids = np.stack([_percentile_grids(values[members]) for members in groups.values()])
    counts = np.stack([(~np.isnan(values[members])).sum(axis=0) for members in groups.values()])
    columns = {name: index for index, name in enumerate(names)}
    return PeerPercentiles(columns, {name: index for index, name in enumerate(groups)}, grids, counts)


def sample_rows(segments: Sequence[str | None], max_per_segment: int = MAX_SAMPLE) -> np.ndarray:
    """The indices of at most `max_per_segment` accounts of each segment, evenly spaced: enough for percentiles."""
    segment_of = np.array([segment or "" for segment in segments], dtype=object)
    sampled = []
    for segment in sorted(set(segment_of.tolist())):
        rows = np.flatnonzero(segment_of == segment)
        sampled.append(rows[np.linspace(0, len(rows) - 1, min(len(rows), max_per_segment)).astype(int)])
    return np.sort(np.concatenate(sampled)) if sampled else np.empty(0, dtype=int)


def _percentile_grids(values: np.ndarray) -> np.ndarray:
    """Percentiles of each column over the rows that have a value, shape (columns, 101)."""
    grids = np.full((values.shape[1], len(GRID)), np.nan)
    for column in range(values.shape[1]):
        present = values[~np.isnan(values[:, column]), column]
        if len(present):
            grids[column] = np.quantile(present, GRID)
    return grids
