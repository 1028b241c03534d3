"""Verdict: why a model, by what was said of it when it was trained, must not become champion."""

from typing import Any


def no_skill(evaluation: dict[str, Any]) -> str:
    """Why the model cannot be told from a rule that anyone has without it; empty where it can.

    Losing to the health score or the logistic regression is no reason: they are models too, and people decide.
    """
    figures = evaluation["figures"]
    if figures["auc_low"] <= 0.5:
        return f"its AUC of {figures['auc']:.3f} cannot be told from chance (95 % from {figures['auc_low']:.3f})"
    for name, gained in evaluation["comparisons"].items():
        if gained["must_be_beaten"] and gained["high"] >= 0:
            return (
                f"its log loss cannot be told from that of {name}: it is {gained['value']:+.4f}"
                f" [{gained['low']:+.4f}, {gained['high']:+.4f}] apart, and must lie below 0"
            )
    return ""


def why_refused(evaluation: dict[str, Any]) -> str:
    """Every reason against a promotion in one clause; empty where there is none."""
    if "comparisons" not in evaluation:
        return "it was trained before models were compared with their baselines; train again"
    reasons = (no_skill(evaluation), *evaluation["leakage"]["alarms"])
    return "; ".join(reason for reason in reasons if reason)
