"""Whatever dialect a table is written in and however it is split over files, it is read as it was, or refused.

READER_TRIALS is how many tables the slow test tries.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.support.reader_trials import run_trial

MANY = range(1000, 1000 + int(os.environ.get("READER_TRIALS", "150")))


def _outcomes(seeds: range, folder: Path) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for seed in seeds:
        trial = folder / str(seed)
        trial.mkdir()
        outcomes[run_trial(seed, trial)] += 1
    return outcomes


@pytest.mark.parametrize("seeds", [range(40), pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
def test_a_table_is_read_as_written_or_refused_by_file(tmp_path: Path, seeds: range):
    outcomes = _outcomes(seeds, tmp_path)
    assert [outcome for outcome in outcomes if outcome not in ("equal", "refused")] == []
    assert outcomes["equal"] > 0.6 * len(seeds)
