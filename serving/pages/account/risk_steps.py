"""The steps of a waterfall, rounded so that they add up on screen: from base to risk, and from one day to another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from configs.rounding import round_parts
from configs.values.currency import unit_currency
from features.signals.base import family_label
from serving.pages.charts.waterfall import Bar, draw_bars, waterfall_bars
from serving.schemas.responses import AccountChange, ExplainedSignal, Score, SignalPart, SignalPoints
from serving.scoring.sentences import format_value
from serving.views.account_view import AccountView

COARSE, FINE = 1, 2
FINE_BELOW = 0.02  # smaller risks are shown with two decimals
MAX_SIGNALS = 8
OTHER_SIGNALS, OTHER_FAMILIES = "other signals", "other families"


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


_Ends = tuple[tuple[str, float], tuple[str, float]]


def risk_waterfall(score: Score | None) -> Waterfall | None:
    """From the base to the risk by family, each with its signals; None without a risk."""
    if score is None:
        return None
    parts = [
        _Part(family_label(driver["family"]), driver["points"], driver["text"], _signals(driver["signals"]))
        for driver in (*score["drivers"], *score["protective_drivers"])
    ]
    if abs(score["remaining_points"]) > 1e-9:
        parts.append(_Part(OTHER_FAMILIES, score["remaining_points"]))
    return _draw(_round_steps(_risk_ends(score), parts))


def compared_waterfalls(before: Score, after: Score) -> tuple[Waterfall, Waterfall]:
    """Two risks of one account with the same families in the same order, the same decimals, and bars of one scale."""
    points = _points_by_family(before), _points_by_family(after)
    families = list(dict.fromkeys([*points[0], *points[1]]))
    decimals = _decimals(before["risk"], before["base"], after["risk"], after["base"])
    rounded = [
        _round_steps(_risk_ends(score), [_Part(family_label(name), by.get(name, 0.0)) for name in families], decimals)
        for score, by in zip((before, after), points, strict=True)
    ]
    first, second = rounded
    return _draw(first, beside=second), _draw(second, beside=first)


def _points_by_family(score: Score) -> dict[str, float]:
    return {driver["family"]: driver["points"] for driver in (*score["drivers"], *score["protective_drivers"])}


def _risk_ends(score: Score) -> _Ends:
    return ("base", score["base"]), ("risk", score["risk"])


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
    return _draw(_round_steps(ends, _change_parts(change, view.labels)))


def waterfall_document(waterfall: Waterfall) -> dict[str, object]:
    """Numbers in percentage points: the start, the parts with their signals, and the end."""
    scale = 10**waterfall.decimals
    first, *parts, last = waterfall.steps
    return {
        "from": first.points / scale,
        "parts": [
            {
                "name": part.label,
                "points": part.points / scale,
                "signals": [{"name": signal.label, "points": signal.points / scale} for signal in part.signals],
            }
            for part in parts
        ],
        "to": last.points / scale,
    }


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


@dataclass(frozen=True)
class _RoundedSteps:
    """Steps in whole units: the labels of both ends, the start, and each part with its units."""

    labels: tuple[str, str]
    start: int
    parts: Sequence[_Part]
    units: Sequence[int]
    decimals: int

    @property
    def bars(self) -> list[Bar]:
        return waterfall_bars(self.start, self.units)


def _decimals(*risks: float) -> int:
    return COARSE if max(risks) >= FINE_BELOW else FINE


def _round_steps(ends: _Ends, parts: Sequence[_Part], decimals: int | None = None) -> _RoundedSteps:
    (start_label, start), (end_label, end) = ends
    decimals = _decimals(start, end) if decimals is None else decimals
    scale = 100 * 10**decimals
    first, last = round(start * scale), round(end * scale)
    units = round_parts([part.points * scale for part in parts], last - first)
    return _RoundedSteps((start_label, end_label), first, parts, units, decimals)


def _draw(rounded: _RoundedSteps, beside: _RoundedSteps | None = None) -> Waterfall:
    bars = draw_bars(rounded.bars, beside.bars if beside else ())
    steps = [Step(rounded.labels[0], rounded.start, rounded.start, bars[0], is_sum=True)]
    for part, units, bar in zip(rounded.parts, rounded.units, bars[1:-1], strict=True):
        signals = _round_signals(part, units, 100 * 10**rounded.decimals)
        steps.append(Step(part.label, units, steps[-1].level + units, bar, text=part.text, signals=signals))
    last = steps[-1].level
    return Waterfall([*steps, Step(rounded.labels[1], last, last, bars[-1], is_sum=True)], rounded.decimals)


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
        value=signal.get("absent") or describe_value(signal["value"], signal["unit"]),
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
    is_plain = value is None or isinstance(value, str) or unit in ("", "share", "x", "0 or 1", "money")
    return text if is_plain else f"{text} {unit.removeprefix(unit_currency(unit) or '').lstrip()}".rstrip()
