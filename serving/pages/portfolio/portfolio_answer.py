"""The sentence that answers "who needs me today?", with numbers that lead to what proves them."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlencode

from serving.pages.formats import format_count, format_weekday
from serving.schemas.page_queries import PortfolioQuery
from serving.views.portfolio_view import PortfolioView


class TextPart(NamedTuple):
    """A part of a sentence; a number that can be proved has the address of the accounts that it counts."""

    text: str
    href: str | None = None


def portfolio_url(query: PortfolioQuery, **changes: object) -> str:
    """The address of a view with some values changed; None leaves a value out, and so does its default.

    Without any it asks for all accounts, because the bare address opens the default view.
    """
    values = query.model_dump(mode="json", exclude_defaults=True) | changes
    shown = {name: value for name, value in values.items() if value is not None}
    return f"/?{urlencode(shown or {'show': 'all'})}"


def answer_portfolio(view: PortfolioView) -> list[TextPart]:
    """Who carries half of the revenue at risk, of how many, and how many are new there; by band if no revenue is known.

    Its numbers lead to the accounts that they count.
    """
    return list(_parts(view))


def _parts(view: PortfolioView) -> Iterator[TextPart]:
    count, query = view.totals.accounts, view.query
    if not count:
        yield TextPart("No account matches these filters.")
        return
    everything = TextPart(format_count(count), portfolio_url(query, show=None, cursor=None))
    if not view.half:
        yield from _by_band(view, everything)
        return
    yield TextPart(format_count(view.half), portfolio_url(query, show="half", cursor=None))
    yield TextPart(" of ")
    yield everything
    verb = "carries" if view.half == 1 else "carry"
    yield TextPart(f" {_noun(count)} {verb} half of the revenue at risk")
    if view.new is None:
        yield TextPart(".")
        return
    yield TextPart("; ")
    yield TextPart(format_count(view.new), portfolio_url(query, show="new", cursor=None) if view.new else None)
    verb = "is" if view.new == 1 else "are"
    yield TextPart(f" {verb} new since {format_weekday(view.since)}.")


def _by_band(view: PortfolioView, everything: TextPart) -> Iterator[TextPart]:
    urgent = "critical" if view.bands["critical"] else "high"
    yield TextPart(format_count(view.bands[urgent]), portfolio_url(view.query, band=urgent, show=None, cursor=None))
    yield TextPart(" of ")
    yield everything
    verb = "has" if view.bands[urgent] == 1 else "have"
    yield TextPart(f" {_noun(view.totals.accounts)} {verb} a {urgent} risk; no revenue is known.")


def _noun(count: int) -> str:
    return "account" if count == 1 else "accounts"
