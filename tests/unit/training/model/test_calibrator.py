"""Calibration: risks rise with the margin, never cross, and hand every share of the margin its points."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.special import expit

from tests.conftest import ROOT
from training.data.training_set import CHURNED
from training.model.calibrator import Calibrator
from training.model.calibrator_fit import SegmentRule, Span, fit_calibrator, logistic_curve
from training.model.horizon_intervals import Asked, Seen, spans_between

EXACT = 1e-9
RULE = SegmentRule(fewest=50, spread=0.2)
DRIFT = 0.1
CALIBRATOR = Calibrator((30, 90, 180), (0.8, 1.0, 0.6), (-3.0, -2.5, -2.0), {"small": 0.3})
spread = some.floats(-30, 30)


def span(
    margins: np.ndarray,
    left: np.ndarray,
    *,
    until_day: int = 90,
    served: np.ndarray | None = None,
    accounts: np.ndarray | None = None,
) -> Span:
    """A span without segments; where nothing else is said each snapshot is an account and all trees agree."""
    names = np.arange(len(margins)) if accounts is None else accounts
    return Span(until_day, margins, margins if served is None else served, np.full(len(margins), None), names, left)


@some.composite
def calibrators(draw) -> Calibrator:
    """Any calibrator: up to four horizons, slopes from 0 on."""
    horizons = tuple(sorted(draw(some.sets(some.integers(1, 400), min_size=1, max_size=4))))
    slopes = tuple(draw(some.floats(0, 5)) for _ in horizons)
    return Calibrator(horizons, slopes, tuple(draw(some.floats(-10, 10)) for _ in horizons))


@settings(max_examples=60, deadline=None)
@given(calibrators(), some.lists(spread, min_size=1, max_size=30), some.floats(-3, 3))
def test_risks_never_cross_and_never_fall_with_the_margin(calibrator, margins, offset):
    risks = calibrator.risks(np.sort(margins), offset)
    assert ((risks >= 0) & (risks <= 1)).all()
    assert (np.diff(risks, axis=1) >= 0).all()
    assert (np.diff(risks, axis=0) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(calibrators(), spread, some.lists(some.floats(-3, 3), min_size=1, max_size=20), some.floats(-3, 3))
def test_points_of_every_horizon_add_up_to_risk_less_base(calibrator, base_margin, shares, offset):
    steps = np.array([sum(shares)])
    points = np.array(shares)[:, None] * calibrator.points_per_share(base_margin, steps, offset)
    gained = calibrator.risks(base_margin + steps, offset) - calibrator.risks(np.array([base_margin]), offset)
    assert np.abs(points.sum(axis=0) - gained[0]).max() < EXACT


@settings(max_examples=12, deadline=None)
@given(some.lists(spread, min_size=2, max_size=40, unique=True), some.integers(0, 1000))
def test_a_fitted_calibrator_never_crosses_whatever_it_was_fitted_on(margins, seed):
    generator = np.random.default_rng(seed)
    spans = [
        span(np.array(margins), generator.integers(0, 2, len(margins)) * 1.0, until_day=days) for days in (30, 90, 180)
    ]
    fitted = fit_calibrator(spans, RULE, DRIFT)
    risks = fitted.risks(np.sort(margins))
    assert min(fitted.slopes) > 0
    assert (np.diff(risks, axis=0) >= 0).all()
    assert (np.diff(risks, axis=1) >= 0).all()


def test_where_the_margin_stands_still_points_follow_the_derivative():
    (still,) = CALIBRATOR.points_per_share(-0.7, np.array([0.0]), 0.3)
    step = 1e-6
    below, above = CALIBRATOR.risks(np.array([-0.7 - step, -0.7 + step]), 0.3)
    assert still == pytest.approx((above - below) / (2 * step), rel=1e-6)


def test_one_horizon_is_the_logistic_curve():
    margins = np.linspace(-40, 40, 9)
    found = Calibrator((90,), (0.7,), (-1.0,)).risks(margins)[:, 0]
    assert found == pytest.approx(expit(0.7 * margins - 1), rel=1e-12)


def test_the_curve_that_made_the_answers_is_found():
    generator = np.random.default_rng(0)
    margins = generator.normal(0, 2, 50_000)
    churned = (generator.random(50_000) < expit(0.5 * margins - 1)).astype(float)
    assert logistic_curve(margins, churned) == (pytest.approx(0.5, abs=0.03), pytest.approx(-1, abs=0.05))


def test_a_curve_never_falls():
    margins = np.linspace(-2, 2, 200)
    assert logistic_curve(margins, (margins < 0).astype(float))[0] > 0


def made(n: int = 60_000, seed: int = 0) -> tuple[Seen, np.ndarray]:
    """Snapshots whose answers the calibrator above made: the seen ones, and the true risks."""
    generator = np.random.default_rng(seed)
    margins, segments = generator.normal(0, 1.5, n), generator.choice(np.array(["small", "large"], object), n)
    truth = CALIBRATOR.risks(margins, CALIBRATOR.offsets_of(segments))
    when = generator.random(n)[:, None]
    answers = dict(zip(("churned_30", CHURNED, "churned_180"), (when < truth).T.astype(float), strict=True))
    rows = pd.DataFrame(answers).assign(account_id=[str(number) for number in range(n)])
    return Seen(rows, margins, margins, segments), truth


def test_the_hazards_and_the_segments_that_made_the_answers_are_found():
    seen, truth = made()
    spans, left_out = spans_between(dict.fromkeys((30, 90, 180), seen), Asked(90, (30, 180), 20))
    found = fit_calibrator(spans, SegmentRule(fewest=50, spread=1.0), DRIFT)
    assert left_out == {}
    assert found.horizons == (30, 90, 180)
    assert found.offsets["small"] - found.offsets["large"] == pytest.approx(0.3, abs=0.05)
    assert np.abs(found.risks(seen.margins, found.offsets_of(seen.segments)) - truth).mean() < 0.005


def test_a_segment_with_few_answers_keeps_the_calibration_of_all():
    seen, _ = made(n=3000)
    spans, _ = spans_between({90: seen}, Asked(90, (), 20))
    few = [replace(s, segments=np.where(np.arange(len(s.margins)) < 60, "rare", s.segments)) for s in spans]
    found = fit_calibrator(few, RULE, DRIFT)
    assert sorted(found.offsets) == ["large", "small"]
    assert found.offsets_of(["rare", None, "unheard of"]).tolist() == [0, 0, 0]


def test_a_horizon_is_left_out_where_too_few_left_between_it_and_the_next():
    seen, _ = made(n=3000)
    rows = seen.rows.assign(churned_30=seen.rows[CHURNED], churned_180=seen.rows[CHURNED])
    alike = replace(seen, rows=rows)
    spans, why = spans_between(dict.fromkeys((30, 90, 180), alike), Asked(90, (30, 180), 20))
    assert [one.until_day for one in spans] == [90]
    assert all("only 0 left between it and the next horizon; 20 are needed" in told for told in why.values())


def test_only_snapshots_whose_answer_is_known_are_learned_from():
    seen, _ = made(n=3000)
    rows = seen.rows.assign(churned_180=seen.rows.churned_180.where(np.arange(3000) < 2000))
    spans, _ = spans_between(dict.fromkeys((90, 180), replace(seen, rows=rows)), Asked(90, (180,), 20))
    assert len(spans[1].left) == int((seen.rows[CHURNED][:2000] == 0).sum())


def test_margins_that_say_nothing_give_everyone_the_newest_rate():
    margins, left = np.repeat([-1.0, -2.0], 400), np.tile([1.0, 0.0, 0.0, 0.0, 0.0], 160)
    left[:3] = 1.0  # chance tells a little
    free, _ = logistic_curve(margins, left)
    found = fit_calibrator([span(margins, left)], RULE, DRIFT)
    assert abs(free) > 0.01
    assert found.risks(margins)[:, 0] == pytest.approx(left.mean(), abs=0.001)


def test_a_slope_is_shrunk_the_more_the_fewer_accounts_tell_it():
    generator = np.random.default_rng(0)
    one_each = generator.normal(0, 1, 100)
    margins, left = (np.repeat(values, 10) for values in (one_each, generator.random(100) < expit(one_each)))
    owners = np.arange(1_000), np.arange(1_000) // 10
    of_many, of_few = (span(margins, left.astype(float), accounts=accounts) for accounts in owners)
    slopes = [fit_calibrator([one], RULE, DRIFT).slopes[0] for one in (of_many, of_few)]
    assert 0.5 < slopes[1] < slopes[0] < logistic_curve(margins, left.astype(float))[0]


@pytest.mark.parametrize(("n", "believed"), [(40_000, 0.95), (200, 0.3)])
def test_a_drift_is_believed_as_far_as_it_is_told(n, believed):
    generator = np.random.default_rng(1)
    served = generator.normal(0, 1, n)
    left = (generator.random(n) < expit(served)).astype(float)
    # The trees before these were too low by 0.4; these have learned the newest level.
    found = fit_calibrator([span(served - 0.4, left, served=served)], RULE, DRIFT)
    newest = fit_calibrator([span(served, left)], RULE, DRIFT)
    drifted = (found.intercepts[0] - newest.intercepts[0]) / 0.4
    assert drifted == pytest.approx(believed, abs=0.1)


def test_accounts_seen_on_three_days_say_no_more_than_the_same_seen_once():
    seen, _ = made(n=1_500)
    (once,), _ = spans_between({90: seen}, Asked(90, (), 20))
    parts = (once.margins, once.served, once.segments, once.accounts, once.left)
    thrice = Span(90, *(np.tile(one, 3) for one in parts))
    first, second = (fit_calibrator([one], RULE, DRIFT) for one in (once, thrice))
    assert second.offsets == pytest.approx(first.offsets, abs=1e-4)
    assert second.slopes + second.intercepts == pytest.approx(first.slopes + first.intercepts, abs=1e-4)


def test_accounts_that_left_do_not_weigh_more_for_being_seen_on_fewer_days():
    seen, _ = made(n=3_000)
    (once,), _ = spans_between({90: seen}, Asked(90, (), 20))
    often = np.repeat(np.arange(3_000), np.where(once.left == 1, 1, 3))
    unevenly = Span(90, *(one[often] for one in (once.margins, once.served, once.segments, once.accounts, once.left)))
    as_strangers = replace(unevenly, accounts=np.arange(len(often)).astype(str))
    wide = SegmentRule(fewest=50, spread=100.0)
    first, second = (fit_calibrator([one], wide, DRIFT) for one in (unevenly, as_strangers))
    assert first.offsets == pytest.approx(second.offsets, abs=0.01)


def test_it_is_the_same_to_the_byte_however_many_threads_add_up():
    made = """
import numpy as np
from training.hazards import SegmentRule, Span, fit_calibrator
draw = np.random.default_rng(0)
margins = draw.normal(size=60_000)
left = (draw.random(60_000) < 1 / (1 + np.exp(2 - margins))).astype(float)
names = np.arange(60_000).astype(str)
segments = np.where(margins > 0, "a", "b").astype(object)
print(fit_calibrator([Span(90, margins, margins, segments, names, left)], SegmentRule(10, 0.2), 0.1))
"""
    said = []
    for threads in ("1", "2"):
        told = {"env": {**os.environ, "OPENBLAS_NUM_THREADS": threads}, "cwd": ROOT, "capture_output": True}
        said.append(subprocess.run([sys.executable, "-c", made], text=True, check=True, **told).stdout)
    assert said[0] == said[1] != ""
