"""Requests: what may be asked over HTTP. What is not named here is refused by name."""

from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from serving.schemas.enums import Band, Mark, Outcome, Sort, Verdict

MAX_ACCOUNT_ID_LENGTH = 200
MAX_EXPLAINED = 100
MAX_CHANGES = 1_000
MAX_OUTCOMES = 10_000
AccountId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ACCOUNT_ID_LENGTH)]
Note = Annotated[str, StringConstraints(max_length=2_000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
PastDay = Annotated[
    date | None,
    Field(description="A past day: answered from the ledger, exactly as served then.", examples=["2026-06-01"]),
]


class Request(BaseModel):
    """What every request keeps to: frozen, strict, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _field(about: str, example: Any, **limits: Any) -> Any:
    return Field(description=about, examples=[example], **limits)


class ScoreRequest(Request):
    """Which accounts to score, and how many drivers to name in each direction."""

    account_ids: Annotated[
        list[AccountId],
        _field("Whose risk is asked for; an id that is repeated is answered once.", ["A0000302"], min_length=1),
    ]
    drivers: Annotated[int, _field("How many drivers to name in each direction.", 3, ge=0, le=50)] = 3


class ExplainRequest(Request):
    """Which accounts to explain, every family and signal of them."""

    account_ids: Annotated[
        list[AccountId], _field("Whose risk is explained.", ["A0000302"], min_length=1, max_length=MAX_EXPLAINED)
    ]


class ChangeRequest(Request):
    """Of which accounts the change between two days is split into its causes."""

    account_ids: Annotated[
        list[AccountId], _field("Whose change is asked for.", ["A0000302"], min_length=1, max_length=MAX_CHANGES)
    ]
    since: Annotated[date, _field("The earlier day: the last risk given up to then counts.", "2026-06-01")]
    until: Annotated[date | None, _field("The later day; now where left out.", "2026-07-01")] = None
    horizon_days: Annotated[int | None, _field("Of which risk; the main horizon where left out.", 90, ge=1)] = None

    @model_validator(mode="after")
    def _runs_forward(self) -> "ChangeRequest":
        if self.until and self.until < self.since:
            raise ValueError("until lies before since")
        return self


class WhatIfRequest(Request):
    """What the risk of an account would be with some signals changed, or which changes would lower it most."""

    account_id: Annotated[AccountId, _field("Which account.", "A0000302")]
    changes: Annotated[
        dict[Name, float | str], _field("Actionable signals and the values to try.", {"open_tickets": 0}, max_length=50)
    ] = {}
    suggest: Annotated[int, _field("How many changes to look for that lower the risk most.", 3, ge=0, le=3)] = 0

    @model_validator(mode="after")
    def _asks_something(self) -> "WhatIfRequest":
        if not self.changes and not self.suggest:
            raise ValueError("name changes, or how many to suggest")
        return self


class FeedbackRequest(Request):
    """What people know about a risk that the model does not."""

    account_id: Annotated[AccountId, _field("Which account.", "A0000302")]
    verdict: Annotated[Verdict, _field("Whether the risk and its drivers were right.", "already_known")]
    as_of: Annotated[date | None, _field("Of which day's risk; the newest where left out.", "2026-07-01")] = None
    note: Annotated[Note, _field("In words.", "Their champion told us in June.")] = ""
    by: Annotated[Name | None, _field("Who says so.", "csm-3")] = None
    mark: Annotated[
        Mark | None,
        _field("do_not_chase: leave it alone; saved_watch: saved, and still at risk.", "do_not_chase"),
    ] = None
    mark_until: Annotated[date | None, _field("Until when the mark holds; for good where left out.", "2026-10-01")] = (
        None
    )
    unmark: Annotated[bool, _field("Take an earlier mark away.", False)] = False


class OutcomeReport(Request):
    """What became of an account."""

    account_id: Annotated[AccountId, _field("Which account.", "A0000302")]
    outcome: Annotated[Outcome, _field("What it did.", "left")]
    on: Annotated[date, _field("From which day.", "2026-06-30")]
    reason: Annotated[Note, _field("The reason given.", "went to a competitor")] = ""
    voluntary: Annotated[bool | None, _field("False where a payment failed.", True)] = None


class OutcomesRequest(Request):
    """What became of accounts; kept for the next label build."""

    outcomes: Annotated[
        list[OutcomeReport],
        _field(
            "One per account and day; told again, the later one counts.",
            [{"account_id": "A0000302", "outcome": "left", "on": "2026-06-30"}],
            min_length=1,
            max_length=MAX_OUTCOMES,
        ),
    ]


class Query(BaseModel):
    """What every query keeps to; its values come as text, so it is not strict."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PastQuery(Query):
    """One account, now or on a past day."""

    as_of: PastDay = None


class AccountsQuery(Query):
    """Which accounts to list, in which order, and from where on."""

    sort: Annotated[
        Sort, _field("By revenue at risk, by risk (both from the top), or by the next renewal.", "at_risk")
    ] = "at_risk"
    segment: Annotated[Name | None, _field("Only this segment.", "mid")] = None
    owner: Annotated[Name | None, _field("Only accounts this person looks after.", "csm-3")] = None
    band: Annotated[Band | None, _field("Only this band.", "critical")] = None
    renews_from: Annotated[date | None, _field("Only accounts that renew on this day or later.", "2026-07-01")] = None
    renews_until: Annotated[date | None, _field("Only accounts that renew before this day.", "2026-10-01")] = None
    limit: Annotated[int, _field("How many on a page.", 50, ge=1, le=500)] = 50
    cursor: Annotated[
        str | None, _field("Where the page before ended.", "WzAuMzEsIDEyLCAiYXRfcmlzayJd", max_length=500)
    ] = None
    as_of: PastDay = None


class HistoryQuery(Query):
    """How much of an account's history, and from where on."""

    limit: Annotated[int, _field("How many risks on a page, newest first.", 50, ge=1, le=500)] = 50
    cursor: Annotated[int | None, _field("Where the page before ended.", 1042, ge=1, le=2**62)] = None


class WorkListQuery(Query):
    """For whom the work list is, and how long."""

    owner: Annotated[Name | None, _field("Only what this person can call.", "csm-3")] = None
    limit: Annotated[int, _field("How many accounts to call.", 20, ge=1, le=200)] = 20
    per_owner: Annotated[
        int | None, _field("How many each owner can call; work_list.per_owner where left out.", 10, ge=1, le=1_000)
    ] = None
    left_out: Annotated[int, _field("How many of those left out to name, dearest first.", 20, ge=0, le=500)] = 20
