"""Attribution of a change of risk: the parts sum to the change, and a part that did not change is zero."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.explanations.change_attribution import ChangeInputs, RiskChange, attribute_change
from training.calibration.calibrator import Calibrator

EXACT = 1e-9
HORIZONS = (30, 90, 180)
INPUTS, ACCOUNTS = 4, 3
numbers = st.floats(-3, 3)
segments = st.lists(st.sampled_from(["small", "mid", None]), min_size=ACCOUNTS, max_size=ACCOUNTS)


@st.composite
def shares(draw) -> np.ndarray:
    flat = draw(st.lists(numbers, min_size=ACCOUNTS * INPUTS, max_size=ACCOUNTS * INPUTS))
    return np.array(flat).reshape(ACCOUNTS, INPUTS)


@st.composite
def calibrators(draw) -> Calibrator:
    slopes = tuple(draw(st.floats(0, 2)) for _ in HORIZONS)
    intercepts = tuple(draw(st.floats(-6, 1)) for _ in HORIZONS)
    return Calibrator(HORIZONS, slopes, intercepts, {"small": draw(st.floats(-1, 1))})


@st.composite
def sides(draw) -> ChangeInputs:
    return ChangeInputs(
        shares=[[draw(shares()) for _ in range(2)] for _ in range(2)],
        base_margins=[draw(numbers), draw(numbers)],
        calibrators=[draw(calibrators()), draw(calibrators())],
        segments=[draw(segments), draw(segments)],
        horizon_days=draw(st.sampled_from(HORIZONS)),
    )


def _with_one_model(inputs: ChangeInputs) -> ChangeInputs:
    return replace(
        inputs,
        shares=[inputs.shares[0], inputs.shares[0]],
        base_margins=[inputs.base_margins[0]] * 2,
        calibrators=[inputs.calibrators[0]] * 2,
    )


def _sum(change: RiskChange) -> np.ndarray:
    return change.signals.sum(axis=1) + change.base + change.trees + change.calibration


@settings(max_examples=100, deadline=None)
@given(sides())
def test_the_parts_sum_to_the_change(inputs):
    change = attribute_change(inputs)
    assert np.abs(change.after - change.before - _sum(change)).max() < EXACT


@settings(max_examples=50, deadline=None)
@given(sides())
def test_with_one_model_it_is_the_difference_of_points(inputs):
    inputs = _with_one_model(inputs)
    change, calibrator = attribute_change(inputs), inputs.calibrators[0]
    column = calibrator.horizon_index(inputs.horizon_days)

    def points_of_side(side: int) -> np.ndarray:
        side_shares, offsets = inputs.shares[0][side], calibrator.segment_offsets(inputs.segments[side])
        return (
            side_shares
            * calibrator.points_per_margin(inputs.base_margins[0], side_shares.sum(axis=1), offsets)[:, [column]]
        )

    assert np.abs(change.signals - (points_of_side(1) - points_of_side(0))).max() < EXACT
    assert np.abs(change.trees).max() < EXACT
    assert np.abs(change.calibration).max() < EXACT


@settings(max_examples=50, deadline=None)
@given(sides())
def test_unchanged_signals_have_no_part_in_the_change(inputs):
    unchanged = replace(
        inputs, shares=[[side_shares[0]] * 2 for side_shares in inputs.shares], segments=[inputs.segments[0]] * 2
    )
    change = attribute_change(unchanged)
    assert np.abs(change.signals).max() < EXACT
    assert np.abs(change.base).max() < EXACT


@settings(max_examples=50, deadline=None)
@given(sides())
def test_a_new_calibration_alone_is_the_whole_change(inputs):
    changed = replace(_with_one_model(inputs), calibrators=inputs.calibrators)
    changed = replace(changed, shares=[[changed.shares[0][0]] * 2] * 2, segments=[inputs.segments[0]] * 2)
    change = attribute_change(changed)
    assert np.abs(change.calibration - (change.after - change.before)).max() < EXACT
    assert np.abs(change.trees).max() < EXACT


@settings(max_examples=50, deadline=None)
@given(sides())
def test_the_reverse_change_has_the_opposite_sign(inputs):
    reverse = ChangeInputs(
        shares=[side_shares[::-1] for side_shares in inputs.shares[::-1]],
        base_margins=inputs.base_margins[::-1],
        calibrators=inputs.calibrators[::-1],
        segments=inputs.segments[::-1],
        horizon_days=inputs.horizon_days,
    )
    forward, backward = attribute_change(inputs), attribute_change(reverse)
    for part in ("signals", "base", "trees", "calibration"):
        assert np.abs(getattr(forward, part) + getattr(backward, part)).max() < EXACT


def test_a_changed_segment_moves_the_base():
    calibrator = Calibrator((90,), (1.0,), (-2.0,), {"small": 0.5})
    zeros = np.zeros((1, 2))
    change = attribute_change(ChangeInputs([[zeros] * 2] * 2, [0.0] * 2, [calibrator] * 2, [["mid"], ["small"]], 90))
    assert change.base[0] == pytest.approx(1 / (1 + np.exp(1.5)) - 1 / (1 + np.exp(2.0)), abs=EXACT)
    assert change.signals.sum() == 0


def test_an_unknown_horizon_is_refused():
    calibrator = Calibrator((90,), (1.0,), (-2.0,))
    zeros = np.zeros((1, 2))
    with pytest.raises(ValueError, match="not in tuple"):
        attribute_change(ChangeInputs([[zeros] * 2] * 2, [0.0] * 2, [calibrator] * 2, [[None]] * 2, 30))
