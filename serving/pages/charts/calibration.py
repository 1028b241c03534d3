"""Calibration: what was predicted against what happened, with intervals; the table beside it has the numbers."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

SIZE, LEFT, BOTTOM, MARGIN = 280, 44, 28, 10


class CalibrationPoint(NamedTuple):
    """A group of accounts: its mean risk, and the share that churned with the bounds of its interval."""

    risk: float
    rate: float
    low: float
    high: float


def draw_calibration(points: Sequence[CalibrationPoint]) -> Markup:
    """The SVG of the groups beside the line on which as many churn as predicted; empty without groups."""
    if not points:
        return Markup("")
    top = max(max(point.risk, point.high) for point in points) * 1.05
    scale = (SIZE - LEFT - MARGIN) / top
    marks = [_draw_point(point, scale) for point in points]
    return Markup(
        '<svg class="line-chart square" viewBox="0 0 {} {}" role="img"'
        ' aria-label="Calibration; the table below has the numbers.">'
        '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        '<line class="ideal" x1="{}" x2="{:.1f}" y1="{}" y2="{:.1f}"/>{}'
        '<text x="{}" y="{}" text-anchor="middle">predicted, to {:.0f} %</text>'
        '<text x="{}" y="{}">churned, to {:.0f} %</text></svg>'
    ).format(
        SIZE, SIZE,
        LEFT, SIZE - MARGIN, SIZE - BOTTOM, SIZE - BOTTOM, LEFT, LEFT, MARGIN, SIZE - BOTTOM,
        LEFT, LEFT + top * scale, SIZE - BOTTOM, SIZE - BOTTOM - top * scale, Markup("").join(marks),
        (SIZE + LEFT) / 2, SIZE - 8, top * 100,
        LEFT + 6, MARGIN + 10, top * 100,
    )  # fmt: skip


def _draw_point(point: CalibrationPoint, scale: float) -> Markup:
    x = LEFT + point.risk * scale
    low, rate, high = (SIZE - BOTTOM - share * scale for share in (point.low, point.rate, point.high))
    return Markup(
        '<line class="interval" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
        '<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="3.5"/>'
    ).format(x, x, low, high, x, rate)
