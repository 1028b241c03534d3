"""The model card: what a model is for, what it was made from, and how far it can be trusted, in Markdown."""

from collections.abc import Iterator
from typing import Any

from training.registry.promotion_rules import why_refused
from training.reports.model_card_sections import reach_lines, search_lines, second_lines, stability_lines

FIGURES = ("auc", "average_precision", "lift_at_10", "brier", "log_loss")
POOLED = (*FIGURES, "lift_at_1", "lift_at_5", "precision_at_capacity", "revenue_at_capacity", "expected_profit")
POOLED = (*POOLED, "reliability", "resolution", "uncertainty", "calibration_slope", "calibration_intercept")
NAMES = {
    "auc": "AUC",
    "average_precision": "average precision",
    "lift_at_10": "lift at 10 %",
    "brier": "Brier score",
    "log_loss": "log loss",
    "lift_at_1": "lift at 1 %",
    "lift_at_5": "lift at 5 %",
    "precision_at_capacity": "churn rate within capacity",
    "revenue_at_capacity": "share of lost revenue within capacity",
    "expected_profit": "expected maximum profit per account",
    "reliability": "reliability (part of Brier, 0 is best)",
    "resolution": "resolution (part of Brier, more is better)",
    "uncertainty": "uncertainty (part of Brier, the data's own)",
    "calibration_slope": "calibration slope (1 is right)",
    "calibration_intercept": "calibration intercept (0 is right)",
}


def model_card(evaluation: dict[str, Any]) -> str:
    """The card of a model from what was said of it when it was trained (see `training/pipelines/train.py`)."""
    figures, label = evaluation["figures"], evaluation["label"]
    refusal = why_refused(evaluation)
    lines = (
        "# Model card",
        "",
        f"The probability that an account leaves within {label['horizon_days']} days"
        f" (lead {label['lead_days']}, grace {label['grace_days']}). Not causal: a driver says what the risk is made"
        " of, not what would change it.",
        "",
        f"**Not to be promoted: {refusal}.**"
        if refusal
        else "It beat the baselines that must be beaten; no leak was found.",
        "",
        *(f"- {name}: `{value}`" for name, value in sorted(evaluation["identity"].items())),
        f"- signals: {evaluation['signals']}",
        f"- trees: {evaluation['trees']}, {'with a' if evaluation['line'] else 'without a'} line beside them",
        *(f"- days for {group}: {days[0]} to {days[-1]} ({len(days)})" for group, days in evaluation["split"].items()),
        *(f"- snapshots {why}: {count}" for why, count in evaluation["dropped"].items()),
        "",
        *_recalibrated_lines(evaluation),
        f"## On {int(figures['snapshots'])} test snapshots, of which {int(figures['churned'])} churned",
        "",
        f"Mean risk {figures['mean_risk']:.4f}; churn rate {_interval(figures, 'rate')}.",
        "",
        "| | model | " + " | ".join(evaluation["baselines"]) + " |",
        "|---|---|" + "---|" * len(evaluation["baselines"]),
        *(_compared(name, evaluation) for name in FIGURES),
        "",
        "## Calibration",
        "",
        "| snapshots | mean risk | churned | churn rate | 95 % |",
        "|---|---|---|---|---|",
        *(_calibration_line(row) for row in evaluation["calibration"]),
        *reach_lines(evaluation),
        *stability_lines(evaluation),
        *second_lines(evaluation),
        *search_lines(evaluation),
        *_proof_lines(evaluation),
    )
    return "\n".join(lines) + "\n"


def _recalibrated_lines(evaluation: dict[str, Any]) -> Iterator[str]:
    days = evaluation.get("recalibrated_on")
    if days:
        yield f"Calibrated anew on {days[0]} to {days[-1]} ({len(days)} days). Figures, baselines, comparisons and"
        yield "segments are of these days, on accounts left out of the fit; all else is of the version it was made of."
        yield ""


