"""Promotion rules: why a version may not become champion, from its evaluation and its last comparison."""

from collections.abc import Iterator, Mapping

from training.evaluation.monotonicity import describe_violations
from training.evaluation.paired_difference import BaselineComparison
from training.registry.comparison_record import LastComparison
from training.registry.evaluation_record import EvaluationRecord, Metrics

NO_SKILL = "it is no better than the base rate: "


def refusal_reason(evaluation: EvaluationRecord) -> str:
    """Every reason against a promotion in one clause; empty if there is none."""
    return "; ".join(
        (
            *skill_faults(evaluation.metrics, evaluation.baseline_comparisons),
            *evaluation.leakage.alarms,
            *describe_violations(evaluation.monotonicity),
        )
    )


def skill_faults(metrics: Metrics, comparisons: Mapping[str, BaselineComparison]) -> list[str]:
    """Why a model has no skill, each in one clause.

    The health score and the logistic regression are models too: the model need not beat them, but may not lose.
    """
    return [*_auc_faults(metrics), *_baseline_faults(comparisons)]


def describe_missing_skill(evaluation: EvaluationRecord) -> str:
    """Why a model knows no more than the base rate, in one clause; empty if it does."""
    faults = skill_faults(evaluation.metrics, evaluation.baseline_comparisons)
    return "; ".join(fault.removeprefix(NO_SKILL) for fault in faults if fault.startswith(NO_SKILL))


def comparison_refusal_reason(comparison: LastComparison | None, champion: int) -> str:
    """Why a version may not replace the champion after its last comparison, in one clause; empty if it may."""
    if comparison is None or comparison["compared_with"] != champion:
        return f"it was never compared with the champion, version {champion}: run `oarlock compare`"
    if comparison["verdict"] == "inferior":
        return f"it is inferior to the champion, version {champion}: {comparison['reason']}"
    if comparison["verdict"] == "not_comparable":
        return f"it cannot be compared with the champion, version {champion}: {comparison['reason']}"
    return ""


def _auc_faults(metrics: Metrics) -> Iterator[str]:
    if "auc_low" not in metrics:
        yield "its AUC is undefined"
    elif metrics["auc_low"] <= 0.5:
        interval = f"95 % interval from {metrics['auc_low']:.3f}"
        yield f"{NO_SKILL}its AUC of {metrics['auc']:.3f} is not significantly above 0.5 ({interval})"


def _baseline_faults(comparisons: Mapping[str, BaselineComparison]) -> Iterator[str]:
    for name, comparison in comparisons.items():
        difference = comparison.difference
        interval = f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"
        if comparison.must_be_beaten and difference.high >= 0:
            prefix = NO_SKILL if "base rate" in name else ""
            yield f"{prefix}its log loss is not significantly below that of {name}: the difference is {interval}"
        elif not comparison.must_be_beaten and difference.low > 0:
            yield f"{name} has a significantly lower log loss: the model's is {interval} higher"
