"""Promotion: which version answers from now on, on what record, and the way back."""

from dataclasses import dataclass
from datetime import datetime

from configs.errors import NotReady, PromotionRefused
from training.registry.mlflow_registry import Event, Registry
from training.registry.promotion_rules import why_not_champion, why_refused
from training.registry.version import CHAMPION, Version

PROMOTED, FORCED, ROLLED_BACK = "promoted", "forced", "rolled back"


@dataclass(frozen=True)
class Decision:
    """What a person decided: when, why, and whether against what the record says."""

    at: datetime
    reason: str = ""
    is_forced: bool = False


def promote(registry: Registry, version: Version, decision: Decision) -> Version:
    """Make the version champion.

    Raises PromotionRefused for one without skill, with a leak, or that was not shown in a duel to be no worse than the
    champion, unless the decision is forced; how and why is kept either way.
    """
    champion = champion_of(registry)
    if champion and champion.number == version.number:
        return champion
    why = why_refused(registry.evaluation(version))
    if champion:
        why = "; ".join(filter(None, (why, why_not_champion(registry.duel(version), champion.number))))
    if why and not decision.is_forced:
        raise PromotionRefused(f"Version {version.number} is not promoted: {why}.", "Overrule with --force --reason.")
    how = FORCED if why else PROMOTED
    overruled = f"{decision.reason} (overruled: {why})" if why else decision.reason
    earned = _earned(registry.duel(version) if champion else None)
    return registry.crown(Event(version.number, decision.at.isoformat(), how, overruled or earned))


def rollback(registry: Registry, decision: Decision) -> tuple[Version, Version]:
    """Give the place back to the version that was champion before this one came; gives both, the former first.

    Another rollback goes one further back: what was rolled back from is not returned to but by a promotion. Raises
    NotReady where there was none before.
    """
    champion = registry.champion()
    before = reigns(registry.past(), champion.number)[:-1]
    if not before:
        raise NotReady(f"No version was champion before version {champion.number}.", "There is none to roll back to.")
    event = Event(before[-1], decision.at.isoformat(), ROLLED_BACK, decision.reason or f"from {champion.number}")
    return champion, registry.crown(event)


def reigns(past: list[Event], champion: int) -> list[int]:
    """The versions whose reign was not rolled back, oldest first; the last is the champion.

    The alias is the truth: where it was moved elsewhere, back by one is a rollback and anything else a promotion.
    """
    found: list[int] = []
    for event in past:
        if event.how == ROLLED_BACK and event.number in found:
            found = found[: len(found) - found[::-1].index(event.number)]
        elif found[-1:] != [event.number]:
            found.append(event.number)
    if found[-2:-1] == [champion]:
        return found[:-1]
    return found if found[-1:] == [champion] else [*found, champion]


def champion_of(registry: Registry) -> Version | None:
    """The version that answers now; None where none was promoted."""
    return next((one for one in registry.versions() if one.alias == CHAMPION), None)


def _earned(duel: dict | None) -> str:
    return f"it {_did(duel)} version {duel['against']}: {duel['why']}" if duel else "it beat its baselines"


def _did(duel: dict) -> str:
    return "won its duel against" if duel["verdict"] == "wins" else "was not worse in its duel against"
