"""Sections of the model card: backtest, horizons, segments, main reasons, leaks and more, as lines of Markdown."""

from collections.abc import Iterator, Mapping, Sequence

from training.evaluation.ablation import AblationResult
from training.evaluation.driver_stability import DriverStability
from training.evaluation.learning_curve import LearningCurve, LearningPoint
from training.evaluation.paired_difference import PairedMetric
from training.evaluation.scorecard import Interval
from training.evaluation.secondary_metrics import HorizonMetrics
from training.leakage.leakage import LeakageReport
from training.registry.evaluation_record import BacktestRecord, EvaluationRecord, FoldMetrics, Metrics

METRIC_NAMES = {
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
    "resolution": "resolution (part of Brier, higher is better)",
    "uncertainty": "uncertainty (part of Brier, set by the data)",
    "calibration_slope": "calibration slope (1 is best)",
    "calibration_intercept": "calibration intercept (0 is best)",
}


def format_interval(metrics: Metrics, name: str) -> str:
    """A metric with its interval; `undefined` if the snapshots give none, such as an AUC of days with one outcome."""
    if name not in metrics:
        return "undefined"
    return f"{metrics[name]:.4f} [{metrics[f'{name}_low']:.4f}, {metrics[f'{name}_high']:.4f}]"


def format_percent(share: float) -> str:
    """A share as whole per cent."""
    return f"{share * 100:.0f} %"


def format_difference(difference: Interval) -> str:
    """A difference, with its sign, and its interval."""
    return f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"


def horizon_lines(evaluation: EvaluationRecord) -> Iterator[str]:
    """The metrics of each horizon, segments with their own calibration, and monotone signals."""
    horizons, checks = evaluation.horizons, evaluation.monotonicity
    yield from ("", "## Horizons", "", "Each on the newest test day that has labels for it.", "")
    yield from (
        "| horizon | test day | snapshots | churned | mean risk | churn rate | AUC | log loss |",
        "|---" * 8 + "|",
    )
    yield from (_horizon_row(days, horizon) for days, horizon in horizons.metrics.items() if horizon)
    yield ""
    yield from (
        f"- {days} days: no test day has labels yet" for days, horizon in horizons.metrics.items() if not horizon
    )
    yield from (f"- {days} days: unavailable, {reason}" for days, reason in horizons.unavailable.items())
    offsets = ", ".join(f"{segment} {offset:+.2f}" for segment, offset in horizons.segment_offsets.items())
    yield f"- segments with their own calibration (shift of the log-odds): {offsets or 'none'}"
    yield f"- signals that keep their declared direction: {sum(not c.violated for c in checks)} of {len(checks)}"


def stability_lines(stability: DriverStability) -> Iterator[str]:
    """How far main reasons can be trusted."""
    yield from ("", "## Main reasons", "")
    yield f"The model was fitted again {stability.refits} times on resampled accounts; {stability.snapshots} snapshots."
    yield f"- the family that raises a risk most changed in {format_percent(stability.flip_share)} of the refits"
    if stability.min_lead is None or stability.clear_flip_share is None:
        agreement = format_percent(stability.min_agreement)
        yield f"- no lead over the second family keeps it the same in {agreement}, so no main reason is given"
    else:
        lead, share = f"{stability.min_lead:.3f} log-odds", format_percent(stability.clear_share)
        yield f"- it is given as main reason if it leads the second by {lead}: in {share} of snapshots"
        yield f"- there it changed in {format_percent(stability.clear_flip_share)} of the refits"


def contraction_lines(contraction: Mapping[str, Metrics | None]) -> Iterator[str]:
    """How well the risks also rank accounts that contract; none if the data has no contraction."""
    if contraction:
        yield from (
            "",
            "## Contraction",
            "",
            "How well the risk of churn also ranks accounts that reduce spending.",
            "",
        )
    for name, metrics in contraction.items():
        if metrics is None:
            yield f"- {name}: no account, or every account"
        else:
            counts = f"{metrics['churned']} of {metrics['snapshots']}"
            auc = format_interval(metrics, "auc")
            yield f"- {name}: {counts}, rate {format_interval(metrics, 'rate')}, AUC of the risk {auc}"


