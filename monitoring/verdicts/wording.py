"""Wording: bets, signals and power in a few plain words."""

from monitoring.drift.detector import DriftedSignal, DriftReport
from monitoring.drift.paired_changes import Aspect
from monitoring.outcomes.bets import Bet
from monitoring.outcomes.e_detector import OutcomeEvidence
from monitoring.outcomes.estimate import PerformanceEstimate
from monitoring.outcomes.plays import PlayEvidence


def describe_bet(bet: Bet) -> str:
    """What is wrong with the risks, if a bet wins."""
    more = "more" if bet.sign > 0 else "fewer"
    if bet.cause == "level":
        return f"{more} accounts leave than the risks say, in every group alike"
    if bet.cause == "segment":
        return f"{more} accounts of the segment {bet.name} leave than the risks say"
    weight = "more" if bet.sign > 0 else "less"
    subject = "risks say" if bet.cause == "slope" else f"the family {bet.name} says"
    return f"{subject} {weight} about who leaves than the model believes"


def describe_drifted(signal: DriftedSignal) -> str:
    """One signal that moved, with its effect."""
    name = str(Aspect(signal.signal, signal.kind)) + (f" in {signal.segment}" if signal.segment else "")
    effect = "" if signal.points is None else f", {signal.points:+.2f} points of risk"
    return f"{name} {signal.change:+.2f} (tolerated {signal.tolerated:.2f}{effect})"


def describe_power(drift: DriftReport) -> str:
    """Which shift could have been seen."""
    if drift.smallest_visible is None:
        return "no shift can be seen with so few accounts"
    season = "" if drift.knows_season else "; no past pair is of this season, so a prior tolerance applies"
    return f"a median signal shows moves from {drift.smallest_visible:.2f} on the scale of ranks{season}"


def describe_drift(drift: DriftReport) -> str:
    """What the drift check compared, and what it could have seen."""
    if drift.before is None:
        return "no published day is 25 to 31 days before, to compare with"
    signals = len({signal.signal for signal in drift.drifted})
    text = f"{signals} signals moved beyond tolerance in four weeks ({drift.accounts} accounts, {drift.tests} tests,"
    return f"{text} {drift.past_pairs} past pairs of days); {describe_power(drift)}"


def describe_outcomes(outcomes: OutcomeEvidence) -> str:
    """Observed and expected departures, and the evidence that they differ by more than chance and doubt."""
    if not outcomes.cohorts:
        return "no answer is known yet"
    return (
        f"{outcomes.observed:.0f} of {outcomes.accounts} followed accounts left, {outcomes.expected:.1f} were expected;"
        f" evidence {outcomes.evidence:.3g} (alarm from {outcomes.threshold:.0f}),"
        f" power {min(outcomes.visible, 9.99):.0%} of what doubled odds need"
    )


def describe_estimate(estimate: PerformanceEstimate | None) -> str:
    """The performance that is expected of open risks, and why it is void, if it is."""
    if estimate is None:
        return "no served risk is open"
    churned, loss, auc = estimate.churned, estimate.log_loss, estimate.auc
    ranking = "" if auc is None else f", AUC {auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]"
    leave = f"{churned.value:.1f} are expected to leave [{churned.low:.0f}, {churned.high:.0f}]"
    text = (
        f"of {estimate.accounts:,} accounts with an open risk {leave};"
        f" log loss {loss.value:.4f} [{loss.low:.4f}, {loss.high:.4f}]{ranking}"
    )
    if estimate.early_expected > 0:
        text += f"; {estimate.early_left:.0f} left early, {estimate.early_expected:.1f} were expected"
    if estimate.void_since is None:
        return text
    return f"void since {estimate.void_since:%Y-%m-%d}: {estimate.void_because} ({text})"


def describe_plays(plays: PlayEvidence) -> str:
    """The effect of plays against accounts that were held out."""
    if plays.ratio is None:
        return "their effect cannot be told: nobody who was held out at random has left"
    return (
        f"with a play accounts leave {plays.ratio:.2f} times as often as held out [{plays.low:.2f}, {plays.high:.2f}];"
        f" evidence {plays.evidence:.3g} (alarm from {plays.threshold:.0f})"
    )
