"""Lines over time on one axis of counts, or of powers of ten; the table beside them has the numbers."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from markupsafe import Markup

from serving.pages.charts.line import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, day_text, dot, polyline

MAX_GRID_LINES = 5
MIN_POWER, MAX_POWER = -2, 12  # evidence beyond is drawn at the edge


class Series(NamedTuple):
    """A line: its values by time, what is written at its end, and whether it is dashed, as a limit is."""

    points: Sequence[tuple[datetime, float]]
    name: str = ""
    is_dashed: bool = False


def draw_series(series: Sequence[Series], label: str, *, is_log: bool = False) -> Markup:
    """The SVG of the lines with two points or more, from 0 or in powers of ten; empty if there is none."""
    series = [line for line in series if len(line.points) > 1]
    if not series:
        return Markup("")
    instants = [at for line in series for at, _ in line.points]
    first, last = min(instants), max(instants)
    seconds = (last - first).total_seconds() or 1.0
    ticks = _powers(series) if is_log else _counts(series)

    def x(at: datetime) -> float:
        return LEFT + (at - first).total_seconds() / seconds * (WIDTH - LEFT - RIGHT)

    def y(height: float) -> float:
        return TOP + (1 - (height - ticks[0]) / (ticks[-1] - ticks[0])) * (HEIGHT - TOP - BOTTOM)

    parts = [_grid_line(y(tick), 10.0**tick if is_log else tick) for tick in ticks]
    for line in series:
        heights = [(x(at), y(_log(value) if is_log else value)) for at, value in line.points]
        parts.append(polyline(" ".join(f"{left:.1f},{top:.1f}" for left, top in heights), is_dashed=line.is_dashed))
        parts += [] if line.is_dashed else [dot(left, top, (left, top) == heights[-1]) for left, top in heights]
        parts += [_name(*heights[-1], line.name)] if line.name else []
    axis = [day_text(LEFT, first, "start"), day_text(WIDTH - RIGHT, last, "end")]
    return Markup('<svg class="line-chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, label, Markup("").join([*parts, *axis])
    )


def format_tick(value: float) -> str:
    """A short number for an axis.

    >>> format_tick(0.1), format_tick(250.0), format_tick(1e5), format_tick(1e7)
    ('0.1', '250', '100\\xa0k', '10\\xa0M')
    """
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}\u00a0{unit}"
    return f"{value:g}"


def _log(value: float) -> float:
    return math.log10(min(max(value, 10.0**MIN_POWER), 10.0**MAX_POWER))


def _powers(series: Sequence[Series]) -> list[int]:
    logs = [_log(value) for line in series for _, value in line.points]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    step = max(math.ceil((high - low) / MAX_GRID_LINES), 1)
    return list(range(low, max(high, low + 1) + step, step))


def _counts(series: Sequence[Series]) -> list[float]:
    """Ticks from 0 to the highest value, a round number apart."""
    highest = max([value for line in series for _, value in line.points if value > 0], default=1.0)
    rough = max(highest / MAX_GRID_LINES, 1.0)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * times for times in (1, 2, 5, 10) if power * times >= rough)
    return [index * step for index in range(math.ceil(highest / step) + 1)]


def _name(x: float, y: float, name: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>').format(x, y - 8, name)


def _grid_line(y: float, value: float) -> Markup:
    return Markup(
        '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text x="{}" y="{:.1f}" text-anchor="end" dominant-baseline="middle">{}</text>'
    ).format(LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y, format_tick(value))
