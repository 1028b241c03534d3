"""The steps of a waterfall, rounded so that they add up on screen: from base to risk, and from one day to another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from configs.rounding import round_parts
from features.signals.base import family_label
from serving.pages.charts.waterfall import draw_bars, waterfall_bars
from serving.schemas.responses import AccountChange, ExplainedSignal, SignalPart, SignalPoints
from serving.scoring.driver_text import format_value
from serving.views.account_view import AccountView

COARSE, FINE = 1, 2
FINE_BELOW = 0.02  # smaller risks are shown with two decimals
MAX_SIGNALS = 8
OTHER_SIGNALS = "other signals"


@dataclass(frozen=True)
class SignalStep:
    """A signal's part: its points in units, its value, and what it is compared with."""

    label: str
    points: int
    value: str = ""
    compared: str = ""
    peers: str = ""
    actionable: bool | None = None
    sentence: str = ""


@dataclass(frozen=True)
class Step:
    """A row of a waterfall: `points` in units of 10 ** -decimals percentage points, `level` the sum so far."""

    label: str
    points: int
    level: int
    bar: Markup
    is_sum: bool = False
    text: str = ""
    signals: Sequence[SignalStep] = ()


@dataclass(frozen=True)
class Waterfall:
    """The steps from one number to another; all points and sums have `decimals`."""

    steps: Sequence[Step]
    decimals: int

    @property
    def parts(self) -> Sequence[Step]:
        return self.steps[1:-1]


@dataclass(frozen=True)
class _Part:
    label: str
    points: float
    text: str = ""
    signals: Sequence[tuple[float, SignalStep]] = field(default_factory=tuple)


def risk_waterfall(view: AccountView) -> Waterfall | None:
    """From the base to the risk by family, each with its signals; None without a risk."""
    if view.score is None:
        return None
    parts = [
        _Part(family_label(driver["family"]), driver["points"], driver["text"], _signals(driver["signals"]))
        for driver in view.drivers
    ]
    if abs(view.score["remaining_points"]) > 1e-9:
        parts.append(_Part("other families", view.score["remaining_points"]))
    ends = ("base", view.score["base"]), ("risk", view.score["risk"])
    return _waterfall(ends, parts)


def change_waterfall(view: AccountView) -> Waterfall | None:
    """From the earlier risk to the later one; None if the change cannot be split."""
    change = view.change
    if change is None:
        return None
    ends = (
        (change["before"]["as_of"][:10], change["before"]["risk"]),
        (
            change["after"]["as_of"][:10],
            change["after"]["risk"],
        ),
    )
    return _waterfall(ends, _change_parts(change, view.labels))


def _change_parts(change: AccountChange, labels: Mapping[str, tuple[str, str]]) -> list[_Part]:
    families = [
        _Part(family_label(part["family"]), part["points"], "", _changed_signals(part["signals"], labels))
        for part in change["families"]
        if part["points"]
    ]
    others = (
        ("its segment changed", change["base"]),
        ("another model", change["model"]),
        ("another calibration", change["calibration"]),
        ("source rows corrected since", change["data_corrections"]),
    )
    return [*families, *(_Part(label, points) for label, points in others if abs(points) > 1e-9)]


def _waterfall(ends: tuple[tuple[str, float], tuple[str, float]], parts: Sequence[_Part]) -> Waterfall:
    (start_label, start), (end_label, end) = ends
    decimals = COARSE if max(start, end) >= FINE_BELOW else FINE
    scale = 100 * 10**decimals
    first, last = round(start * scale), round(end * scale)
    points = round_parts([part.points * scale for part in parts], last - first)
    bars = draw_bars(waterfall_bars(first, points))
    steps = [Step(start_label, first, first, bars[0], is_sum=True)]
    for part, units, bar in zip(parts, points, bars[1:-1], strict=True):
        signals = _round_signals(part, units, scale)
        steps.append(Step(part.label, units, steps[-1].level + units, bar, text=part.text, signals=signals))
    return Waterfall([*steps, Step(end_label, last, last, bars[-1], is_sum=True)], decimals)


def _round_signals(part: _Part, units: int, scale: float) -> list[SignalStep]:
    """The signals with the most points, and all others as one, in units that add up to those of their family."""
    if not part.signals:
        return []
    ordered = sorted(part.signals, key=lambda signal: -abs(signal[0]))
    shown = [signal for signal in ordered[:MAX_SIGNALS] if round(signal[0] * scale)] or ordered[:1]
    remaining = part.points - sum(points for points, _ in shown)
    has_others = len(shown) < len(part.signals) or abs(remaining) > 1e-9
    values = [points * scale for points, _ in shown] + ([remaining * scale] if has_others else [])
    steps = [step for _, step in shown] + ([SignalStep(OTHER_SIGNALS, 0)] if has_others else [])
    rounded = round_parts(values, units)
    return [SignalStep(**{**vars(step), "points": count}) for step, count in zip(steps, rounded, strict=True)]


def _signals(signals: Sequence[SignalPoints | ExplainedSignal]) -> list[tuple[float, SignalStep]]:
    return [(signal["points"], _signal_step(signal)) for signal in signals]


def _signal_step(signal: SignalPoints | ExplainedSignal) -> SignalStep:
    percentile, peer_count = signal.get("percentile"), signal.get("peer_count")
    peers = f"above {percentile:.0f}\u00a0% of {peer_count:,}" if percentile is not None and peer_count else ""
    return SignalStep(
        label=signal["label"],
        points=0,
        value=describe_value(signal["value"], signal["unit"]),
        compared=describe_value(signal["typical"], signal["unit"]),
        peers=peers,
        actionable=signal.get("actionable"),
        sentence=signal.get("sentence", ""),
    )


def _changed_signals(
    signals: Sequence[SignalPart], labels: Mapping[str, tuple[str, str]]
) -> list[tuple[float, SignalStep]]:
    steps: list[tuple[float, SignalStep]] = []
    for signal in signals:
        label, unit = labels.get(signal["name"], (signal["name"], ""))
        before, after = describe_value(signal["before"], unit), describe_value(signal["after"], unit)
        steps.append((signal["points"], SignalStep(label, 0, after, before)))
    return steps


def describe_value(value: float | str | None, unit: str) -> str:
    """A value with its unit, if the number alone does not say it.

    >>> describe_value(12.0, "days"), describe_value(0.31, "share"), describe_value(None, "days")
    ('12 days', '31 %', 'not known')
    """
    text = format_value(value, unit)
    is_plain = value is None or isinstance(value, str) or unit in ("", "share", "x", "0 or 1")
    return text if is_plain else f"{text} {unit}"
