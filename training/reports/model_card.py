"""The model card in Markdown: what a model predicts, what it was made from, and how far it can be trusted."""

from collections.abc import Iterator

from configs.values.calendar_months import main_horizon
from training.registry.evaluation_record import CalibrationBin, EvaluationRecord
from training.registry.promotion_rules import refusal_reason
from training.reports.model_card_sections import (
    METRIC_NAMES,
    ablation_lines,
    backtest_lines,
    baseline_lines,
    contraction_lines,
    format_interval,
    horizon_lines,
    leakage_lines,
    learning_lines,
    segment_lines,
    stability_lines,
    tuning_lines,
)

METRICS = ("auc", "average_precision", "lift_at_10", "brier", "log_loss")
SUMMARY_METRICS = ("auc", "lift_at_10", "log_loss")
SPLIT_NAMES = {"fit": "the first fit", "train": "the final fit", "test": "the test"}


def model_card(evaluation: EvaluationRecord) -> str:
    """The card of a model, from its evaluation."""
    sections = (
        _overview_lines(evaluation),
        _test_lines(evaluation),
        _calibration_lines(evaluation),
        horizon_lines(evaluation),
        stability_lines(evaluation.stability),
        contraction_lines(evaluation.contraction),
        tuning_lines(evaluation),
        backtest_lines(evaluation),
        baseline_lines(evaluation),
        segment_lines(evaluation.segments),
        ablation_lines(evaluation.ablation),
        learning_lines(evaluation.learning_curve),
        leakage_lines(evaluation.leakage),
    )
    return "\n".join(line for lines in sections for line in lines) + "\n"


def model_summary(evaluation: EvaluationRecord) -> str:
    """The lines of a card that matter first."""
    metrics, label, refusal = evaluation.metrics, evaluation.label, refusal_reason(evaluation)
    figures = ", ".join(f"{METRIC_NAMES[name]} {format_interval(metrics, name)}" for name in SUMMARY_METRICS)
    tested_on = "accounts left out of the calibration" if evaluation.adopted_from else "later test days"
    return (
        f"The probability that an account churns within {main_horizon(label)},"
        f" from {evaluation.signal_count} signals and {evaluation.tree_count} trees.\n"
        f"On {tested_on} {metrics['churned']:,} of {metrics['snapshots']:,} snapshots churned, at a mean risk of"
        f" {metrics['mean_risk'] * 100:.1f} %: {figures}.\n"
        f"{f'Not to be promoted: {refusal}.' if refusal else 'It beat its baselines, and no leak was found.'}"
    )


def _overview_lines(evaluation: EvaluationRecord) -> Iterator[str]:
    label, refusal = evaluation.label, refusal_reason(evaluation)
    yield from ("# Model card", "")
    grace = f", grace {label['grace_days']}" if "grace_days" in label else ""
    period = f"{main_horizon(label)} (lead {label['lead_days']}{grace})"
    yield f"The probability that an account churns within {period}."
    if "query" in label:
        yield from ("", "It churns if this query says so:", "", "```sql", str(label["query"]), "```", "")
    yield "Not causal: drivers show what a risk is made of, not what would change it."
    yield ""
    yield f"**Not to be promoted: {refusal}.**" if refusal else "It beat its baselines, and no leak was found."
    yield ""
    yield from (f"- {name}: `{value}`" for name, value in sorted(evaluation.identity.items()))
    yield f"- signals: {evaluation.signal_count}"
    linear = "with a linear part" if evaluation.has_linear_model else "without a linear part"
    leaves = f" of up to {evaluation.leaves_per_tree} leaves" if evaluation.leaves_per_tree else ""
    yield f"- trees: {evaluation.tree_count}{leaves}, {linear}"
    for group, days in evaluation.split.items():
        yield f"- days for {SPLIT_NAMES.get(group, group)}: {days[0]} to {days[-1]} ({len(days)})"
    for reason, count in evaluation.excluded_snapshots.items():
        yield f"- excluded snapshots, {reason}: {count}"


def _test_lines(evaluation: EvaluationRecord) -> Iterator[str]:
    metrics, baselines = evaluation.metrics, evaluation.baselines
    days = evaluation.recalibrated_on
    if evaluation.adopted_from:
        yield from (
            "",
            f"Adopted from {evaluation.adopted_from}: the trees are fitted to its margins, on the accounts of this",
            "company, and know no label. Only the calibration is fitted to departures here. Metrics are of accounts",
            "that were left out of it; main reasons and the spread of risks are those of the other company.",
        )
    if days:
        yield from (
            "",
            f"Recalibrated on {days[0]} to {days[-1]} ({len(days)} days). Metrics, baselines and segments are",
        )
        yield "of these days, on accounts left out of the fit; the rest is of the version it was made from."
    yield from ("", f"## Test: {metrics['snapshots']} snapshots, {metrics['churned']} churned", "")
    yield f"Mean risk {metrics['mean_risk']:.4f}; churn rate {format_interval(metrics, 'rate')}."
    yield from ("", "| | model | " + " | ".join(baselines) + " |", "|---|---|" + "---|" * len(baselines))
    for name in METRICS:
        cells = [format_interval(side, name) for side in (metrics, *baselines.values())]
        yield f"| {METRIC_NAMES[name]} | {' | '.join(cells)} |"


def _calibration_lines(evaluation: EvaluationRecord) -> Iterator[str]:
    yield from ("", "## Calibration", "")
    yield from ("| snapshots | mean risk | churned | churn rate | 95 % interval |", "|---|---|---|---|---|")
    yield from (_calibration_row(group) for group in evaluation.calibration)


def _calibration_row(group: CalibrationBin) -> str:
    interval = f"[{group.low:.4f}, {group.high:.4f}]"
    return f"| {group.snapshots} | {group.mean_risk:.4f} | {group.churned:.0f} | {group.rate:.4f} | {interval} |"
