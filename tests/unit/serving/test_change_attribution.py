"""Why a risk moved: the parts always sum to the change, and each is blamed for nothing that it did not do."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.explanations.change_attribution import ChangeInputs, RiskChange, attribute_change
from training.model.calibrator import Calibrator

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


def _same_model(one: ChangeInputs) -> ChangeInputs:
    return replace(
        one,
        shares=[one.shares[0], one.shares[0]],
        base_margins=[one.base_margins[0]] * 2,
        calibrators=[one.calibrators[0]] * 2,
    )


def _sum(found: RiskChange) -> np.ndarray:
    return found.signals.sum(axis=1) + found.base + found.trees + found.calibration


@settings(max_examples=100, deadline=None)
@given(sides())
def test_the_parts_sum_to_the_change(one):
    found = attribute_change(one)
    assert np.abs(found.after - found.before - _sum(found)).max() < EXACT


@settings(max_examples=50, deadline=None)
@given(sides())
def test_with_one_model_it_is_the_difference_of_the_points_served(one):
    one = _same_model(one)
    found, calibrator = attribute_change(one), one.calibrators[0]
    column = calibrator.horizon_index(one.horizon_days)

    def served(side: int) -> np.ndarray:
        these, offsets = one.shares[0][side], calibrator.segment_offsets(one.segments[side])
        return these * calibrator.points_per_margin(one.base_margins[0], these.sum(axis=1), offsets)[:, [column]]

    assert np.abs(found.signals - (served(1) - served(0))).max() < EXACT
    assert np.abs(found.trees).max() < EXACT
    assert np.abs(found.calibration).max() < EXACT


@settings(max_examples=50, deadline=None)
@given(sides())
def test_signals_that_stayed_are_blamed_for_nothing(one):
    still = replace(one, shares=[[these[0]] * 2 for these in one.shares], segments=[one.segments[0]] * 2)
    found = attribute_change(still)
    assert np.abs(found.signals).max() < EXACT
    assert np.abs(found.base).max() < EXACT


@settings(max_examples=50, deadline=None)
@given(sides())
def test_a_new_calibration_alone_is_blamed_alone(one):
    alone = replace(_same_model(one), calibrators=one.calibrators)
    alone = replace(alone, shares=[[alone.shares[0][0]] * 2] * 2, segments=[one.segments[0]] * 2)
    found = attribute_change(alone)
    assert np.abs(found.calibration - (found.after - found.before)).max() < EXACT
    assert np.abs(found.trees).max() < EXACT


@settings(max_examples=50, deadline=None)
@given(sides())
def test_the_way_back_is_the_same_change_with_the_sign_turned(one):
    back = ChangeInputs(
        shares=[these[::-1] for these in one.shares[::-1]],
        base_margins=one.base_margins[::-1],
        calibrators=one.calibrators[::-1],
        segments=one.segments[::-1],
        horizon_days=one.horizon_days,
    )
    there, again = attribute_change(one), attribute_change(back)
    for part in ("signals", "base", "trees", "calibration"):
        assert np.abs(getattr(there, part) + getattr(again, part)).max() < EXACT


def test_a_segment_that_changed_moves_the_base_and_says_so():
    calibrator = Calibrator((90,), (1.0,), (-2.0,), {"small": 0.5})
    nothing = np.zeros((1, 2))
    found = attribute_change(ChangeInputs([[nothing] * 2] * 2, [0.0] * 2, [calibrator] * 2, [["mid"], ["small"]], 90))
    assert found.base[0] == pytest.approx(1 / (1 + np.exp(1.5)) - 1 / (1 + np.exp(2.0)), abs=EXACT)
    assert found.signals.sum() == 0


def test_a_horizon_that_a_model_never_learned_is_refused():
    calibrator = Calibrator((90,), (1.0,), (-2.0,))
    nothing = np.zeros((1, 2))
    with pytest.raises(ValueError, match="not in tuple"):
        attribute_change(ChangeInputs([[nothing] * 2] * 2, [0.0] * 2, [calibrator] * 2, [[None]] * 2, 30))