def _proof_lines(evaluation: dict[str, Any]) -> Iterator[str]:
    rolling = evaluation["rolling"]
    pooled, days = rolling["pooled"], [one["test"][-1] for one in rolling["origins"]]
    yield from ("", f"## Over {len(days)} origins ({', '.join(sorted(days))})", "")
    yield f"{pooled['snapshots']} snapshots, {pooled['churned']} churned; intervals by bootstrap of accounts."
    yield f"Capacity is {evaluation['capacity']} accounts a day."
    yield from (f"- no origin on {day}: {why}" for day, why in rolling["skipped"].items())
    yield from ("", "| | pooled | lowest and highest origin |", "|---|---|---|")
    yield from (_pooled_line(name, rolling) for name in POOLED if name in pooled)
    if evaluation["unseen_accounts"]:
        yield from ("", f"On accounts never seen by the fit: AUC {_interval(evaluation['unseen_accounts'], 'auc')}.")
    yield from _comparison_lines(evaluation)
    yield from _segment_lines(evaluation["segments"])
    yield from _ablation_lines(evaluation["ablation"])
    yield from _leakage_lines(evaluation["leakage"])


def _pooled_line(name: str, rolling: dict[str, Any]) -> str:
    low, high = (pick(one.get(name, float("nan")) for one in rolling["origins"]) for pick in (min, max))
    return f"| {NAMES[name]} | {_interval(rolling['pooled'], name)} | {low:.4f} to {high:.4f} |"


def _comparison_lines(evaluation: dict[str, Any]) -> Iterator[str]:
    yield from ("", "## Log loss less that of each baseline (below 0: the model is truer)", "")
    yield f"Paired over the same snapshots; interval at {evaluation['beaten_at']:.0%}, by bootstrap of accounts."
    yield from ("", "| baseline | difference | must be beaten |", "|---|---|---|")
    for name, one in evaluation["comparisons"].items():
        difference = f"{one['value']:+.4f} [{one['low']:+.4f}, {one['high']:+.4f}]"
        yield f"| {name} | {difference} | {'yes' if one['must_be_beaten'] else 'no, but must not win'} |"


def _ablation_lines(ablation: list[dict[str, Any]]) -> Iterator[str]:
    if ablation:
        yield from ("", "## Without a family of signals (above 0: the model is less true without it)", "")
        yield from ("| | signals | log loss more | AUC more |", "|---|---|---|---|")
    for one in ablation:
        differences = (one["figures"][name]["difference"] for name in ("log_loss", "auc"))
        cells = " | ".join(f"{d['value']:+.4f} [{d['low']:+.4f}, {d['high']:+.4f}]" for d in differences)
        yield f"| {one['name']} | {one['signals']} | {cells} |"


def _segment_lines(segments: dict[str, dict[str, float]]) -> Iterator[str]:
    if segments:
        yield from ("", "## By segment, over all origins", "")
        yield "| segment | snapshots | churned | mean risk | churn rate | AUC | log loss |"
        yield "|---|---|---|---|---|---|---|"
    for name, one in segments.items():
        figures = " | ".join(_interval(one, figure) for figure in ("rate", "auc", "log_loss"))
        yield f"| {name} | {one['snapshots']} | {one['churned']} | {one['mean_risk']:.4f} | {figures} |"


def _leakage_lines(leakage: dict[str, Any]) -> Iterator[str]:
    shuffled = leakage["shuffled"]
    bounds = f"[{shuffled['low']:.3f}, {shuffled['high']:.3f}]"
    ranked = sorted(leakage["signals"].items(), key=lambda item: -item[1])
    strongest = ", ".join(f"{name} {value:.3f}" for name, value in ranked)
    leads = ", ".join(f"{one['lead_days']} days {one['auc']:.3f}" for one in leakage["leads"])
    yield from ("", "## Leaks", "")
    yield from (f"- **alarm: {alarm}**" for alarm in leakage["alarms"])
    yield f"- AUC of the strongest signals alone: {strongest}"
    yield f"- AUC of a model fitted on shuffled answers: {shuffled['auc']:.3f}, chance {bounds}"
    yield f"- AUC without those who leave sooner than: {leads or 'there is no day of leaving in this mode'}"


def _interval(figures: dict[str, float], name: str) -> str:
    return f"{figures[name]:.4f} [{figures[f'{name}_low']:.4f}, {figures[f'{name}_high']:.4f}]"


def _compared(name: str, evaluation: dict[str, Any]) -> str:
    cells = [evaluation["figures"], *evaluation["baselines"].values()]
    return f"| {NAMES[name]} | " + " | ".join(_interval(one, name) for one in cells) + " |"


def _calibration_line(row: dict[str, float]) -> str:
    interval = f"[{row['low']:.4f}, {row['high']:.4f}]"
    return (
        f"| {row['snapshots']:.0f} | {row['mean_risk']:.4f} | {row['churned']:.0f} | {row['rate']:.4f} | {interval} |"
    )
