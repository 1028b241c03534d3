"""Keeps the views of the retention that were asked for last, because each takes a pass over all accounts."""

from collections import OrderedDict
from typing import NamedTuple

from serving.accounts.portfolio import PortfolioKey
from serving.schemas.page_queries import RetentionQuery
from serving.views.retention_view import RetentionView

MAX_VIEWS = 16


class RetentionKey(NamedTuple):
    """When the revenue was written, of which portfolio the risks are, whose accounts may be seen, what was asked for.

    `portfolio` is None if there are no risks.
    """

    written: int
    portfolio: PortfolioKey | None
    owner: str | None
    query: str


def retention_key(
    written: int, portfolio: PortfolioKey | None, owner: str | None, query: RetentionQuery
) -> RetentionKey:
    """The key of a view; every format shows the same."""
    return RetentionKey(written, portfolio, owner, query.model_dump_json(exclude={"format"}))


class RetentionCache:
    """A few views; the one that was asked for longest ago goes first. It is used from the event loop only."""

    def __init__(self) -> None:
        self._views: OrderedDict[RetentionKey, RetentionView] = OrderedDict()

    def find(self, key: RetentionKey) -> RetentionView | None:
        """The view, if it is kept."""
        if key in self._views:
            self._views.move_to_end(key)
        return self._views.get(key)

    def add(self, key: RetentionKey, view: RetentionView) -> None:
        """Keep a view."""
        self._views[key] = view
        while len(self._views) > MAX_VIEWS:
            self._views.popitem(last=False)
