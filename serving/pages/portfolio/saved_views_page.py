"""The saved views on the portfolio, and the form that saves, renames, chooses and deletes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl, urlencode

from starlette.responses import RedirectResponse, Response

from configs.errors import RequestError
from serving.handlers.saved_views import list_views, remove_view, save_view, update_view
from serving.ledger.saved_views import SavedView, ViewDraft, Viewer, find_default
from serving.pages.page import PageRequest, page, read_query
from serving.schemas.page_queries import NOT_SAVED, PortfolioQuery, ViewForm

SEE_OTHER = 303
CHANGES: Mapping[str, Mapping[str, object]] = {
    "set_default": {"is_default": True},
    "clear_default": {"is_default": False},
}


@dataclass(frozen=True)
class ListedView:
    """A saved view with its address, whether it is shown now, and whether the viewer may change it."""

    id: int
    name: str
    href: str
    is_current: bool
    is_shared: bool
    is_own: bool
    is_default: bool
    may_change: bool


@page("POST", "/views", scope="read", limits_rows=True)
async def post_view(request: PageRequest, form: dict[str, str]) -> Response:
    """Save, rename, choose or delete a view, and lead back to the portfolio."""
    view_form: ViewForm = read_query(form, ViewForm)
    query = saved_query(read_query(dict(parse_qsl(view_form.query)), PortfolioQuery))
    viewer, reply = viewer_of(request), request.viewing.reply
    if view_form.action == "save":
        draft = ViewDraft(_require_name(view_form), query, view_form.is_shared, view_form.is_default)
        await request.run(1, save_view, request.context, viewer, draft, reply)
    elif view_form.action == "delete":
        await request.run(1, remove_view, request.context, viewer, _require_view(view_form), reply)
    else:
        changes = CHANGES.get(view_form.action) or {"name": _require_name(view_form)}
        change = partial(update_view, request.context, viewer, _require_view(view_form), changes, reply=reply)
        await request.run(1, change)
    return RedirectResponse(view_address(query), SEE_OTHER)


def viewer_of(request: PageRequest) -> Viewer:
    """Who looks at the portfolio."""
    if request.key is None:
        return Viewer()
    return Viewer(request.key.id, request.key.owner, request.may_write, request.key.has_scope("admin"))


def saved_query(query: PortfolioQuery) -> str:
    """What is saved of a view: filters, order and rows, not its days.

    >>> saved_query(PortfolioQuery(band="high", sort="mrr", as_of="2026-07-01"))
    'band=high&sort=mrr'
    """
    return urlencode(query.model_dump(mode="json", exclude_defaults=True, exclude=set(NOT_SAVED)))


def view_address(query: str) -> str:
    """The address of a view; without filters it says so, because the bare address opens the default view.

    >>> view_address("band=high"), view_address("")
    ('/?band=high', '/?show=all')
    """
    return f"/?{query or 'show=all'}"


def list_saved_views(request: PageRequest, query: PortfolioQuery) -> list[ListedView]:
    """The views that the portfolio offers."""
    viewer = viewer_of(request)
    views = list_views(request.context, viewer)
    default, current = find_default(views, viewer), saved_query(query)
    return [_listed(view, viewer, is_current=view.query == current, is_default=view == default) for view in views]


def default_address(views: Sequence[ListedView]) -> str | None:
    """The address of the view that opens first; None if no view is the default."""
    return next((view.href for view in views if view.is_default), None)


def _listed(view: SavedView, viewer: Viewer, *, is_current: bool, is_default: bool) -> ListedView:
    is_own, href = view.key_id == viewer.key_id, view_address(view.query)
    return ListedView(view.id, view.name, href, is_current, view.is_shared, is_own, is_default, viewer.may_change(view))


def _require_name(view_form: ViewForm) -> str:
    if view_form.name is None:
        raise RequestError("The view has no name.", "Give it one of 1 to 60 characters.", code="invalid", status=422)
    return view_form.name


def _require_view(view_form: ViewForm) -> int:
    if view_form.view is None:
        raise RequestError("The form names no view.", "Use a form of the portfolio.", code="invalid", status=422)
    return view_form.view
