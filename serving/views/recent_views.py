"""Keeps the views that were asked for last, because each takes a pass over all accounts."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

MAX_VIEWS = 16
Key = TypeVar("Key", bound=Hashable)
View = TypeVar("View")


class RecentViews(Generic[Key, View]):
    """A few views; the one that was asked for longest ago goes first. It is used from the event loop only."""

    def __init__(self, max_views: int = MAX_VIEWS) -> None:
        self._views: OrderedDict[Key, View] = OrderedDict()
        self._max_views = max_views

    def find(self, key: Key) -> View | None:
        """The view, if it is kept."""
        if key in self._views:
            self._views.move_to_end(key)
        return self._views.get(key)

    def add(self, key: Key, view: View) -> None:
        """Keep a view."""
        self._views[key] = view
        while len(self._views) > self._max_views:
            self._views.popitem(last=False)
