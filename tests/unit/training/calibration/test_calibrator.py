"""Calibrator: risks rise with the margin and with the horizon, and points add up to the risk."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies
from scipy.special import expit

from tests.support.paths import ROOT
from training.calibration.calibrator import Calibrator
from training.calibration.calibrator_fit import HorizonInterval, SegmentPrior, fit_calibrator, fit_logistic_curve
from training.calibration.horizon_intervals import HorizonRequest, MarginSample, split_into_intervals
from training.labels.definition import CHURNED

TOLERANCE = 1e-9
PRIOR = SegmentPrior(min_churned=50, sd=0.2)
CALIBRATOR = Calibrator((30, 90, 180), (0.8, 1.0, 0.6), (-3.0, -2.5, -2.0), {"small": 0.3})
MAIN_ONLY = HorizonRequest(main=90, others=(), min_churned=20)
any_margin = strategies.floats(-30, 30)
any_offset = strategies.floats(-3, 3)


def interval(
    margins: np.ndarray,
    churned: np.ndarray,
    *,
    until_day: int = 90,
    refit_margins: np.ndarray | None = None,
    account_ids: np.ndarray | None = None,
) -> HorizonInterval:
    """An interval without segments; by default each snapshot is an account and the refit changes no margin."""
    return HorizonInterval(
        until_day=until_day,
        margins=margins,
        refit_margins=margins if refit_margins is None else refit_margins,
        segments=np.full(len(margins), None),
        account_ids=np.arange(len(margins)) if account_ids is None else account_ids,
        churned=churned,
    )


@strategies.composite
def calibrators(draw) -> Calibrator:
    """Any calibrator: up to four horizons, slopes from 0 on."""
    horizons = tuple(sorted(draw(strategies.sets(strategies.integers(1, 400), min_size=1, max_size=4))))
    slopes = tuple(draw(strategies.floats(0, 5)) for _ in horizons)
    return Calibrator(horizons, slopes, tuple(draw(strategies.floats(-10, 10)) for _ in horizons))


@settings(max_examples=60, deadline=None)
@given(calibrators(), strategies.lists(any_margin, min_size=1, max_size=30), any_offset)
def test_risks_never_fall_with_the_horizon_or_the_margin(calibrator, margins, offset):
    risks = calibrator.predict_risks(np.sort(margins), offset)
    assert ((risks >= 0) & (risks <= 1)).all()
    assert (np.diff(risks, axis=1) >= 0).all()
    assert (np.diff(risks, axis=0) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(calibrators(), any_margin, strategies.lists(strategies.floats(-3, 3), min_size=1, max_size=20), any_offset)
def test_points_add_up_to_risk_less_base_at_every_horizon(calibrator, base_margin, contributions, offset):
    delta = np.array([sum(contributions)])
    points = np.array(contributions)[:, None] * calibrator.points_per_margin(base_margin, delta, offset)
    risk, base = (calibrator.predict_risks(np.array([base_margin]) + added, offset) for added in (delta, 0.0))
    assert np.abs(points.sum(axis=0) - (risk - base)[0]).max() < TOLERANCE


@settings(max_examples=12, deadline=None)
@given(strategies.lists(any_margin, min_size=2, max_size=40, unique=True), strategies.integers(0, 1000))
def test_a_fitted_calibrator_never_falls_whatever_the_labels(margins, seed):
    generator = np.random.default_rng(seed)
    labels = {days: generator.integers(0, 2, len(margins)) * 1.0 for days in (30, 90, 180)}
    intervals = [interval(np.array(margins), churned, until_day=days) for days, churned in labels.items()]
    fitted = fit_calibrator(intervals, PRIOR)
    risks = fitted.predict_risks(np.sort(margins))
    assert min(fitted.slopes) > 0
    assert (np.diff(risks, axis=0) >= 0).all()
    assert (np.diff(risks, axis=1) >= 0).all()


def test_points_at_the_base_margin_follow_the_derivative():
    (points,) = CALIBRATOR.points_per_margin(-0.7, np.array([0.0]), 0.3)
    step = 1e-6
    below, above = CALIBRATOR.predict_risks(np.array([-0.7 - step, -0.7 + step]), 0.3)
    assert points == pytest.approx((above - below) / (2 * step), rel=1e-6)


def test_one_horizon_is_a_logistic_curve():
    margins = np.linspace(-40, 40, 9)
    risks = Calibrator((90,), (0.7,), (-1.0,)).predict_risks(margins)[:, 0]
    assert risks == pytest.approx(expit(0.7 * margins - 1), rel=1e-12)


def test_the_curve_behind_the_labels_is_recovered():
    generator = np.random.default_rng(0)
    margins = generator.normal(0, 2, 50_000)
    churned = (generator.random(50_000) < expit(0.5 * margins - 1)).astype(float)
    assert fit_logistic_curve(margins, churned) == (pytest.approx(0.5, abs=0.03), pytest.approx(-1, abs=0.05))


def test_a_fitted_curve_never_falls():
    margins = np.linspace(-2, 2, 200)
    assert fit_logistic_curve(margins, (margins < 0).astype(float))[0] > 0


def simulate(n: int = 60_000, seed: int = 0) -> tuple[MarginSample, np.ndarray]:
    """Snapshots with labels drawn from the calibrator above, and their true risks."""
    generator = np.random.default_rng(seed)
    margins, segments = generator.normal(0, 1.5, n), generator.choice(np.array(["small", "large"], object), n)
    truth = CALIBRATOR.predict_risks(margins, CALIBRATOR.segment_offsets(segments))
    draws = generator.random(n)[:, None]
    labels = dict(zip(("churned_30", CHURNED, "churned_180"), (draws < truth).T.astype(float), strict=True))
    rows = pd.DataFrame(labels).assign(account_id=[str(number) for number in range(n)])
    return MarginSample(rows, margins, margins, segments), truth


def test_the_hazards_and_segment_offsets_are_recovered():
    sample, truth = simulate()
    request = HorizonRequest(main=90, others=(30, 180), min_churned=20)
    intervals, unavailable = split_into_intervals(dict.fromkeys((30, 90, 180), sample), request)
    fitted = fit_calibrator(intervals, SegmentPrior(min_churned=50, sd=1.0))
    assert unavailable == {}
    assert fitted.horizons == (30, 90, 180)
    assert fitted.offsets["small"] - fitted.offsets["large"] == pytest.approx(0.3, abs=0.05)
    assert np.abs(fitted.predict_risks(sample.margins, fitted.segment_offsets(sample.segments)) - truth).mean() < 0.005


def test_a_segment_with_few_labels_gets_no_offset():
    sample, _ = simulate(n=3000)
    intervals, _ = split_into_intervals({90: sample}, MAIN_ONLY)
    is_rare = np.arange(3000) < 60
    with_rare = [replace(part, segments=np.where(is_rare, "rare", part.segments)) for part in intervals]
    fitted = fit_calibrator(with_rare, PRIOR)
    assert sorted(fitted.offsets) == ["large", "small"]
    assert fitted.segment_offsets(["rare", None, "unknown"]).tolist() == [0, 0, 0]


def test_a_horizon_without_departures_of_its_own_is_unavailable():
    sample, _ = simulate(n=3000)
    rows = sample.rows.assign(churned_30=sample.rows[CHURNED], churned_180=sample.rows[CHURNED])
    samples = {days: replace(sample, rows=rows) for days in (30, 90, 180)}
    intervals, unavailable = split_into_intervals(samples, HorizonRequest(main=90, others=(30, 180), min_churned=20))
    assert [interval.until_day for interval in intervals] == [90]
    reason = "only 0 churned between it and the next horizon; at least 20 are needed"
    assert all(reason in text for text in unavailable.values())


def test_only_snapshots_with_a_known_label_are_used():
    sample, _ = simulate(n=3000)
    rows = sample.rows.assign(churned_180=sample.rows.churned_180.where(np.arange(3000) < 2000))
    samples = {days: replace(sample, rows=rows) for days in (90, 180)}
    intervals, _ = split_into_intervals(samples, HorizonRequest(main=90, others=(180,), min_churned=20))
    assert len(intervals[1].churned) == int((sample.rows[CHURNED][:2000] == 0).sum())


def test_uninformative_margins_give_the_recent_rate():
    margins, churned = np.repeat([-1.0, -2.0], 400), np.tile([1.0, 0.0, 0.0, 0.0, 0.0], 160)
    churned[:3] = 1.0  # a slope by chance
    slope, _ = fit_logistic_curve(margins, churned)
    fitted = fit_calibrator([interval(margins, churned)], PRIOR)
    assert abs(slope) > 0.01
    assert fitted.predict_risks(margins)[:, 0] == pytest.approx(churned.mean(), abs=0.001)


def test_a_slope_is_shrunk_more_if_fewer_accounts_support_it():
    generator = np.random.default_rng(0)
    distinct = generator.normal(0, 1, 100)
    margins, churned = (np.repeat(values, 10) for values in (distinct, generator.random(100) < expit(distinct)))
    account_ids = np.arange(1_000), np.arange(1_000) // 10
    intervals = [interval(margins, churned.astype(float), account_ids=ids) for ids in account_ids]
    many, few = (fit_calibrator([part], PRIOR).slopes[0] for part in intervals)
    assert 0.5 < few < many < fit_logistic_curve(margins, churned.astype(float))[0]


def repeat(interval: HorizonInterval, index: np.ndarray) -> HorizonInterval:
    """The interval with these of its snapshots."""
    columns = ("margins", "refit_margins", "segments", "account_ids", "churned")
    return replace(interval, **{name: getattr(interval, name)[index] for name in columns})


def test_accounts_with_three_snapshots_weigh_as_much_as_with_one():
    sample, _ = simulate(n=1_500)
    (once,), _ = split_into_intervals({90: sample}, MAIN_ONLY)
    thrice = repeat(once, np.tile(np.arange(1_500), 3))
    first, second = (fit_calibrator([part], PRIOR) for part in (once, thrice))
    assert second.offsets == pytest.approx(first.offsets, abs=1e-4)
    assert second.slopes + second.intercepts == pytest.approx(first.slopes + first.intercepts, abs=1e-4)


def test_accounts_weigh_the_same_with_fewer_snapshots():
    sample, _ = simulate(n=3_000)
    (once,), _ = split_into_intervals({90: sample}, MAIN_ONLY)
    uneven = repeat(once, np.repeat(np.arange(3_000), np.where(once.churned == 1, 1, 3)))
    unrelated = replace(uneven, account_ids=np.arange(len(uneven.churned)).astype(str))
    first, second = (fit_calibrator([part], SegmentPrior(50, sd=100.0)) for part in (uneven, unrelated))
    assert first.offsets == pytest.approx(second.offsets, abs=0.01)


def test_it_is_the_same_to_the_byte_on_any_number_of_threads():
    code = """
import numpy as np
from training.calibration.calibrator_fit import HorizonInterval, SegmentPrior, fit_calibrator
draw = np.random.default_rng(0)
margins = draw.normal(size=60_000)
churned = (draw.random(60_000) < 1 / (1 + np.exp(2 - margins))).astype(float)
names = np.arange(60_000).astype(str)
segments = np.where(margins > 0, "a", "b").astype(object)
print(fit_calibrator([HorizonInterval(90, margins, margins, segments, names, churned)], SegmentPrior(10, 0.2)))
"""

    def run(threads: str) -> str:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert run("1") == run("2") != ""
