"""What became of accounts whose risks were served, as `oarlock monitor` stores it for the pages to show."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from configs.errors import DamagedState
from configs.files import write_json
from configs.stored_files import read_stored

NOTHING_KNOWN = "No risk that was served is old enough to know what became of its account."
NOBODY_HELD_OUT = "No account was held out at random from a play and left, so the effect of plays cannot be known."
MAX_AGE = timedelta(days=7)
REBUILD = "Run `oarlock monitor`: it writes the file anew."


@dataclass(frozen=True)
class OutcomeRate:
    """A rate with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class QuarterTruth:
    """The flags of a quarter: `caught` were flagged and left, `missed` left unflagged, `false_alarms` stayed flagged.

    `recall` is the share of those who left that was flagged, `precision` the share of the flagged that left; None if
    there were none. `lead_days` is the median from the flag to the departure; None if accounts leave on no day. Of the
    accounts that left, `left_without_mrr` are in no figure of revenue, because what they paid is not known.
    """

    quarter: str
    accounts: int
    flagged: int
    left: int
    caught: int
    missed: int
    false_alarms: int
    recall: OutcomeRate | None
    precision: OutcomeRate | None
    lead_days: float | None
    left_without_mrr: int
    revenue_lost: float
    revenue_caught: float
    revenue_share: OutcomeRate | None


@dataclass(frozen=True)
class NaturalRate:
    """The mean natural and served risk of a segment's snapshots, and the share of them whose account left.

    `snapshots` counts an account in each of its quarters, `accounts` once.
    """

    segment: str
    snapshots: int
    accounts: int
    natural: OutcomeRate
    expected: OutcomeRate
    happened: OutcomeRate


@dataclass(frozen=True)
class PlayEffect:
    """Who left with a play and held out, and the rate with a play over the rate without, relative to their risks."""

    left_with_play: float
    left_held_out: float
    ratio: OutcomeRate


@dataclass(frozen=True)
class ServedOutcomes:
    """What became of accounts whose risks were served, as known at an instant; without `quarters` nothing is.

    `plays` is None if nobody was held out at random, or nobody of them left. `currency` is that of all amounts, None if
    it was not declared. `label` is the hash of the definition of churn.
    """

    known_until: datetime
    horizon_days: int
    wait_days: int
    quarters: Sequence[QuarterTruth]
    natural: Sequence[NaturalRate]
    plays: PlayEffect | None
    currency: str | None = None
    label: str = ""

    @property
    def answer(self) -> str:
        """The newest quarter whose outcomes are known, in a sentence."""
        if not self.quarters:
            return f"{NOTHING_KNOWN} The answer to a risk is known {self.wait_days} days after its day."
        last = self.quarters[-1]
        return (
            f"Of {last.left:,} accounts that left within {self.horizon_days} days of their first risk of"
            f" {last.quarter}, {last.caught:,} had been flagged and {last.missed:,} had not;"
            f" {last.false_alarms:,} of {last.flagged:,} flagged accounts stayed."
        )

    def document(self) -> dict[str, object]:
        """The report as JSON."""
        return {
            "answer": self.answer,
            "known_until": f"{self.known_until:%Y-%m-%dT%H:%M:%SZ}",
            "horizon_days": self.horizon_days,
            "currency": self.currency,
            "quarters": [asdict(quarter) for quarter in self.quarters],
            "natural": [asdict(rate) for rate in self.natural],
            "plays": asdict(self.plays) if self.plays else None,
            "plays_note": "" if self.plays else NOBODY_HELD_OUT,
        }


def write_outcomes(file: Path, outcomes: ServedOutcomes) -> None:
    """Store the outcomes for the pages."""
    write_json(file, {**asdict(outcomes), "known_until": outcomes.known_until.isoformat()})


def read_outcomes(file: Path) -> ServedOutcomes | None:
    """The outcomes that were stored last; None if none were. Raises DamagedState if they cannot be read."""
    try:
        return read_stored(file, ServedOutcomes, REBUILD)
    except FileNotFoundError:
        return None


def are_outcomes_recent(file: Path, label: str, known_until: datetime) -> bool:
    """Whether outcomes by this label are stored that were compared within the week before an instant."""
    try:
        stored = read_outcomes(file)
    except DamagedState:
        return False
    if stored is None or stored.label != label:
        return False
    return timedelta(0) <= known_until - stored.known_until < MAX_AGE
