"""What the model would compute for an account with some signals changed, as a page and as JSON."""

from collections.abc import Mapping
from itertools import groupby
from urllib.parse import quote, urlencode

from starlette.responses import RedirectResponse, Response

from features.signals.base import family_label
from serving.api.endpoint import read_account_id, wait_for_portfolio
from serving.api.responses import JsonResponse
from serving.pages.account.risk_steps import compared_waterfalls, describe_value, waterfall_document
from serving.pages.formats import format_percent
from serving.pages.page import PageRequest, page
from serving.schemas.page_queries import WhatIfQuery
from serving.views.system_state import describe_system
from serving.views.what_if_view import ChangeableSignal, WhatIfView, view_what_if

SEE_OTHER = 303
NOT_CAUSAL = "what the model computes, not what an action would cause"


@page("GET", "/accounts/{account_id:path}/what-if", scope="read", limits_rows=True)
async def get_what_if(request: PageRequest, account_id: str, query: WhatIfQuery) -> Response:
    """An account's risk beside the one with the signals of the address changed."""
    context, account_id = request.context, read_account_id(account_id)
    if "" in request.http.query_params.values():
        # A form sends every field; the address that is copied has only what is changed.
        return RedirectResponse(what_if_url(account_id, query.changes), SEE_OTHER)
    portfolio = await wait_for_portfolio(request.http)
    view = await request.run(1, view_what_if, context, portfolio, account_id, query.changes)
    if query.format == "json":
        return JsonResponse(what_if_document(view))
    system = await request.run(1, describe_system, context)
    return request.render("what_if.html.jinja", {"system": system, **what_if_values(view)})


def what_if_url(account_id: str, changes: Mapping[str, object]) -> str:
    """The address of a what-if.

    >>> what_if_url("a/b", {"open_tickets": 0})
    '/accounts/a%2Fb/what-if?open_tickets=0'
    """
    query = f"?{urlencode(changes)}" if changes else ""
    return f"/accounts/{quote(account_id, safe='')}/what-if{query}"


def answer_what_if(view: WhatIfView) -> str:
    """The risk with the changes, beside the one without, and what that is not."""
    name = (view.details and view.details.name) or view.account_id
    before = f"{format_percent(view.before['risk'])} to leave within {view.horizon_days} days"
    if view.after is None:
        return f"{name} has a risk of {before}. Change a signal to see {NOT_CAUSAL}."
    changes = " and ".join(f"{signal.label} were {_text(signal, signal.changed_to)}" for signal in view.changed)
    risk = format_percent(view.after["risk"])
    return f"If {name}'s {changes}, its risk would be {risk} instead of {before}: this is {NOT_CAUSAL}."


def what_if_values(view: WhatIfView) -> dict[str, object]:
    """What the template of a what-if shows."""
    by_family = sorted(view.signals, key=lambda signal: signal.family)
    families = [(family, list(signals)) for family, signals in groupby(by_family, key=lambda signal: signal.family)]
    return {
        "view": view,
        "answer": answer_what_if(view),
        "waterfalls": compared_waterfalls(view.before, view.after or view.before),
        "differences": _differences(view),
        "families": sorted(families, key=lambda family: -max(abs(signal.points) for signal in family[1])),
        "suggestions": _suggestions(view),
        "link": what_if_url(view.account_id, {signal.name: _short(signal.changed_to) for signal in view.changed}),
        "describe": describe_value,
        "short": _short,
    }


def what_if_document(view: WhatIfView) -> dict[str, object]:
    """The view as JSON: what the page shows, rounded as it is there, so that its parts add up."""
    before, after = compared_waterfalls(view.before, view.after or view.before)
    return {
        "account_id": view.account_id,
        "answer": answer_what_if(view),
        "causal": False,
        "horizon_days": view.horizon_days,
        "changed": [
            {"signal": signal.name, "value": signal.value, "to": signal.changed_to, "unit": signal.unit}
            for signal in view.changed
        ],
        "before": waterfall_document(before),
        "after": waterfall_document(after) if view.after else None,
        "suggestions": [vars(suggestion) for suggestion in view.suggestions],
    }


def _differences(view: WhatIfView) -> list[tuple[str, int, int]]:
    """Each part's points before and after, in the units of the waterfalls, so that their differences add up too."""
    before, after = compared_waterfalls(view.before, view.after or view.before)
    pairs = zip(before.steps, after.steps, strict=True)
    rows = [(first.label, first.points, second.points) for first, second in pairs]
    return [row for row in rows[:-1] if row[1] != row[2]] + rows[-1:]


def _suggestions(view: WhatIfView) -> list[dict[str, object]]:
    """The cheapest single changes, as a row each."""
    rows: list[dict[str, object]] = []
    for suggestion in view.suggestions:
        signal = view.signal(suggestion.signal)
        rows.append(
            {
                "label": signal.label,
                "family": family_label(signal.family),
                "value": _text(signal, suggestion.value),
                "target": _text(signal, suggestion.target),
                "percentiles": suggestion.percentiles_moved,
                "risk": suggestion.risk,
                "href": what_if_url(view.account_id, {suggestion.signal: _short(suggestion.target)}),
            }
        )
    return rows


def _text(signal: ChangeableSignal, value: float | str | None) -> str:
    return describe_value(value, signal.unit)


def _short(value: float | str | None) -> str:
    """A value as an address and a field hold it: exact, and without the decimals of a whole number."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
