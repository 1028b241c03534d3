"""The interval of a share is SciPy's, and reading it imports no SciPy."""

import subprocess
import sys

import pytest
from scipy.stats import binomtest

from features.rate_interval import CONFIDENCE, wilson_bounds
from tests.support.paths import ROOT


@pytest.mark.parametrize(("successes", "total"), [(0, 1), (1, 1), (0, 50), (7, 50), (50, 50), (3, 100_000)])
def test_it_is_the_interval_of_scipy(successes: int, total: int):
    expected = binomtest(successes, total).proportion_ci(CONFIDENCE, method="wilson")
    assert wilson_bounds(successes, total) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_finding_similar_accounts_imports_no_scipy():
    code = """
import sys
import numpy as np
from serving.explanations.similar_accounts import find_similar
from training.data.past_snapshots import PastSnapshots
n = 30
past = PastSnapshots(np.ones((n, 2)), np.arange(n) < 9, np.full(n, "mid"), np.arange(n), np.full(n, "2026-03-01"))
assert find_similar(past, np.ones(2), "mid").churned == 9
print([name for name in ("scipy", "statsmodels") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")
