"""Counterfactuals: only actionable signals change, only within the segment's range, cheapest first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from configs.errors import RequestError
from serving.explanations.counterfactuals import (
    CounterfactualCase,
    apply_changes,
    encode_changes,
    find_cheapest_changes,
    find_single_changes,
)
from serving.explanations.peer_percentiles import ALL_SEGMENTS, compute_peers, sample_rows
from training.model.churn_model import ModelInput


def _input(name: str, kind: str = "number", actionable: bool = True, categories: tuple[str, ...] = ()) -> ModelInput:
    return ModelInput(name, "adoption", name, f"{name}.", "", kind, actionable, categories=categories)


INPUTS = (
    _input("events"),
    _input("tickets"),
    _input("tenure", actionable=False),
    _input("plan", "category", True, ("a", "b")),
)
NAMES = [model_input.name for model_input in INPUTS]
# 100 accounts of each segment: small ones have 0 to 99 events, large ones ten times as many; none has a tenure.
SMALL = np.column_stack([np.arange(100.0), np.arange(100.0) % 10, np.full(100, np.nan), np.zeros(100)])
PEERS = compute_peers(np.concatenate([SMALL, SMALL * 10]), NAMES, ["small"] * 100 + ["large"] * 100)


def _case(row: np.ndarray = SMALL[0]) -> CounterfactualCase:
    return CounterfactualCase(row, INPUTS, PEERS, "small")


def test_percentiles_are_within_the_segment():
    assert PEERS.percentile("small", "events", 49.5) == pytest.approx(50, abs=0.51)
    assert PEERS.percentile("large", "events", 495) == pytest.approx(50, abs=0.51)
    assert PEERS.percentile(None, "events", 99) == pytest.approx(55, abs=1)
    assert PEERS.percentile("small", "tenure", 3.0) is None
    assert PEERS.percentile("small", "events", None) is None
    assert PEERS.percentile("small", "unheard_of", 3.0) is None


def test_a_value_that_most_peers_share_is_the_median():
    peers = compute_peers(np.zeros((40, 1)), ["events"], ["small"] * 40)
    assert peers.percentile("small", "events", 0.0) == 50
    assert (peers.percentile("small", "events", -1.0), peers.percentile("small", "events", 1.0)) == (0, 100)


@given(arrays(float, st.integers(30, 60), elements=st.floats(-1e6, 1e6)), st.data())
def test_percentiles_rise_with_the_value(values, data):
    peers = compute_peers(values[:, None], ["x"], [None] * len(values))
    low, high = sorted(data.draw(st.floats(-2e6, 2e6)) for _ in range(2))
    percentiles = [peers.percentile(None, "x", value) or 0.0 for value in (low, high)]
    assert 0 <= percentiles[0] <= percentiles[1] <= 100


def test_a_small_segment_has_all_accounts_as_its_peers():
    peers = compute_peers(SMALL, NAMES, ["rare"] * 5 + ["small"] * 95)
    assert set(peers.segments) == {ALL_SEGMENTS, "small"}
    assert peers.plausible_range("rare", "events") == peers.plausible_range(None, "events")


def test_a_sample_has_accounts_of_each_segment():
    segments = ["big"] * 5000 + [None] * 10
    rows = sample_rows(segments, max_per_segment=100)
    assert (len(rows), (rows >= 5000).sum()) == (110, 10)


def test_changes_are_encoded_by_column():
    assert encode_changes({"events": 20, "plan": "b"}, _case()) == {0: 20.0, 3: 1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tenure": 10}, "is not actionable"),
        ({"evnts": 10}, "has no signal 'evnts'"),
        ({"events": 100}, "ranges from 0.99 to 98.01"),
        ({"events": -1}, "not plausible"),
        ({"events": float("nan")}, "not plausible"),
        ({"events": "many"}, "must be a number"),
        ({"plan": "c"}, "has no category 'c'"),
        ({"plan": 1.0}, "has no category 1.0"),
    ],
)
def test_implausible_changes_are_refused(change, message):
    with pytest.raises(RequestError, match=message) as refusal:
        encode_changes(change, _case())
    assert refusal.value.status == 422


def test_applying_changes_keeps_the_original_row():
    row = np.array([1.0, 2.0])
    assert apply_changes(row, {1: 5.0}).tolist() == [1.0, 5.0]
    assert row.tolist() == [1.0, 2.0]


def _risks(matrix: np.ndarray) -> np.ndarray:
    """The risk falls with events and rises with tickets; one ticket less counts far more than one event more."""
    return 0.5 - 0.001 * matrix[:, 0] + 0.02 * matrix[:, 1]


def test_the_cheapest_changes_lower_the_risk_step_by_step():
    row = np.array([20.0, 8.0, np.nan, 0.0])
    steps = find_cheapest_changes(_case(row), _risks)
    assert [step.signal for step in steps] == ["tickets", "events"]
    assert [step.risk for step in steps] == sorted((step.risk for step in steps), reverse=True)
    assert steps[0].risk < _risks(row[None, :])[0]


def test_no_change_is_suggested_if_none_helps():
    best = np.array([89.1, 0.0, np.nan, 0.0])
    assert find_cheapest_changes(_case(best), lambda matrix: np.zeros(len(matrix))) == []


def test_single_changes_are_one_per_signal_and_each_from_the_account_as_it_is():
    row = np.array([20.0, 8.0, np.nan, 0.0])
    changes = find_single_changes(_case(row), _risks)
    assert [change.signal for change in changes] == ["tickets", "events"]
    for change in changes:
        changed = apply_changes(row, {NAMES.index(change.signal): change.target})
        assert change.risk == _risks(changed[None, :])[0]
