"""A waterfall: how parts lead from one number to another. Its rows say in text what each bar shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

WIDTH, HEIGHT = 1000, 18
MIN_WIDTH = 3  # so that a part that rounds to nothing is still seen
BarKind = Literal["sum", "raise", "lower"]


@dataclass(frozen=True)
class Bar:
    """One bar between two values; `kind` says whether it is a sum, or a part that raises or lowers it."""

    low: float
    high: float
    kind: BarKind


def waterfall_bars(start: float, parts: Sequence[float]) -> list[Bar]:
    """The bars of a start, of each part on top of those before it, and of the end.

    >>> [(bar.low, bar.high, bar.kind) for bar in waterfall_bars(2, [3, -1])]
    [(0, 2, 'sum'), (2, 5, 'raise'), (4, 5, 'lower'), (0, 4, 'sum')]
    """
    bars, level = [Bar(min(start, 0), max(start, 0), "sum")], start
    for part in parts:
        bars.append(Bar(min(level, level + part), max(level, level + part), "raise" if part > 0 else "lower"))
        level += part
    return [*bars, Bar(min(level, 0), max(level, 0), "sum")]


def draw_bars(bars: Sequence[Bar], beside: Sequence[Bar] = ()) -> list[Markup]:
    """The SVG of each bar, all on one scale from zero; bars drawn beside them have the same scale."""
    low = min(0, *(bar.low for bar in [*bars, *beside]))
    high = max(bar.high for bar in [*bars, *beside])
    scale = WIDTH / ((high - low) or 1)
    return [_draw_bar(bar, low, scale) for bar in bars]


def _draw_bar(bar: Bar, low: float, scale: float) -> Markup:
    x, width = (bar.low - low) * scale, max((bar.high - bar.low) * scale, MIN_WIDTH)
    return Markup(
        '<svg class="bar" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<line class="rule" x1="{:.1f}" x2="{:.1f}" y1="0" y2="{}"/>'
        '<rect class="{}" x="{:.1f}" y="2" width="{:.1f}" height="{}" rx="1"/></svg>'
    ).format(WIDTH, HEIGHT, -low * scale, -low * scale, HEIGHT, bar.kind, min(x, WIDTH - width), width, HEIGHT - 4)
