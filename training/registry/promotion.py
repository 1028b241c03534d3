"""Promotion: whether a version may become the champion, and which one a rollback restores."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from configs.errors import NotReady, PromotionRefused
from training.registry.comparison_record import LastComparison
from training.registry.mlflow_registry import ChampionAction, ChampionEvent, Registry
from training.registry.promotion_rules import comparison_refusal_reason, refusal_reason
from training.registry.version import Version

PROMOTED: ChampionAction = "promoted"
FORCED: ChampionAction = "forced"
ROLLED_BACK: ChampionAction = "rolled back"


@dataclass(frozen=True)
class Decision:
    """What a person decided: when, why, and whether to overrule a refusal."""

    at: datetime
    reason: str = ""
    is_forced: bool = False


def approve_promotion(registry: Registry, version: Version, decision: Decision) -> ChampionEvent | None:
    """The event that makes a version the champion; None if it is the champion already.

    Raises PromotionRefused for a version without skill, with a leak, or that no comparison showed to be as good as the
    champion, unless the decision is forced.
    """
    champion = registry.find_champion()
    if champion and champion.number == version.number:
        return None
    comparison = registry.last_comparison(version) if champion else None
    refusal = _refusal(registry, version, comparison, champion)
    if refusal and not decision.is_forced:
        message = f"Version {version.number} is not promoted: {refusal}."
        raise PromotionRefused(message, "Overrule this with --force --reason.")
    if refusal:
        reason = f"{decision.reason} (overruled: {refusal})"
        return ChampionEvent(version.number, decision.at.isoformat(), FORCED, reason)
    reason = decision.reason or _merit(comparison)
    return ChampionEvent(version.number, decision.at.isoformat(), PROMOTED, reason)


def plan_rollback(registry: Registry, decision: Decision) -> ChampionEvent:
    """The event that restores the previous champion; each rollback undoes one promotion.

    A version that was rolled back becomes champion again only by a promotion. Raises NotReady if there was no champion
    before.
    """
    champion = registry.champion()
    previous = champion_stack(registry.champion_history(), champion.number)[:-1]
    if not previous:
        message = f"No version was champion before version {champion.number}."
        raise NotReady(message, "There is nothing to roll back to.")
    reason = decision.reason or f"from version {champion.number}"
    return ChampionEvent(previous[-1], decision.at.isoformat(), ROLLED_BACK, reason)


def champion_stack(history: Sequence[ChampionEvent], champion: int) -> list[int]:
    """The champions that were not rolled back, oldest first; the last is the present one.

    The alias decides: if another tool moved it back by one, that is a rollback, and anything else a promotion.
    """
    stack: list[int] = []
    for event in history:
        if event.action == ROLLED_BACK and event.version in stack:
            stack = stack[: len(stack) - stack[::-1].index(event.version)]
        elif stack[-1:] != [event.version]:
            stack.append(event.version)
    if stack[-2:-1] == [champion]:
        return stack[:-1]
    return stack if stack[-1:] == [champion] else [*stack, champion]


def _refusal(registry: Registry, version: Version, comparison: LastComparison | None, champion: Version | None) -> str:
    """Every reason against a promotion in one clause; empty if there is none."""
    reasons = [refusal_reason(registry.evaluation(version))]
    if champion:
        reasons.append(comparison_refusal_reason(comparison, champion.number))
    return "; ".join(filter(None, reasons))


def _merit(comparison: LastComparison | None) -> str:
    if comparison is None:
        return "it beat its baselines"
    verdict = comparison["verdict"].replace("_", "-")
    return f"{verdict} to version {comparison['compared_with']}: {comparison['reason']}"
