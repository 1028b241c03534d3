"""Monitoring as a page and as JSON: can the risks be trusted, why, since when, and what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta

from starlette.responses import Response

from configs.clock import format_instant, now
from serving.api.responses import JsonResponse
from serving.ledger.monitor_runs import FIGURE_MEANINGS, MonitorRun
from serving.pages.charts.series import Series, draw_series
from serving.pages.formats import format_day
from serving.pages.page import PageRequest, page
from serving.schemas.enums import HealthVerdict
from serving.schemas.page_queries import MonitoringPageQuery
from serving.views.monitoring_view import MonitoringView, view_monitoring
from serving.views.system_state import describe_system

DASHED = frozenset({"outcome_threshold", "departures_expected"})
LEADS: Mapping[HealthVerdict, str] = {
    "mend a source": "A source is broken",
    "cause changed: retrain": "Accounts leave for other causes than the model learned",
    "level moved: recalibrate": "The level of the risks is wrong",
    "population moved": "Accounts are not what they were four weeks ago; outcomes do not contradict the risks",
    "plays work": "The risks can be trusted, and plays work",
    "cannot tell yet": "It is too early to say whether the risks can be trusted",
    "ok": "The risks can be trusted",
}


@page("GET", "/monitoring", scope="read")
async def get_monitoring(request: PageRequest, query: MonitoringPageQuery) -> Response:
    """Whether the risks can be trusted, with the evidence over time."""
    context = request.context
    database = context.feedback.ledger.engine
    view = await request.run(1, view_monitoring, database, query.since, now())
    if query.format == "json":
        return JsonResponse(monitoring_document(view))
    system = await request.run(1, describe_system, context)
    return request.render("monitoring.html.jinja", {"system": system, **monitoring_values(view)})


def monitoring_values(view: MonitoringView) -> Mapping[str, object]:
    """What the template of monitoring shows."""
    runs = view.runs
    evidence = {"outcome_evidence": "outcomes", "play_evidence": "plays", "outcome_threshold": ""}
    departures = {"departures_observed": "", "departures_expected": ""}
    return {
        "view": view,
        "answer": answer_monitoring(view.newest),
        "meanings": FIGURE_MEANINGS,
        "age_days": None if view.newest is None else max((view.at - view.newest.run_at) // timedelta(days=1), 0),
        "evidence_chart": draw_series(_lines(runs, evidence), "Evidence over the runs", is_log=True),
        "departures_chart": draw_series(_lines(runs, departures), "Departures over the runs"),
        "signals_chart": draw_series(_lines(runs, {"drifted_signals": ""}), "Moved signals over the runs"),
    }


def answer_monitoring(run: MonitorRun | None) -> str:
    """Whether the risks can be trusted, in one sentence."""
    if run is None:
        return "Nobody has checked yet whether the risks can be trusted."
    return f"{LEADS[run.verdict]}, as of {format_day(run.as_of)}: {run.cause}."


def monitoring_document(view: MonitoringView) -> dict[str, object]:
    """The view as JSON: the newest run, the last run of each day, and what is acknowledged."""
    return {
        "answer": answer_monitoring(view.newest),
        "since": view.since.isoformat(),
        "newest": view.newest and _run_document(view.newest),
        "periods": [_with_instants(period._asdict()) for period in view.periods],
        "runs": [_run_document(run) for run in view.runs],
        "acknowledgements": [_with_instants(entry._asdict()) for entry in view.acknowledgements],
    }


def _lines(runs: Sequence[MonitorRun], names: Mapping[str, str]) -> list[Series]:
    """The lines of figures, with what is written at the end of each."""
    return [
        Series([(run.as_of, run.figures[figure]) for run in runs if figure in run.figures], name, figure in DASHED)
        for figure, name in names.items()
    ]


def _run_document(run: MonitorRun) -> dict[str, object]:
    return {**_with_instants(asdict(run)), "sources": [_with_instants(source._asdict()) for source in run.sources]}


def _with_instants(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: format_instant(value) if isinstance(value, datetime) else value for name, value in fields.items()}