def tuning_lines(evaluation: EvaluationRecord) -> Iterator[str]:
    """The settings that a search found, as lines for the settings file; none without a search."""
    tuning = evaluation.tuning
    if tuning is None:
        return
    yield from ("", "## Tuning", "")
    yield f"The best of {tuning.trials} trials on days before the test: log loss {tuning.log_loss:.5f}, compared with"
    yield f"{tuning.initial_log_loss:.5f} of the initial settings."
    if len(tuning.unseen_test_days) < len(evaluation.backtest.folds):
        unseen = ", ".join(tuning.unseen_test_days) or "no fold"
        yield f"The search has not seen the test days of {unseen}; the metrics of older folds are too optimistic."
    yield from ("", "```", "[training]", *(f"{name} = {value}" for name, value in tuning.training.items()), "```")


def backtest_lines(evaluation: EvaluationRecord) -> Iterator[str]:
    """The metrics over all folds, with the lowest and the highest fold, and what was expected on each test day."""
    backtest = evaluation.backtest
    days = sorted(fold.test_days[-1] for fold in backtest.folds)
    yield from ("", f"## Backtest: {len(days)} folds ({', '.join(days)})", "")
    pooled = backtest.pooled
    yield f"{pooled['snapshots']} snapshots, {pooled['churned']} churned; 95 % intervals by bootstrap of accounts."
    yield f"Capacity is {evaluation.capacity} accounts a day."
    yield from (f"- skipped {day}: {reason}" for day, reason in backtest.skipped.items())
    yield from ("", "| | all folds | lowest and highest fold |", "|---|---|---|")
    yield from (_backtest_row(name, backtest) for name in METRIC_NAMES if name in pooled)
    yield from ("", "| test day | snapshots | expected to churn | churned | churn rate |", "|---" * 5 + "|")
    yield from (_expected_row(fold) for fold in backtest.folds)
    if evaluation.unseen_accounts:
        yield from (
            "",
            f"On accounts that the fit has not seen: AUC {format_interval(evaluation.unseen_accounts, 'auc')}.",
        )


def baseline_lines(evaluation: EvaluationRecord) -> Iterator[str]:
    """The log loss compared with that of each baseline."""
    yield from ("", "## Log loss minus that of each baseline (below 0: the model is better)", "")
    yield f"Paired on the same snapshots; {format_percent(evaluation.confidence)} intervals by bootstrap of accounts."
    yield from ("", "| baseline | difference | must be beaten |", "|---|---|---|")
    for name, comparison in evaluation.baseline_comparisons.items():
        rule = "yes" if comparison.must_be_beaten else "no, but must not be better"
        yield f"| {name} | {format_difference(comparison.difference)} | {rule} |"


def segment_lines(segments: Mapping[str, Metrics]) -> Iterator[str]:
    """The metrics of each segment; none without segments."""
    if segments:
        yield from ("", "## By segment, all folds", "")
        yield from ("| segment | snapshots | churned | mean risk | churn rate | AUC | log loss |", "|---" * 7 + "|")
    for name, metrics in segments.items():
        cells = " | ".join(format_interval(metrics, metric) for metric in ("rate", "auc", "log_loss"))
        yield f"| {name} | {metrics['snapshots']} | {metrics['churned']} | {metrics['mean_risk']:.4f} | {cells} |"


def ablation_lines(ablation: Sequence[AblationResult]) -> Iterator[str]:
    """What is lost without each family of signals; none if that was not measured."""
    if ablation:
        yield from ("", "## Without a family of signals (log loss above 0: the model is worse without it)", "")
        yield from ("| | signals | change in log loss | change in AUC |", "|---|---|---|---|")
    for result in ablation:
        yield f"| {result.name} | {result.signal_count} | {_difference_cells(result.metrics)} |"


