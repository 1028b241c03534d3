"""The bodies and queries of the HTTP API. A field that is not declared here is refused by name."""

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from configs.account_ids import require_account_id
from configs.sections.bands import Band
from serving.schemas.enums import Mark, Outcome, Sort, Verdict

MAX_ACCOUNT_ID_LENGTH = 200
MAX_EXPLAINED = 100
MAX_CHANGES = 1_000
MAX_OUTCOMES = 10_000
ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
AccountId = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_ACCOUNT_ID_LENGTH), AfterValidator(require_account_id)
]
Note = Annotated[str, StringConstraints(max_length=2_000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ViewName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^\x00-\x1f]+$")
]


def _parse_iso_day(value: object) -> date:
    # Pydantic takes a number for seconds since 1970, so that as_of=0 would be a day.
    if isinstance(value, str) and ISO_DAY.fullmatch(value):
        return date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("a day is written as 2026-06-30")


Day = Annotated[date, BeforeValidator(_parse_iso_day), Field(ge=date(1970, 1, 1), le=date(2100, 12, 31))]
PastDay = Annotated[
    Day | None,
    Field(description="A past day: the risks exactly as they were served then.", examples=["2026-06-01"]),
]


class RequestBody(BaseModel):
    """What all bodies have in common: they are immutable, strict, and have no undeclared field."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _field(description: str, example: Any, **limits: Any) -> Any:
    return Field(description=description, examples=[example], **limits)


class ScoreRequest(RequestBody):
    """The accounts to score, and how many drivers to list in each direction."""

    account_ids: Annotated[
        list[AccountId],
        _field("The accounts; a repeated id is answered once.", ["A0000302"], min_length=1),
    ]
    drivers: Annotated[int, _field("How many drivers to list in each direction.", 3, ge=0, le=50)] = 3


class ExplainRequest(RequestBody):
    """The accounts to explain with every family and signal."""

    account_ids: Annotated[
        list[AccountId], _field("The accounts.", ["A0000302"], min_length=1, max_length=MAX_EXPLAINED)
    ]


class ChangeRequest(RequestBody):
    """The accounts whose change of risk between two days is split into its parts."""

    account_ids: Annotated[list[AccountId], _field("The accounts.", ["A0000302"], min_length=1, max_length=MAX_CHANGES)]
    since: Annotated[Day, _field("The earlier day: the last risk served by its end.", "2026-06-01")]
    until: Annotated[Day | None, _field("The later day; now if omitted.", "2026-07-01")] = None
    horizon_days: Annotated[int | None, _field("The horizon; the main one if omitted.", 90, ge=1)] = None

    @model_validator(mode="after")
    def _check_order(self) -> "ChangeRequest":
        if self.until and self.until < self.since:
            raise ValueError("until is before since")
        return self


class WhatIfRequest(RequestBody):
    """Signals to change, or how many changes to suggest that lower the risk most."""

    account_id: Annotated[AccountId, _field("The account.", "A0000302")]
    changes: Annotated[
        dict[Name, float | str], _field("Actionable signals with their new values.", {"open_tickets": 0}, max_length=50)
    ] = {}
    suggest: Annotated[int, _field("How many changes to suggest.", 3, ge=0, le=3)] = 0

    @model_validator(mode="after")
    def _check_not_empty(self) -> "WhatIfRequest":
        if not self.changes and not self.suggest:
            raise ValueError("send changes, or how many to suggest")
        return self


class FeedbackRequest(RequestBody):
    """What people know about a risk that the model does not."""

    account_id: Annotated[AccountId, _field("The account.", "A0000302")]
    verdict: Annotated[Verdict, _field("Whether the risk and its drivers were right.", "already_known")]
    as_of: Annotated[Day | None, _field("The day of the risk; the newest if omitted.", "2026-07-01")] = None
    note: Annotated[Note, _field("A comment.", "Their champion told us in June.")] = ""
    by: Annotated[Name | None, _field("The person who reports it.", "Chloe Martin")] = None
    mark: Annotated[
        Mark | None,
        _field("do_not_chase: do not contact it; saved_watch: saved, and still at risk.", "do_not_chase"),
    ] = None
    mark_until: Annotated[Day | None, _field("The day the mark ends; never if omitted.", "2026-10-01")] = None
    unmark: Annotated[bool, _field("Remove an earlier mark.", False)] = False


class OutcomeReport(RequestBody):
    """What happened to an account."""

    account_id: Annotated[AccountId, _field("The account.", "A0000302")]
    outcome: Annotated[Outcome, _field("What happened.", "left")]
    on: Annotated[Day, _field("The first day.", "2026-06-30")]
    reason: Annotated[Note, _field("The reason.", "went to a competitor")] = ""
    voluntary: Annotated[bool | None, _field("False if a payment failed.", True)] = None


class OutcomesRequest(RequestBody):
    """What happened to accounts; used when labels are next built."""

    outcomes: Annotated[
        list[OutcomeReport],
        _field(
            "One per account and day; the last report counts.",
            [{"account_id": "A0000302", "outcome": "left", "on": "2026-06-30"}],
            min_length=1,
            max_length=MAX_OUTCOMES,
        ),
    ]


class Query(BaseModel):
    """What all queries have in common. Their values are sent as text, so they are not strict."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PastQuery(Query):
    """Now, or a past day."""

    as_of: PastDay = None


class AccountsQuery(Query):
    """Which accounts to list, and in which order."""

    sort: Annotated[
        Sort, _field("By revenue at risk or risk, highest first, or by next renewal.", "revenue_at_risk")
    ] = "revenue_at_risk"
    segment: Annotated[Name | None, _field("Only this segment.", "mid")] = None
    owner: Annotated[Name | None, _field("Only accounts of this owner.", "Chloe Martin")] = None
    band: Annotated[Band | None, _field("Only this band.", "critical")] = None
    renews_from: Annotated[Day | None, _field("Only accounts that renew on this day or later.", "2026-07-01")] = None
    renews_until: Annotated[Day | None, _field("Only accounts that renew before this day.", "2026-10-01")] = None
    limit: Annotated[int, _field("How many accounts on a page.", 50, ge=1, le=500)] = 50
    cursor: Annotated[
        str | None, _field("The next_cursor of the previous page.", "WzAuMzEsIDEyLCAicmlzayJd", max_length=500)
    ] = None
    as_of: PastDay = None


class HistoryQuery(Query):
    """Which page of an account's history."""

    limit: Annotated[int, _field("How many risks on a page, newest first.", 50, ge=1, le=500)] = 50
    cursor: Annotated[int | None, _field("The next_cursor of the previous page.", 1042, ge=1, le=2**62)] = None


class WorkListQuery(Query):
    """Whose work list, and how long."""

    owner: Annotated[Name | None, _field("Only accounts of this owner.", "Chloe Martin")] = None
    limit: Annotated[int, _field("How many accounts to call.", 20, ge=1, le=200)] = 20
    per_owner: Annotated[
        int | None, _field("How many calls each owner can make; work_list.per_owner if omitted.", 10, ge=1, le=1_000)
    ] = None
    excluded: Annotated[int, _field("How many excluded accounts to list, highest value first.", 20, ge=0, le=500)] = 20
