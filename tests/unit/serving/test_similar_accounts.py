"""Similar past accounts: the nearest of the same segment, each once, and never a rate of fewer than 20."""

import numpy as np
import pytest

from serving.explanations.similar_accounts import find_similar
from training.data.past_snapshots import PastSnapshots, load_past, save_past


def make_past(accounts: np.ndarray | None = None, segment: str = "mid", n: int = 200) -> PastSnapshots:
    """Accounts of which the first half, around 1, left, and the others, around -1, stayed."""
    contributions = np.repeat([[1.0, 0.0], [-1.0, 0.0]], n // 2, axis=0) + np.arange(n)[:, None] * 1e-4
    return PastSnapshots(
        contributions=contributions,
        churned=np.arange(n) < n // 2,
        segments=np.full(n, segment),
        accounts=np.arange(n) if accounts is None else accounts,
        days=np.full(n, "2026-03-01"),
    )


@pytest.mark.parametrize(("position", "churned"), [(1.0, 50), (-1.0, 0)])
def test_the_nearest_accounts_say_what_became_of_them(position: float, churned: int):
    similar = find_similar(make_past(), np.array([position, 0.0]), "mid")
    assert (similar.searched, similar.count, similar.churned) == (200, 50, churned)
    assert similar.low <= similar.rate <= similar.high


def test_the_interval_is_that_of_wilson():
    similar = find_similar(make_past(), np.array([-1.0, 0.0]), "mid")
    assert (similar.low, similar.high) == pytest.approx((0.0, 0.0714), abs=1e-4)  # 0 of 50


def test_an_account_with_many_snapshots_counts_once():
    past = make_past(accounts=np.arange(200) // 4)
    similar = find_similar(past, np.array([1.0, 0.0]), "mid")
    assert (similar.searched, similar.count, similar.churned) == (50, 50, 25)


@pytest.mark.parametrize(("n", "segment", "searched"), [(18, "mid", 18), (200, "enterprise", 0)])
def test_fewer_than_twenty_are_too_few(n: int, segment: str, searched: int):
    similar = find_similar(make_past(n=n), np.array([1.0, 0.0]), segment)
    assert (similar.count, similar.searched) == (0, searched)


def test_without_a_segment_all_are_searched():
    assert find_similar(make_past(), np.array([1.0, 0.0]), None).searched == 200


def test_they_are_read_as_they_were_written(tmp_path):
    assert load_past(tmp_path) is None
    past = make_past()
    save_past(past, tmp_path)
    again = load_past(tmp_path)
    assert again is not None
    assert all(np.array_equal(array, again.arrays()[name]) for name, array in past.arrays().items())
