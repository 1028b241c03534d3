"""Reads the online signals from Redis as arrays: every view of some accounts in one round trip, of one publication."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.errors import StoreDown
from configs.state_dir import StateDir
from features.online.redis_connection import SilentServer, store_errors
from features.online.redis_rows import encode_id, fetch_pointer, keys_of, read_pointer, unpack_cell
from features.store.online_reader import (
    FlatRow,
    OnlineSignals,
    OnlineViews,
    assemble_signals,
    describe_views,
)

if TYPE_CHECKING:
    from redis import Redis

ATTEMPTS = 5
FEW_ACCOUNTS = 1_000  # those of a request; Redis needs longer for all accounts of a company


@dataclass(frozen=True)
class _PublishedViews:
    """The pointer as it was read, and what it names."""

    pointer: bytes
    generation: str
    views: OnlineViews


class RedisReader:
    """Reads the published signals of one state folder; safe to use from many threads."""

    def __init__(self, client: "Redis", impatient: "Redis", state: StateDir) -> None:
        self._client, self._impatient, self._state, self._keys = client, impatient, state, keys_of(state)
        self._published: _PublishedViews | None = None
        self._server = SilentServer()

    def views(self) -> OnlineViews:
        """The views that were published last; raises NotReady if nothing was, StoreDown if Redis cannot be used."""
        with store_errors():
            return self._parse(fetch_pointer(self._impatient, self._keys)).views

    def read(self, account_ids: Sequence[str]) -> OnlineSignals:
        """The latest published signals of these accounts, in the requested order, all of one publication.

        Raises NotReady if nothing was published, StoreDown if Redis cannot be used.
        """
        with self._server.ask(), store_errors():
            published = self._published or self._parse(fetch_pointer(self._impatient, self._keys))
            for _ in range(ATTEMPTS):
                pointer, departed, cells = self._fetch(published, account_ids)
                if pointer == published.pointer:
                    rows = [_row(published.views, *row) for row in zip(departed, cells, strict=True)]
                    return assemble_signals(published.views, rows)
                published = self._parse(pointer)  # a newer publication: its rows are complete
        raise StoreDown("The online store was published again and again while it was read.", "Try again.")

    def _fetch(
        self, published: _PublishedViews, account_ids: Sequence[str]
    ) -> tuple[bytes | None, list[bytes | None], list[list[bytes | None]]]:
        """The pointer, when each account departed, and its cells, all of one instant."""
        fields = [layout.table for layout in published.views.layouts]
        client = self._impatient if len(account_ids) <= FEW_ACCOUNTS else self._client
        with client.pipeline(transaction=True) as pipe:
            pipe.get(self._keys.published)
            for account_id in account_ids:
                pipe.hmget(self._keys.row(published.generation, account_id), fields)
            if account_ids:
                pipe.hmget(self._keys.departed, [encode_id(account_id) for account_id in account_ids])
            pointer, *answers = pipe.execute()
        return pointer, answers.pop() if answers else [], answers

    def _parse(self, pointer: bytes | None) -> _PublishedViews:
        current = self._published
        if current is None or current.pointer != pointer:
            if pointer is None and self._state.publication.exists():
                raise StoreDown("Redis holds no publication: it was emptied, or it expired.", "Run `oarlock publish`.")
            content = read_pointer(pointer)
            views = describe_views(content.publication)
            self._published = current = _PublishedViews(pointer or b"", content.generation, views)
        return current


def _row(views: OnlineViews, departed: bytes | None, cells: Sequence[bytes | None]) -> FlatRow:
    """The row of one account; one that departed has no values, and as of when it had."""
    if departed is not None and not any(cells):
        return (int(departed), None, None) * len(cells)
    row: list[object] = []
    for cell, layout in zip(cells, views.layouts, strict=True):
        row += unpack_cell(cell, len(layout.numbers))
    return row
