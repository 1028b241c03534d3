"""The model card as one self-contained HTML page, for people who do not build models."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from training.registry.comparison_record import VERDICT_SENTENCES, LastComparison
from training.registry.evaluation_record import EvaluationRecord, Metrics
from training.registry.promotion_rules import refusal_reason
from training.reports.model_card import METRICS, SPLIT_NAMES, model_card
from training.reports.model_card_sections import METRIC_NAMES, learning_sentence

TEMPLATE = Path(__file__).with_name("model_card.html.jinja")
FEW_CHURNED = 100
EVENT_PHRASES = {
    "contract": "end its last subscription",
    "event": "give notice",
    "inactivity": "stop using the product",
    "contraction": "reduce its spending",
    "query": "churn by the label query",
}
# What each plot shows, in the order in which readers ask.
CAPTIONS = {
    "calibration": "Accounts in ten groups by risk. For points on the line, as many accounts churned as predicted.",
    "revenue": "How much of the lost revenue belongs to the accounts that are called.",
    "gain": "Calling the riskiest accounts first reaches more churning accounts than calling in random order.",
    "backtest": "The model as it would have been on earlier days. The spread shows how much a single day can tell.",
    "beeswarm": "Each dot is an account. Right of the centre the signal raises its risk, left of it lowers it.",
    "families": "Which families of signals move the risks most, up or down.",
    "ablation": "Fitted again without each family. Right of the line the model is worse without it.",
    "learning_curve": "What is lost with fewer accounts to learn from. Hollow: what more months would bring.",
    "precision_recall": "To reach more churning accounts, more accounts have to be called that would have stayed.",
}
WIDE = frozenset({"gain", "backtest"})


def render_card_page(
    evaluation: EvaluationRecord, plots: Mapping[str, bytes], comparison: LastComparison | None
) -> str:
    """The page of a model, from its evaluation, its plots (PNG by name) and its last comparison."""
    page: Any = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters |= {"interval": _format_interval, "percent": _format_percent, "number": _format_number}
    return page.from_string(TEMPLATE.read_text("utf-8")).render(
        evaluation=evaluation,
        event=EVENT_PHRASES[str(evaluation.label["mode"])],
        refusal=refusal_reason(evaluation),
        weaknesses=list(list_weaknesses(evaluation)),
        test_days=len({day for fold in evaluation.backtest.folds for day in fold.test_days}),
        metric_names={name: METRIC_NAMES[name] for name in METRICS},
        split_names=SPLIT_NAMES,
        plots={name: b64encode(content).decode() for name, content in plots.items()},
        captions=CAPTIONS,
        learning=learning_sentence(evaluation.learning_curve) if evaluation.learning_curve else "",
        wide=WIDE,
        comparison=comparison,
        verdicts=VERDICT_SENTENCES,
    )


def write_model_cards(evaluation: EvaluationRecord, folder: Path) -> None:
    """Write model_card.md and model_card.html beside the plots in the folder."""
    (folder / "model_card.md").write_text(model_card(evaluation), "utf-8")
    page = render_card_page(evaluation, read_plots(folder), None)
    (folder / "model_card.html").write_text(page, "utf-8")


def read_plots(folder: Path) -> dict[str, bytes]:
    """The plots in a folder, by name."""
    return {file.stem: file.read_bytes() for file in sorted(folder.glob("*.png"))}


def list_weaknesses(evaluation: EvaluationRecord) -> Iterator[str]:
    """What a reader has to be careful about, in sentences."""
    metrics = evaluation.metrics
    if evaluation.adopted_from:
        yield (
            f"It was adopted from {evaluation.adopted_from}: what raises a risk was learned from accounts of another"
            " company, and only the calibration from departures here. Main reasons are as stable as they were there."
        )
    if metrics["churned"] < FEW_CHURNED:
        yield f"Only {metrics['churned']} snapshots churned on the newest test days, so every metric is uncertain."
    if not evaluation.is_calibrated:
        mean, interval = _format_percent(metrics["mean_risk"]), _rate_interval(metrics)
        yield f"The mean risk of {mean} lies outside the interval of the churn rate ({interval})."
    for name, segment in evaluation.segments.items():
        yield from _segment_weaknesses(name, segment)
    for day, reason in evaluation.backtest.skipped.items():
        yield f"It could not be fitted as of {day}: {reason}"


def _segment_weaknesses(name: str, metrics: Metrics) -> Iterator[str]:
    segment = f"In the segment '{name}' ({metrics['churned']} of {metrics['snapshots']} churned)"
    if metrics.get("auc_low", 0.5) <= 0.5:
        yield f"{segment} it does not rank significantly better than chance."
    if not metrics["rate_low"] <= metrics["mean_risk"] <= metrics["rate_high"]:
        mean, interval = _format_percent(metrics["mean_risk"]), _rate_interval(metrics)
        yield f"{segment} the mean risk of {mean} lies outside the interval of the churn rate ({interval})."


def _rate_interval(metrics: Metrics) -> str:
    return f"{_format_percent(metrics['rate_low'])} to {_format_percent(metrics['rate_high'])}"


def _format_interval(metrics: Metrics, name: str) -> str:
    if name not in metrics:
        return "undefined"
    return f"{metrics[name]:.3f} ({metrics[f'{name}_low']:.3f} to {metrics[f'{name}_high']:.3f})"


def _format_percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _format_number(value: float) -> str:
    return f"{value:,.0f}"
