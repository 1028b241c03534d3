"""A line over time with marks; the table beside it has the numbers."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from markupsafe import Markup

WIDTH, HEIGHT = 640, 180
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 24
STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25)
MAX_LINES = 4


class TimePoint(NamedTuple):
    """A share at an instant, and what is marked there; empty for nothing."""

    at: datetime
    share: float
    mark: str = ""


def time_line(points: Sequence[TimePoint], label: str) -> Markup:
    """The SVG of shares over time, from 0 to above the highest; empty for fewer than two points."""
    if len(points) < 2:
        return Markup("")
    step = next((step for step in STEPS if max(point.share for point in points) / step <= MAX_LINES), 0.25)
    lines = int(max(point.share for point in points) / step) + 1
    first, last = points[0].at.timestamp(), points[-1].at.timestamp()

    def x(point: TimePoint) -> float:
        return LEFT + (point.at.timestamp() - first) / ((last - first) or 1) * (WIDTH - LEFT - RIGHT)

    def y(share: float) -> float:
        return TOP + (1 - share / (lines * step)) * (HEIGHT - TOP - BOTTOM)

    grid = [_grid_line(y(index * step), index * step) for index in range(lines + 1)]
    marks = [_mark(x(point)) for point in points if point.mark]
    dots = [dot(x(point), y(point.share), point is points[-1]) for point in points]
    path = " ".join(f"{x(point):.1f},{y(point.share):.1f}" for point in points)
    axis = [day_text(LEFT, points[0].at, "start"), day_text(WIDTH - RIGHT, points[-1].at, "end")]
    return Markup('<svg class="line-chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, label, Markup("").join([*grid, *marks, polyline(path), *dots, *axis])
    )


def _grid_line(y: float, share: float) -> Markup:
    return Markup(
        '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text x="{}" y="{:.1f}" text-anchor="end" dominant-baseline="middle">{:.3g} %</text>'
    ).format(LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y, share * 100)


def _mark(x: float) -> Markup:
    return Markup('<line class="mark" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(x, x, TOP, HEIGHT - BOTTOM)


def polyline(path: str, *, is_dashed: bool = False) -> Markup:
    """The line through points."""
    return Markup('<polyline{} points="{}"/>').format(Markup(' class="dashed"') if is_dashed else "", path)


def dot(x: float, y: float, is_last: bool) -> Markup:
    """A point of a line; the last is filled."""
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{}"/>').format(
        "now" if is_last else "dot", x, y, 4 if is_last else 2.5
    )


def day_text(x: float, at: datetime, anchor: str) -> Markup:
    """A day below the axis."""
    return Markup('<text x="{}" y="{}" text-anchor="{}">{} {}</text>').format(
        x, HEIGHT - 6, anchor, at.day, f"{at:%b %Y}"
    )
