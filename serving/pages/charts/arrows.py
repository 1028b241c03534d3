"""Arrows on one scale: where each of several things was, and where it is now; the table beside them has the numbers."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from markupsafe import Markup

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM = 400, 22, 112, 12, 6, 24  # narrow, so that a phone need not shrink it much
HEAD = 5
MIN_LENGTH = 3  # shorter moves are a dot


class Arrow(NamedTuple):
    """A label, the value before (None if it is not known) and the value now."""

    label: str
    before: float | None
    now: float


def draw_arrows(arrows: Sequence[Arrow], label: str, ends: tuple[str, str]) -> Markup:
    """The SVG with a row per arrow and a rule at zero; `ends` say what is left and right of it. Empty for no arrow."""
    if not arrows:
        return Markup("")
    values = [0.0, *(arrow.now for arrow in arrows), *(arrow.before for arrow in arrows if arrow.before is not None)]
    low, high = min(values), max(values)
    scale = (WIDTH - LEFT - RIGHT) / ((high - low) or 1)
    height = TOP + ROW * len(arrows) + BOTTOM
    zero = LEFT - low * scale

    def x(value: float) -> float:
        return zero + value * scale

    rows = [_draw_row(arrow, x, TOP + ROW * (index + 0.5)) for index, arrow in enumerate(arrows)]
    return Markup(
        '<svg class="line-chart arrows" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>{}'
        '<text x="{}" y="{}">{}</text><text x="{}" y="{}" text-anchor="end">{}</text></svg>'
    ).format(
        WIDTH, height, label, zero, zero, TOP, height - BOTTOM, Markup("").join(rows),
        LEFT, height - 6, ends[0], WIDTH - RIGHT, height - 6, ends[1],
    )  # fmt: skip


def _draw_row(arrow: Arrow, x: Callable[[float], float], y: float) -> Markup:
    kind = "raise" if arrow.now > 0 else "lower"
    name = Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(LEFT - 10, y + 4, arrow.label)
    now = x(arrow.now)
    if arrow.before is None or abs(now - x(arrow.before)) < MIN_LENGTH:
        return name + Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(kind, now, y)
    before = x(arrow.before)
    back = now - HEAD * (1 if now > before else -1)
    return name + Markup(
        '<circle class="before" cx="{:.1f}" cy="{:.1f}" r="2.5"/>'
        '<line class="{}" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
        '<polygon class="{}" points="{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}"/>'
    ).format(before, y, kind, before, now, y, y, kind, now, y, back, y - HEAD, back, y + HEAD)
