"""The model as a page: how good the risks are, overall, by group and by segment, and which versions there are."""

from collections.abc import Mapping
from datetime import date

from starlette.responses import Response

from configs.values.calendar_months import main_horizon
from serving.pages.charts.calibration import CalibrationPoint, draw_calibration
from serving.pages.formats import format_day, format_percent
from serving.pages.page import PageRequest, page
from serving.scoring.model_report import ChampionEvaluation, ModelReport, read_model_report
from serving.views.system_state import describe_system

METRICS = (
    ("auc", "AUC", "the chance that an account that leaves has a higher risk than one that stays"),
    ("log_loss", "log loss", "how far the risks are from what happened; lower is better"),
    ("lift_at_10", "lift at 10 %", "how many times more churn there is among the riskiest tenth"),
    ("precision_at_capacity", "churn rate within capacity", "of the accounts that the team can call"),
    ("revenue_at_capacity", "share of lost revenue within capacity", "that belongs to accounts the team can call"),
    ("calibration_slope", "calibration slope", "1 is best; below 1 the risks are too extreme"),
)


@page("GET", "/model", scope="read")
async def get_model_page(request: PageRequest) -> Response:
    """How far the risks can be trusted."""
    context = request.context
    system = await request.run(1, describe_system, context)
    report = await request.run(1, read_model_report, context.state)
    return request.render("model.html.jinja", {"system": system, **model_values(report)})


def model_values(report: ModelReport) -> Mapping[str, object]:
    """What the template of the model shows."""
    evaluation = report.evaluation
    groups = evaluation.calibration if evaluation else ()
    points = [CalibrationPoint(group.mean_risk, group.rate, group.low, group.high) for group in groups]
    return {
        "report": report,
        "answer": answer_model(report),
        "metrics": METRICS,
        "evaluation": evaluation,
        "horizon": evaluation and main_horizon(evaluation.label),
        "chart": draw_calibration(points),
    }


def answer_model(report: ModelReport) -> str:
    """How good the champion is, in one sentence."""
    if report.evaluation is None:
        return f"The evaluation of version {report.champion} cannot be read any more."
    metrics = report.evaluation.metrics
    verb = "agree" if report.evaluation.is_calibrated else "do not agree"
    rate = f"{format_percent(metrics['rate_low'])} to {format_percent(metrics['rate_high'])}"
    return (
        f"The risks of version {report.champion} {verb} with what happened: {format_percent(metrics['mean_risk'])} of"
        f" {metrics['snapshots']:,.0f} accounts were expected to leave, and {format_percent(metrics['rate'])} did"
        f" ({rate} at 95\u00a0%), {_test_days(report.evaluation)}."
    )


def _test_days(evaluation: ChampionEvaluation) -> str:
    days = evaluation.split.get("test", ())
    if not days:
        return "on its test days"
    return f"seen from {format_day(date.fromisoformat(days[-1]))}"
