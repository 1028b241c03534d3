"""Saves, changes and deletes named views of the portfolio, and records who did."""

from collections.abc import Mapping
from dataclasses import asdict

from configs.clock import now
from configs.errors import RequestError
from serving.handlers.context import ServiceContext
from serving.ledger.saved_views import SavedView, ViewDraft, Viewer, add_view, change_view, delete_view, read_views
from serving.load.pending_reply import PendingReply
from serving.schemas.enums import AuditAction
from serving.security.audit_log import append_audit_event


def list_views(context: ServiceContext, viewer: Viewer) -> list[SavedView]:
    """The views that a viewer sees."""
    return read_views(context.feedback.ledger.engine, viewer)


def save_view(context: ServiceContext, viewer: Viewer, draft: ViewDraft, reply: PendingReply) -> SavedView:
    """Save a view. Raises RequestError: 403 if it may not be for everyone, 422 if it cannot be saved."""
    if draft.is_shared and not viewer.may_share:
        message = "A view for everyone needs a key with the scope 'feedback'."
        raise RequestError(
            message, "Save it for yourself, or sign in with such a key.", code="scope_required", status=403
        )
    reply.commit()
    view_id = add_view(context.feedback.ledger.engine, viewer, draft, now())
    _record(context, viewer, "view_saved", draft.name, is_shared=draft.is_shared)
    return SavedView(view_id, viewer.key_id, viewer.owner, **asdict(draft))


def update_view(
    context: ServiceContext, viewer: Viewer, view_id: int, changes: Mapping[str, object], *, reply: PendingReply
) -> SavedView:
    """Change the name of a view, or whether it is the default. Raises RequestError as `find_view`, and 422."""
    view = find_view(context, viewer, view_id)
    if "is_default" in changes and view.key_id != viewer.key_id:
        message = "Only a view of your own can be your default."
        raise RequestError(message, "Open it and save it under a name of yours.", code="not_own_view", status=422)
    reply.commit()
    change_view(context.feedback.ledger.engine, view, changes)
    _record(context, viewer, "view_changed", view.name, **changes)
    return next(changed for changed in list_views(context, viewer) if changed.id == view_id)


def remove_view(context: ServiceContext, viewer: Viewer, view_id: int, reply: PendingReply) -> SavedView:
    """Delete a view, and return what it was. Raises RequestError as `find_view`."""
    view = find_view(context, viewer, view_id)
    reply.commit()
    delete_view(context.feedback.ledger.engine, view_id)
    _record(context, viewer, "view_deleted", view.name, query=view.query)
    return view


def find_view(context: ServiceContext, viewer: Viewer, view_id: int) -> SavedView:
    """A view that may be changed. Raises RequestError: 404 if it is not seen, 403 if it is another key's."""
    view = next((view for view in list_views(context, viewer) if view.id == view_id), None)
    if view is None:
        message = f"There is no view {view_id}."
        raise RequestError(message, "The portfolio lists the views.", code="unknown_view", status=404)
    if not viewer.may_change(view):
        message = f"The view {view.name!r} is of another key."
        raise RequestError(message, "Use that key, or one with the scope 'admin'.", code="not_own_view", status=403)
    return view


def _record(context: ServiceContext, viewer: Viewer, action: AuditAction, subject: str, **details: object) -> None:
    actor = viewer.key_id or "this machine"
    append_audit_event(context.feedback.ledger.engine, now(), actor, action, subject=subject, **details)
