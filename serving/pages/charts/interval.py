"""Rates with their intervals on one scale: a line from the lower to the upper bound, and a dot at the rate."""

from markupsafe import Markup

WIDTH, HEIGHT = 120, 14
FIRST, LAST = 0.4, 1.2  # rates outside are drawn at the edge; the number beside is exact


def draw_interval(rate: float, low: float | None, high: float | None) -> Markup:
    """The SVG of a rate between 40 and 120 %, with a rule at 100 %; without bounds only the dot."""
    line = Markup("")
    if low is not None and high is not None:
        line = Markup('<line class="range" x1="{:.1f}" x2="{:.1f}" y1="7" y2="7"/>').format(_x(low), _x(high))
    return Markup(
        '<svg class="interval" viewBox="0 0 {} {}" width="{}" height="{}" aria-hidden="true" focusable="false">'
        '<line class="rule" x1="{:.1f}" x2="{:.1f}" y1="0" y2="{}"/>{}<circle cx="{:.1f}" cy="7" r="3"/></svg>'
    ).format(WIDTH, HEIGHT, WIDTH, HEIGHT, _x(1), _x(1), HEIGHT, line, _x(rate))


def _x(rate: float) -> float:
    return (min(max(rate, FIRST), LAST) - FIRST) / (LAST - FIRST) * (WIDTH - 6) + 3
