"""One account as a page and as JSON, and what people report about its risk."""

from collections.abc import Mapping
from urllib.parse import quote

from pydantic import ConfigDict
from starlette.responses import RedirectResponse, Response

from configs.clock import format_instant
from serving.api.endpoint import read_account_id, run_in_pool
from serving.api.responses import JsonResponse
from serving.handlers.feedback import save_feedback
from serving.ledger.entry_hash import hash_entry
from serving.ledger.reader import LedgerEntry
from serving.pages.account.account_answer import answer_account, display_name, explain_account
from serving.pages.account.page_record import PageRecord, describe_page
from serving.pages.account.risk_steps import Waterfall, change_waterfall, risk_waterfall, waterfall_document
from serving.pages.account.success_vector import draw_vectors, find_vectors, vectors_document
from serving.pages.charts.line import TimePoint, time_line
from serving.pages.page import PageRequest, page, read_query
from serving.schemas.page_queries import AccountQuery
from serving.schemas.requests import FeedbackRequest
from serving.views.account_view import AccountView, view_account
from serving.views.system_state import describe_system

SEE_OTHER = 303
UNMARK = "unmark"
QUICK_DAYS = ((7, "a week"), (28, "four weeks"), (91, "a quarter"))


@page("GET", "/accounts/{account_id:path}", scope="read", limits_rows=True)
async def get_account(request: PageRequest, account_id: str, query: AccountQuery) -> Response:
    """Why an account is flagged, since when, what changed, and what to do."""
    context = request.context
    account_id = read_account_id(account_id)
    arguments = context, account_id, query, request.viewing
    view = await run_in_pool(request.http, context.pools.events, 1, view_account, *arguments)
    if query.format == "json":
        return JsonResponse(account_document(view))
    system = await request.run(1, describe_system, context)
    values = {"system": system, **account_page_values(view, query.saved)}
    return request.render("account.html.jinja", values)


@page("POST", "/accounts/{account_id:path}/feedback", scope="feedback", limits_rows=True)
async def post_account_feedback(request: PageRequest, account_id: str, form: dict[str, str]) -> Response:
    """Save a verdict, a note and a mark, and lead back to the account."""
    account_id = read_account_id(account_id)
    by = request.key.name if request.key else ""
    feedback = read_query(feedback_fields(account_id, form, by), FeedbackForm)
    await request.run(1, save_feedback, request.context, feedback, request.viewing.reply)
    return RedirectResponse(f"/accounts/{quote(account_id, safe='')}?saved=yes#feedback", SEE_OTHER)


class FeedbackForm(FeedbackRequest):
    """Feedback from a form, whose fields are texts."""

    model_config = ConfigDict(strict=False)


def feedback_fields(account_id: str, form: Mapping[str, str], by: str) -> dict[str, str]:
    """The fields of a feedback: the mark "unmark" of a form removes one."""
    mark = form.get("mark", "")
    fields = {name: form.get(name, "") for name in ("verdict", "note")}
    changes = {UNMARK: "true"} if mark == UNMARK else {"mark": mark, "mark_until": form.get("mark_until", "")}
    return {**fields, **(changes if mark else {}), "account_id": account_id, "by": by}


def account_page_values(view: AccountView, saved: str | None) -> dict[str, object]:
    """What the template of an account shows, with the record by which the page can be verified."""
    record = describe_page(view, saved)
    recorded = record_values(view.entry, record) if view.entry and record else {"record": None}
    return {"saved": saved, **account_values(view), **recorded}


def record_values(entry: LedgerEntry, record: PageRecord) -> dict[str, object]:
    """What the record on a page shows."""
    return {"record": record, "entry": entry, "served_at": entry.scored_at}


def account_values(view: AccountView) -> dict[str, object]:
    """What the template of an account shows."""
    points, vectors = _history_points(view), find_vectors(view.score, view.change)
    return {
        "view": view,
        "currency": view.score["revenue"].get("currency") if view.score else None,
        "name": display_name(view),
        "answer": answer_account(view),
        "sentences": explain_account(view),
        "waterfall": risk_waterfall(view.score),
        "change": change_waterfall(view),
        "vectors": vectors,
        "vector_chart": draw_vectors(vectors),
        "points": points,
        "chart": time_line(points, "Risk by day; the table below has the numbers."),
        "quick_days": _quick_days(view),
    }


def account_document(view: AccountView) -> dict[str, object]:
    """The view as JSON: what the page shows, rounded as it is there, so that its parts add up."""
    return {
        "account_id": view.account_id,
        "answer": answer_account(view),
        "sentences": explain_account(view),
        "band": view.score["band"] if view.score else None,
        "trend": view.trends.risk,
        "trend_since": view.trends.since.isoformat() if view.trends.since else None,
        "usage_trend": view.trends.usage,
        "risk": _waterfall_document(risk_waterfall(view.score)),
        "success_vector": vectors_document(find_vectors(view.score, view.change)),
        "change": _waterfall_document(change_waterfall(view)),
        "change_reason": view.change_reason or None,
        **_evidence_document(view),
        "ledger_entry": hash_entry(view.entry) if view.entry else None,
        "mark": view.mark,
        "play": view.play,
        "events": [
            {"at": format_instant(event.at), "family": event.family, "text": event.text}
            for event in view.timeline.shown
        ],
        "history": [
            {"as_of": f"{point.at:%Y-%m-%d}", "risk": round(point.share, 3), "mark": point.mark or None}
            for point in _history_points(view)
        ],
    }


def _evidence_document(view: AccountView) -> dict[str, object]:
    evidence = view.evidence
    similar = evidence.similar if evidence else None
    interval = evidence.interval if evidence else None
    return {
        "risk_in_refits": interval and {"low": round(interval.main[0], 3), "high": round(interval.main[1], 3)},
        "similar": similar
        and {
            "searched": similar.searched,
            "accounts": similar.count,
            "left": similar.churned if similar.count else None,
            "low": round(similar.low, 3) if similar.count else None,
            "high": round(similar.high, 3) if similar.count else None,
        },
    }


def _waterfall_document(waterfall: Waterfall | None) -> dict[str, object] | None:
    return waterfall_document(waterfall) if waterfall else None


def _history_points(view: AccountView) -> list[TimePoint]:
    """The last served risk of each day, oldest first; marked with what happened since the one before it.

    Marked are another model version, renewals, notices, plays and feedback.
    """
    by_day = {entry.as_of: entry for entry in sorted(view.history, key=lambda entry: entry.id)}
    marks = list(view.timeline.marks)
    points: list[TimePoint] = []
    version, previous = None, None
    for as_of, entry in sorted(by_day.items()):
        texts = [f"model version {entry.version}"] if version not in (None, entry.version) else []
        texts += [text for at, text in marks if previous is not None and previous < at <= as_of]
        points.append(TimePoint(as_of, entry.risk, "; ".join(texts)))
        version, previous = entry.version, as_of
    return points


def _quick_days(view: AccountView) -> list[tuple[str, str]]:
    """Days to compare with, before the day that is shown."""
    if view.score is None:
        return []
    as_of = view.score["signals_as_of"][:10]
    ordinal = view.since.fromisoformat(as_of).toordinal()
    return [(view.since.fromordinal(ordinal - days).isoformat(), label) for days, label in QUICK_DAYS]
