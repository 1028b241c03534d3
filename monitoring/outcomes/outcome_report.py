"""The outcome report: served flags against what happened, the natural rate, and plays against held-out accounts."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (the stubs of pandas do not know the columns of a frame)

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from configs.settings import Settings
from configs.state_dir import StateDir
from features.publishing.pipeline import open_dataset
from monitoring.outcomes.answers import follow_served_accounts, segments_of
from monitoring.outcomes.natural_rate import NaturalRate, natural_rates, natural_risk
from monitoring.outcomes.plays import PlayEvidence, judge_plays
from monitoring.outcomes.score_truth import QuarterTruth, follow_flags, judge_flags
from monitoring.outcomes.served_scores import read_scores
from serving.ledger.ledger import Ledger
from training.labels.definition import matures_at

NOTHING_KNOWN = "No risk that was served is old enough to know what became of its account."
NOBODY_HELD_OUT = "No account was held out at random from a play and left, so the effect of plays cannot be known."


@dataclass(frozen=True)
class ServedOutcomes:
    """What became of accounts whose risks were served; without `quarters` nothing is known yet.

    `plays` is None if nobody was held out at random, or nobody of them left.
    """

    horizon_days: int
    wait_days: int
    quarters: Sequence[QuarterTruth]
    natural: Sequence[NaturalRate]
    plays: PlayEvidence | None

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
            "horizon_days": self.horizon_days,
            "quarters": [asdict(quarter) for quarter in self.quarters],
            "natural": [asdict(rate) for rate in self.natural],
            "plays": asdict(self.plays) if self.plays else None,
            "plays_note": "" if self.plays else NOBODY_HELD_OUT,
        }


def report_outcomes(settings: Settings, state: StateDir, ledger: Ledger, known_until: datetime) -> ServedOutcomes:
    """The report of every risk that was served and whose answer is known by an instant."""
    opened, label = open_dataset(settings, state), settings.label
    rows = follow_flags(opened, settings, ledger, known_until)
    rows["natural"] = [natural_risk(score) for score in read_scores(ledger, rows["id"].tolist())]
    rows["segment"] = segments_of(opened.tables, rows)
    followed = follow_served_accounts(opened, settings, ledger, known_until)
    plays = judge_plays(followed.rows, settings.monitoring.false_alarms_per_year)
    return ServedOutcomes(
        horizon_days=label.horizon_days,
        wait_days=(matures_at(known_until, label) - known_until).days,
        quarters=judge_flags(rows),
        natural=natural_rates(rows),
        plays=plays if plays.ratio is not None else None,
    )
