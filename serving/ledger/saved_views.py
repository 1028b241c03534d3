"""Views of the portfolio that people named: an address each, of one key or for everyone. A view holds no rows."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError

from configs.errors import RequestError
from serving.ledger.schema import SAVED_VIEWS

MAX_VIEWS = 30  # of a key


@dataclass(frozen=True)
class SavedView:
    """A named view; `key_id` is whose it is, empty for this machine without a key."""

    id: int
    key_id: str
    owner: str | None
    name: str
    query: str
    is_shared: bool
    is_default: bool


@dataclass(frozen=True)
class Viewer:
    """Who asks: the key, empty for this machine without one, the owner it is limited to, and what it may change.

    `may_share` is whether it may save views for everyone, `may_manage` whether it may change those of others.
    """

    key_id: str = ""
    owner: str | None = None
    may_share: bool = True
    may_manage: bool = False

    def may_change(self, view: SavedView) -> bool:
        """Whether it may rename and delete a view that it sees."""
        return view.key_id == self.key_id or self.may_manage


@dataclass(frozen=True)
class ViewDraft:
    """A view to save: its name, the query of its address, and for whom it is."""

    name: str
    query: str
    is_shared: bool = False
    is_default: bool = False


def read_views(engine: sql.Engine, viewer: Viewer) -> list[SavedView]:
    """The views that a viewer sees, by name: its own, and those for everyone.

    A key that is limited to an owner's accounts sees those of keys with the same limit only, because a view may name
    an owner or an account.
    """
    is_shared = SAVED_VIEWS.c.is_shared
    if viewer.owner is not None:
        is_shared &= SAVED_VIEWS.c.owner == viewer.owner
    columns = (SAVED_VIEWS.c[name] for name in SavedView.__annotations__)
    query = sql.select(*columns).where((SAVED_VIEWS.c.key_id == viewer.key_id) | is_shared)
    with engine.connect() as connection:
        views = [SavedView(**row) for row in connection.execute(query).mappings()]
    return sorted(views, key=lambda view: (view.name.casefold(), view.id))


def find_default(views: Sequence[SavedView], viewer: Viewer) -> SavedView | None:
    """The view that opens first for a viewer: one of its own."""
    return next((view for view in views if view.is_default and view.key_id == viewer.key_id), None)


def add_view(engine: sql.Engine, viewer: Viewer, draft: ViewDraft, at: datetime) -> int:
    """Save a view; returns its id. Raises RequestError (422) if the name is taken, or there are too many."""
    values = {**vars(draft), "key_id": viewer.key_id, "owner": viewer.owner, "saved_at": at}
    with _unless_taken(draft.name), engine.begin() as connection:
        own = sql.select(sql.func.count()).where(SAVED_VIEWS.c.key_id == viewer.key_id)
        if connection.execute(own).scalar_one() >= MAX_VIEWS:
            message = f"You have {MAX_VIEWS} views already."
            raise RequestError(message, "Delete one first.", code="too_many_views", status=422)
        if draft.is_default:
            _clear_default(connection, viewer.key_id)
        key = connection.execute(SAVED_VIEWS.insert().values(values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def change_view(engine: sql.Engine, view: SavedView, changes: Mapping[str, object]) -> None:
    """Rename a view, or make it the default or not; raises RequestError (422) if the name is taken."""
    with _unless_taken(str(changes.get("name", ""))), engine.begin() as connection:
        if changes.get("is_default"):
            _clear_default(connection, view.key_id)
        connection.execute(SAVED_VIEWS.update().where(SAVED_VIEWS.c.id == view.id).values(**changes))


def delete_view(engine: sql.Engine, view_id: int) -> None:
    """Delete a view."""
    with engine.begin() as connection:
        connection.execute(SAVED_VIEWS.delete().where(SAVED_VIEWS.c.id == view_id))


def erase_views_of(engine: sql.Engine, account_id: str) -> int:
    """Delete the views that search for an account, or are named after it; returns how many."""
    with engine.begin() as connection:
        rows = connection.execute(sql.select(SAVED_VIEWS.c.id, SAVED_VIEWS.c.name, SAVED_VIEWS.c.query)).all()
        ids = [row.id for row in rows if account_id in (row.name, *parse_qs(row.query).get("q", []))]
        connection.execute(SAVED_VIEWS.delete().where(SAVED_VIEWS.c.id.in_(ids)))
    return len(ids)


def _clear_default(connection: sql.Connection, key_id: str) -> None:
    connection.execute(SAVED_VIEWS.update().where(SAVED_VIEWS.c.key_id == key_id).values(is_default=False))


@contextmanager
def _unless_taken(name: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        message = f"There is a view {name!r} already."
        raise RequestError(
            message, "Choose another name, or delete that view.", code="name_taken", status=422
        ) from None