def learning_lines(curve: LearningCurve | None) -> Iterator[str]:
    """What fewer accounts to learn from lose, and what more months would bring; none if that was not measured."""
    if curve is None:
        return
    yield from ("", "## Learning curve", "", learning_sentence(curve))
    if curve.points:
        header = "| accounts to learn from | churned | log loss minus that of all | AUC minus that of all |"
        yield from ("", header, "|---|---|---|---|")
    yield from (_learning_row(point) for point in curve.points)


def learning_sentence(curve: LearningCurve) -> str:
    """What more months of data would bring, or why that cannot be told."""
    if curve.forecast is None:
        unknown = "Half of the accounts are too few to fit a model, so what more data would bring is not known."
        return f"{unknown} {curve.unavailable}"
    forecast, change = curve.forecast, curve.forecast.log_loss
    brings = (
        f"In {forecast.months} more months some {forecast.departed:,} more accounts would churn, beside the"
        f" {curve.departed:,} learned from."
    )
    if change.high >= 0:
        return f"{brings} Whether that would lower the log loss cannot be told: {format_difference(change)}."
    return f"{brings} That would change the log loss by about {format_difference(change)}, by the test accounts."


def leakage_lines(leakage: LeakageReport) -> Iterator[str]:
    """The alarms, and the AUCs behind them."""
    ranked = sorted(leakage.signal_aucs.items(), key=lambda item: -item[1])
    leads = ", ".join(f"{lead.lead_days} days {lead.auc:.3f}" for lead in leakage.leads)
    yield from ("", "## Leaks", "")
    yield from (f"- **alarm: {alarm}**" for alarm in leakage.alarms)
    yield f"- AUC of the strongest single signals: {', '.join(f'{name} {auc:.3f}' for name, auc in ranked)}"
    if shuffled := leakage.shuffled_labels:
        bounds = f"[{shuffled.low:.3f}, {shuffled.high:.3f}]"
        yield f"- AUC of a model fitted on shuffled labels: {shuffled.auc:.3f}, chance {bounds}"
    yield f"- values that seem to be set when accounts leave: {len(leakage.set_at_departure) or 'none'}"
    yield f"- AUC without accounts that leave before: {leads or 'this label has no day of leaving'}"


def _learning_row(point: LearningPoint) -> str:
    return f"| {format_percent(point.share)} | {point.departed:,} | {_difference_cells(point.metrics)} |"


def _difference_cells(metrics: Mapping[str, PairedMetric]) -> str:
    compared = (metrics.get(name) for name in ("log_loss", "auc"))
    return " | ".join(format_difference(metric.difference) if metric else "undefined" for metric in compared)


def _horizon_row(days: str, horizon: HorizonMetrics) -> str:
    metrics = horizon.metrics
    cells = " | ".join(format_interval(metrics, name) for name in ("rate", "auc", "log_loss"))
    counts = f"{metrics['snapshots']} | {metrics['churned']} | {metrics['mean_risk']:.4f}"
    return f"| {days} days | {horizon.test_days[-1]} | {counts} | {cells} |"


def _expected_row(fold: FoldMetrics) -> str:
    metrics = fold.metrics
    expected = f"{metrics['mean_risk'] * metrics['snapshots']:.1f}"
    first, last = fold.test_days[0], fold.test_days[-1]
    days = last if first == last else f"{first} to {last}"
    cells = (days, metrics["snapshots"], expected, metrics["churned"], format_interval(metrics, "rate"))
    return f"| {' | '.join(map(str, cells))} |"


def _backtest_row(name: str, backtest: BacktestRecord) -> str:
    values = [fold.metrics[name] for fold in backtest.folds if name in fold.metrics]
    bounds = f"{min(values):.4f} to {max(values):.4f}" if values else "undefined"
    return f"| {METRIC_NAMES[name]} | {format_interval(backtest.pooled, name)} | {bounds} |"
