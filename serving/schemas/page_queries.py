"""The queries of the pages: what is shown is in the URL, all of it, so that a view can be saved and sent."""

from datetime import date
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, ConfigDict, Field

from configs.sections.bands import Band
from serving.schemas.requests import Day, Name, Query, ViewName

PortfolioSort = Literal[
    "revenue_at_risk", "risk", "change", "mrr", "renewal", "name", "owner", "segment", "family"
]  # fmt: skip
SORTS: tuple[PortfolioSort, ...] = get_args(PortfolioSort)
DESCENDING_SORTS = frozenset({"revenue_at_risk", "risk", "change", "mrr"})
Order = Literal["asc", "desc"]
Shown = Literal["all", "half", "new"]
PAGE_FORM_TOKEN = "form_token"
PageFormat = Literal["html", "csv", "json"]
# A view is saved without them: the days would grow old, and the others are no part of it.
NOT_SAVED = frozenset({"since", "as_of", "cursor", "format"})
CURRENT_ONLY_FILTERS = ("band", "family", "renews_from", "renews_until")


def parse_number(value: object) -> object:
    """A number from an address, which is a text."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


class PortfolioQuery(Query):
    """Which accounts of the portfolio to show, in which order, of which day, compared with which day."""

    q: Annotated[Name | None, Field(description="A part of the name or the id.")] = None
    segment: Name | None = None
    owner: Name | None = None
    band: Band | None = None
    family: Annotated[Name | None, Field(description="The family that raises the risk most.")] = None
    renews_from: Day | None = None
    renews_until: Day | None = None
    show: Annotated[Shown, Field(description="half: those that carry half of the revenue at risk; new: new there.")] = (
        "all"
    )
    sort: PortfolioSort = "revenue_at_risk"
    order: Order | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[str | None, Field(max_length=500)] = None
    since: Annotated[Day | None, Field(description="The day to compare with; a week before by default.")] = None
    as_of: Annotated[Day | None, Field(description="A past day, as it was served.")] = None
    format: PageFormat = "html"

    @property
    def is_descending(self) -> bool:
        """Whether the highest comes first: by default for amounts, not for names and days."""
        return (self.order or ("desc" if self.sort in DESCENDING_SORTS else "asc")) == "desc"

    @property
    def has_current_only_filter(self) -> bool:
        """Whether a filter is set that says nothing of an earlier day."""
        return any(getattr(self, name) is not None for name in CURRENT_ONLY_FILTERS)


class ViewForm(Query):
    """What a form asks of a saved view: `query` is that of the address to save, or to lead back to."""

    action: Literal["save", "rename", "set_default", "clear_default", "delete"]
    view: Annotated[int | None, BeforeValidator(parse_number)] = None
    name: ViewName | None = None
    query: Annotated[str, Field(max_length=2_000)] = ""
    is_shared: Annotated[bool, Field(description="For everyone, not only the own key.")] = False
    is_default: Annotated[bool, Field(description="Whether the portfolio opens with it.")] = False


class SignInQuery(Query):
    """Where to continue after the sign-in."""

    next: Annotated[str, Field(max_length=2_000)] = "/"


class AccountQuery(Query):
    """Which day of an account to show, and which day to compare it with."""

    as_of: Day | None = None
    since: Day | None = None
    events: Annotated[Name | None, Field(description="The family of the events to list.")] = None
    saved: Annotated[str | None, Field(max_length=20)] = None
    format: Literal["html", "json"] = "html"


class WhatIfQuery(Query):
    """The signals to change, by name, each with its value; the signals are those of the model."""

    model_config = ConfigDict(extra="allow")
    format: Literal["html", "json"] = "html"

    @property
    def changes(self) -> dict[str, str]:
        return {name: str(text) for name, text in (self.model_extra or {}).items()}


class WorkListPageQuery(Query):
    """Whose work list to show."""

    owner: Name | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 20
    format: Literal["html", "json"] = "html"


class DisagreementQuery(Query):
    """How many accounts each list of disagreements shows."""

    limit: Annotated[int, BeforeValidator(parse_number), Field(ge=1, le=200)] = 20
    format: Literal["html", "json"] = "html"


class RetentionQuery(Query):
    """Of which accounts, months and day to show the retention; `csv` has groups, `months.csv` the months."""

    months: Annotated[Literal[3, 6, 12], BeforeValidator(parse_number)] = 12
    segment: Name | None = None
    owner: Name | None = None
    channel: Name | None = None
    as_of: Annotated[Day | None, Field(description="A past day, as the tables were known on it.")] = None
    format: Literal["html", "json", "csv", "months.csv"] = "html"


class OutcomesQuery(Query):
    """In which form to show the outcomes."""

    format: Literal["html", "json"] = "html"


class MonitoringPageQuery(Query):
    """From which day on to show runs."""

    since: Day | None = None
    format: Literal["html", "json"] = "html"


def default_since(as_of: date) -> date:
    """The day to compare a day with unless another is asked for: a week before."""
    return date.fromordinal(as_of.toordinal() - 7)
