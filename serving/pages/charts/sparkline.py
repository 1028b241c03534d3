"""A sparkline: how one number went, without axes; the table beside it has the numbers."""

from collections.abc import Sequence

from markupsafe import Markup

WIDTH, HEIGHT, MARGIN = 72, 20, 2


def sparkline(values: Sequence[float]) -> Markup:
    """The SVG of a line through values at equal distances, from 0 to at least 5 %; empty for fewer than two."""
    if len(values) < 2:
        return Markup("")
    top = max(0.05, *values)
    step = (WIDTH - 2 * MARGIN) / (len(values) - 1)
    points = [
        f"{MARGIN + index * step:.1f},{HEIGHT - MARGIN - value / top * (HEIGHT - 2 * MARGIN):.1f}"
        for index, value in enumerate(values)
    ]
    x, y = points[-1].split(",")
    return Markup(
        '<svg class="sparkline" viewBox="0 0 {} {}" width="{}" height="{}" aria-hidden="true" focusable="false">'
        '<polyline points="{}"/><circle cx="{}" cy="{}" r="2"/></svg>'
    ).format(WIDTH, HEIGHT, WIDTH, HEIGHT, " ".join(points), x, y)
