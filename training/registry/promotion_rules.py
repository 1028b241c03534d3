"""Verdict: why a model, by what was said of it when it was trained, must not become champion."""

from collections.abc import Mapping
from typing import Any

from training.evaluation.monotonicity import Direction, broken_directions

NO_BETTER = "it is no better than the base rate: "


def no_skill(evaluation: dict[str, Any]) -> str:
    """Why the model cannot be told from a rule that anyone has without it, or loses to one; empty where neither is so.

    The health score and the logistic regression are models too: to be as true as they are is no reason against it.
    """
    figures = evaluation["figures"]
    found = []
    if "auc_low" not in figures:
        found.append("its AUC cannot be told")
    elif figures["auc_low"] <= 0.5:
        auc = f"its AUC of {figures['auc']:.3f} cannot be told from 0.5 (95 % from {figures['auc_low']:.3f})"
        found.append(f"{NO_BETTER}{auc}")
    found += [
        f"{NO_BETTER if 'base rate' in name else ''}its log loss cannot be told from that of {name}: it is"
        f" {gained['value']:+.4f}"
        f" [{gained['low']:+.4f}, {gained['high']:+.4f}] apart, and must lie below 0"
        for name, gained in evaluation["comparisons"].items()
        if gained["must_be_beaten"] and gained["high"] >= 0
    ]
    found += [
        f"{name} is truer: the model's log loss is {gained['value']:+.4f} [{gained['low']:+.4f}, {gained['high']:+.4f}]"
        " away from it"
        for name, gained in evaluation["comparisons"].items()
        if not gained["must_be_beaten"] and gained["low"] > 0
    ]
    return "; ".join(found)


def why_refused(evaluation: dict[str, Any]) -> str:
    """Every reason against a promotion in one clause; empty where there is none."""
    if "comparisons" not in evaluation:
        return "it was trained before models were compared with their baselines; train again"
    directions = tuple(Direction(**one) for one in evaluation.get("directions", ()))
    reasons = (no_skill(evaluation), *evaluation["leakage"]["alarms"], *broken_directions(directions))
    return "; ".join(reason for reason in reasons if reason)


def why_not_champion(duel: Mapping[str, Any] | None, champion: int) -> str:
    """Why the record of its last duel does not give a version the champion's place; empty where it does."""
    if duel is None or duel["against"] != champion:
        return f"it was never held against the champion, version {champion}: run `oarlock duel`"
    if duel["verdict"] == "loses":
        return f"it lost its duel against version {champion}: {duel['why']}"
    if duel["verdict"] == "cannot be compared":
        return f"it cannot be compared with the champion, version {champion}: {duel['why']}"
    return ""
