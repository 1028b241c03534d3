"""The drift detector: which signals of the same accounts moved more in four weeks than they ever did, beyond chance.

The level is split over all runs of a year, all signals and all segments, so a false alarm is as rare as promised for
any number of signals and accounts. Half of it is for families and the risk, which show a shift of many signals with
few accounts. A shift slower than four weeks is not seen: it is what outcomes are for.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from monitoring.drift.paired_changes import TOGETHER, VALUE, Aspect
from monitoring.drift.tolerance import Changes, Pair, Tolerance, learn_tolerance
from monitoring.evidence.budget import critical_value

EVERYBODY, RISK = "", "risk"
SHARES = {"joint": 0.5, "single": 0.25, "segment": 0.25}  # of the level
ANY_SIGNAL = Aspect("", VALUE)
ChangesBySegment = Mapping[str, Changes]


@dataclass(frozen=True)
class DriftedSignal:
    """An aspect of a signal, or a family, that moved: mean change of ranks or a share, what is tolerated, the evidence.

    `segment` is empty for all accounts. `statistic` is in standard errors beyond the tolerance. `points` is how far the
    move took the mean risk, in percentage points; None if no model reads the signal.
    """

    signal: str
    kind: str
    segment: str
    change: float
    tolerated: float
    statistic: float
    points: float | None = None


@dataclass(frozen=True)
class DriftReport:
    """The signals that moved between two days, and what could not have been seen.

    `before` is None if no published day is near enough to four weeks earlier. `smallest_visible` is the smallest mean
    change (of ranks, 0 to 1) that the median signal would have shown; None if none would. `joint_points` is the effect
    of all drifted signals together on the mean risk.
    """

    before: datetime | None
    after: datetime
    accounts: int = 0
    tests: int = 0
    past_pairs: int = 0
    knows_season: bool = False
    smallest_visible: float | None = None
    drifted: tuple[DriftedSignal, ...] = ()
    joint_points: float | None = None

    @property
    def is_conclusive(self) -> bool:
        """Whether a shift of any size could have been seen."""
        return self.smallest_visible is not None

    @property
    def is_alarm(self) -> bool:
        return len(self.drifted) > 0


def detect_drift(
    pair: Pair, changes: ChangesBySegment, past: Mapping[Pair, ChangesBySegment], *, level: float
) -> DriftReport:
    """Compare the changes of a pair of days with those of past pairs; `level` is the chance of any false alarm.

    A segment is listed only for signals that did not drift for everybody.
    """
    critical = _critical_values(changes, level)
    tolerances = {segment: _tolerance(past, segment, pair) for segment in changes}
    overall = changes.get(EVERYBODY, {})
    drifted = [
        signal
        for segment in changes
        for signal in _find_drifted(changes[segment], tolerances[segment], segment, critical)
    ]
    everywhere = {signal.signal for signal in drifted if signal.segment == EVERYBODY}
    tolerance = tolerances.get(EVERYBODY, Tolerance({}, knows_season=False))
    return DriftReport(
        *pair,
        accounts=max((change.accounts for change in overall.values()), default=0),
        tests=sum(map(len, changes.values())),
        past_pairs=len(past),
        knows_season=tolerance.knows_season,
        smallest_visible=_median_visible(overall, tolerance, critical(EVERYBODY, ANY_SIGNAL)),
        drifted=tuple(signal for signal in drifted if signal.segment == EVERYBODY or signal.signal not in everywhere),
    )


def _critical_values(changes: ChangesBySegment, level: float) -> Callable[[str, Aspect], float]:
    """The critical value of an aspect in a segment: shares of the level, each split evenly and over both directions."""
    shares = [_share_of(segment, aspect) for segment, group in changes.items() for aspect in group]
    tests = Counter(shares)
    values = {share: critical_value(level * weight / (2 * max(tests[share], 1))) for share, weight in SHARES.items()}
    return lambda segment, aspect: values[_share_of(segment, aspect)]


def _share_of(segment: str, aspect: Aspect) -> str:
    if segment != EVERYBODY:
        return "segment"
    return "joint" if aspect.kind == TOGETHER or aspect == (RISK, VALUE) else "single"


def _tolerance(past: Mapping[Pair, ChangesBySegment], segment: str, pair: Pair) -> Tolerance:
    return learn_tolerance({days: groups[segment] for days, groups in past.items() if segment in groups}, pair)


def _find_drifted(
    changes: Changes, tolerance: Tolerance, segment: str, critical: Callable[[str, Aspect], float]
) -> Sequence[DriftedSignal]:
    measured = {aspect: change.statistic(tolerance.of(aspect)) for aspect, change in changes.items()}
    return [
        DriftedSignal(*aspect, segment, changes[aspect].mean, tolerance.of(aspect), statistic)
        for aspect, statistic in measured.items()
        if statistic > critical(segment, aspect)
    ]


def _median_visible(changes: Changes, tolerance: Tolerance, critical: float) -> float | None:
    values: dict[Aspect, float | None] = {
        aspect: change.smallest_visible(tolerance.of(aspect), critical)
        for aspect, change in changes.items()
        if aspect.kind == VALUE
    }
    # A signal in which nothing is visible counts as the largest: half of the signals must show something.
    ordered = sorted(float("inf") if visible is None else visible for visible in values.values())
    middle = median(ordered) if ordered else float("inf")
    return None if middle == float("inf") else middle
