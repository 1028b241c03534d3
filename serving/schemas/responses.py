"""The responses of the HTTP API, field by field.

Handlers build these dictionaries, orjson writes them, and the OpenAPI document and the client read the same classes.
A literal of a TypedDict costs what a plain dictionary costs: of one scored account, building and writing takes 1.0
times as long with msgspec, 4.9 times with frozen dataclasses and 5.6 times with pydantic models.
"""

from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from configs.sections.bands import Band
from serving.schemas.enums import Outcome, Status, SuppressedReason, Trend, UnscoredReason, UsageTrend, Verdict

Value = float | str | None
EXAMPLE_TEXT = "Usage fell from 31 to 8 active days in 28 days (similar accounts: 28)"


def _described(description: str, example: Any) -> Any:
    return Field(description=description, examples=[example])


def _instant(description: str, example: str | None) -> Any:
    return Field(description=description, examples=[example], json_schema_extra={"format": "date-time"})


Instant = Annotated[str, _instant("An instant in UTC.", "2026-07-01T00:00:00Z")]
AccountId = Annotated[str, _described("The account.", "A0000302")]
AccountName = Annotated[str | None, _described("The account's name.", "Blue Books")]
Owner = Annotated[str | None, _described("The person responsible for the account.", "Chloe Martin")]
Segment = Annotated[str | None, _described("The account's segment.", "mid")]
ParentId = Annotated[str | None, _described("The parent account.", None)]
Stage = Annotated[str | None, _described("onboarding, established or renewing; null if not known.", "renewing")]
Renewal = Annotated[
    str | None, _instant("The end of the current paid term; null if not known.", "2026-09-01T00:00:00Z")
]
Risk = Annotated[float, _described("Calibrated probability of churn within the main horizon.", 0.094)]
Risks = Annotated[dict[str, float], _described("The risk within every horizon, by days.", {"30": 0.03, "90": 0.094})]
Base = Annotated[float, _described("The risk of an account of this segment without any signal.", 0.028)]
Points = Annotated[float, _described("The share of the risk, as a probability: 0.021 is 2.1 points.", 0.021)]
RemainingPoints = Annotated[float, _described("The points that are not listed; with them all points add up.", 0.003)]
RiskBand = Annotated[Band, _described("The band of the risk.", "watch")]
Mrr = Annotated[float | None, _described("Monthly recurring revenue; null if not known.", 1250.0)]
RevenueAtRisk = Annotated[float | None, _described("mrr * risk; null if not known.", 117.5)]
CurrencyCode = Annotated[
    str | None, _described("The currency of the amounts, by ISO 4217; null if the data set declares none.", "EUR")
]
MarkOfAccount = Annotated[str | None, _described("do_not_chase or saved_watch; null without a mark.", None)]
ModelVersion = Annotated[int, _described("The version of the model.", 3)]
Horizons = Annotated[list[int], _described("The horizons of the model, in days.", [30, 90, 180])]
LabelHash = Annotated[str, _described("A hash of the label settings of the training run.", "5f2d0c1a9b3e")]
SignalSet = Annotated[str, _described("A hash of the signals of the model.", "0c8a7f3e21bd")]
Family = Annotated[str, _described("The family of signals.", "adoption")]
ScoreStatus = Annotated[
    Status,
    _described("scored, partial (a family is missing), stale (signals too old) or degraded (store down).", "scored"),
]
Causal = Annotated[bool, _described("Always false: drivers explain the risk, they do not say what changes it.", False)]
DriverText = Annotated[str, _described("A sentence.", EXAMPLE_TEXT)]
NextCursor = Annotated[
    str | None, _described("The cursor of the next page; null on the last page.", "WzAuMzEsIDEyXQ==")
]


@with_config(ConfigDict(extra="forbid"))
class ResponseBody(TypedDict):
    """An object of a response; it has no other fields than those declared."""


class Error(ResponseBody):
    """What went wrong, for programs and for people."""

    code: Annotated[str, _described("The kind of error, for programs.", "invalid")]
    message: Annotated[str, _described("What is wrong, and where.", "account_ids: field required.")]
    hint: Annotated[str, _described("What to do next.", "Send account_ids.")]


class ErrorResponse(ResponseBody):
    """The body of every error."""

    error: Annotated[
        Error, _described("The error.", {"code": "invalid", "message": "account_ids: field required.", "hint": ""})
    ]


class ModelDescription(ResponseBody):
    """The model that gave the risks."""

    name: Annotated[str, _described("The registered model.", "oarlock")]
    version: ModelVersion
    alias: Annotated[str, _described("The alias of the version.", "champion")]
    horizon_days: Annotated[int, _described("The main horizon.", 90)]
    horizons: Horizons
    lead_days: Annotated[int, _described("Days between as_of and the start of the horizon.", 0)]
    label_hash: LabelHash
    signal_set: SignalSet
    warning: Annotated[
        str | None,
        _described("Why it knows no more than the base rate; null if it does, as all but forced ones do.", None),
    ]


class RefusedVersion(ResponseBody):
    """A promoted version that could not be loaded."""

    version: ModelVersion
    reason: Annotated[str, _described("Why.", "The bundle does not reproduce the risks it was built with.")]


class ModelResponse(ModelDescription):
    """The champion, and the version that was promoted after it and could not be loaded."""

    refused: Annotated[RefusedVersion | None, _described("The refused version; null if there is none.", None)]


ScoringModel = Annotated[ModelDescription, _described("The model of these risks.", {"name": "oarlock", "version": 3})]
NullableScoringModel = Annotated[
    ModelDescription | None, _described("The model that gave the risks; null for past risks.", None)
]


class Revenue(ResponseBody):
    """What an account pays, and how much of it is at risk."""

    mrr: Mrr
    revenue_at_risk: RevenueAtRisk
    currency: NotRequired[CurrencyCode]  # risks that older releases served lack it


class SignalPoints(ResponseBody):
    """A signal's share of a risk."""

    name: Annotated[str, _described("The signal.", "seat_utilisation_28d")]
    label: Annotated[str, _described("The signal's label.", "seat utilisation, last 28 days")]
    value: Annotated[Value, _described("Its value; null if not known.", 0.31)]
    unit: Annotated[str, _described("Its unit.", "share")]
    typical: Annotated[Value, _described("The typical value in the segment.", 0.74)]
    points: Points
    absent: NotRequired[
        Annotated[
            str, _described("What a missing value means, if more than not known.", "no champion is known to have left")
        ]
    ]


class ExplainedSignal(SignalPoints):
    """A signal's share of a risk, compared with peers."""

    percentile: Annotated[
        float | None, _described("The percentage of peers below it; null if not known, or just after a start.", 8.5)
    ]
    peer_count: Annotated[
        int | None, _described("How many peers the percentile is taken from: at most 2,000 of a segment.", 412)
    ]
    actionable: Annotated[bool, _described("Whether a team can change it.", True)]
    sentence: Annotated[
        str, _described("The meaning of the signal.", "Average daily active users, as a share of the seats paid for.")
    ]


class Driver(ResponseBody):
    """A family's share of a risk."""

    family: Family
    points: Points
    text: DriverText
    signals: Annotated[list[SignalPoints], _described("The signals with the most points.", [])]
    remaining_points: RemainingPoints


class ExplainedDriver(ResponseBody):
    """A family's share of a risk with all its signals."""

    family: Family
    points: Points
    text: DriverText
    signals: Annotated[list[ExplainedSignal], _described("Every signal, the most points first.", [])]
    remaining_points: RemainingPoints


class RowDrivers(ResponseBody):
    """The drivers of a risk."""

    base: Base
    drivers: Annotated[list[Driver], _described("Families that raise the risk, the most points first.", [])]
    protective_drivers: Annotated[list[Driver], _described("Families that lower the risk, the most points first.", [])]
    remaining_points: RemainingPoints
    main_reason: Annotated[
        str | None,
        _described("The family that raises the risk most; null if it does not lead clearly or is typical.", "adoption"),
    ]


class Degradation(ResponseBody):
    """Why the last known risk is returned instead of a new one."""

    rationale: Annotated[str, _described("What does not work.", "The online store cannot be read.")]
    age_days: Annotated[float, _described("Days since the risk was computed.", 1.2)]


class ScoredRisk(ResponseBody):
    """One account's risk."""

    account_id: AccountId
    status: ScoreStatus
    stale_families: Annotated[list[str], _described("Families whose signals are too old.", [])]
    missing_families: Annotated[list[str], _described("Families without any value.", ["sentiment"])]
    risk: Risk
    risks: Risks
    band: RiskBand
    revenue: Annotated[
        Revenue,
        _described(
            "What it pays, and how much is at risk.", {"mrr": 1250.0, "revenue_at_risk": 117.5, "currency": "EUR"}
        ),
    ]
    signals_as_of: Instant
    causal: Causal


class Score(ScoredRisk, RowDrivers):
    """One account's risk with its drivers."""

    scored_at: NotRequired[Annotated[str, _instant("When a past risk was computed.", "2026-06-01T07:00:00Z")]]
    version: NotRequired[Annotated[int, _described("The model version of a past risk.", 2)]]
    degraded: NotRequired[
        Annotated[Degradation, _described("Why the risk is an old one.", {"rationale": "store down", "age_days": 1.2})]
    ]


class UnscoredAccount(ResponseBody):
    """An account without a risk."""

    account_id: AccountId
    reason: Annotated[UnscoredReason, _described("Why it has none.", "unknown_account")]


class ScoreResponse(ResponseBody):
    """The risks of the requested accounts."""

    as_of: Instant
    model: NullableScoringModel
    scores: Annotated[list[Score], _described("Accounts with a risk.", [])]
    not_scored: Annotated[list[UnscoredAccount], _described("Accounts without a risk.", [])]


class SuggestedPlay(ResponseBody):
    """The play for the driver that raises a risk most, and whether it is suggested now."""

    play: Annotated[str, _described("The play.", "seat_reactivation")]
    family: Family
    action: Annotated[str, _described("What to do.", "Send the champion the list of seats nobody used this month.")]
    assignee_role: Annotated[str, _described("Who does it.", "customer success")]
    suggested: Annotated[bool, _described("Whether to do it now.", True)]
    suppressed_reason: Annotated[SuppressedReason | None, _described("Why not now; null if it is suggested.", None)]
    rationale: Annotated[str, _described("The reason in words.", f"{EXAMPLE_TEXT}: 4.9 points")]


class HorizonRisk(ResponseBody):
    """A risk within one horizon, by family."""

    days: Annotated[int, _described("The horizon.", 30)]
    risk: Risk
    base: Base
    points: Annotated[dict[str, float], _described("Points by family; with the base they add up.", {"adoption": 0.01})]


class ExplainedScore(ScoredRisk):
    """One account's risk with every family and signal."""

    base: Base
    drivers: Annotated[list[ExplainedDriver], _described("Families that raise the risk, the most points first.", [])]
    protective_drivers: Annotated[
        list[ExplainedDriver], _described("Families that lower the risk, the most points first.", [])
    ]
    remaining_points: RemainingPoints
    main_reason: Annotated[
        str | None,
        _described("The family that raises the risk most; null if it does not lead clearly or is typical.", "adoption"),
    ]
    horizons: Annotated[list[HorizonRisk], _described("The risk within every horizon.", [])]
    peers: Annotated[str, _described("The segment that percentiles refer to; * for all accounts.", "mid")]
    play: Annotated[SuggestedPlay | None, _described("What to do; null if nothing raises the risk.", None)]


class ExplainResponse(ResponseBody):
    """The explained risks of the requested accounts."""

    as_of: Instant
    model: ScoringModel
    explained: Annotated[list[ExplainedScore], _described("Accounts with a risk.", [])]
    not_scored: Annotated[list[UnscoredAccount], _described("Accounts without a risk.", [])]


class RiskEndpoint(ResponseBody):
    """The risk at one end of a change."""

    risk: Risk
    as_of: Instant
    scored_at: Annotated[str | None, _instant("When it was computed; null if it is computed now.", None)]
    version: ModelVersion


ENDPOINT_EXAMPLE = {
    "risk": 0.063, "as_of": "2026-06-01T00:00:00Z", "scored_at": "2026-06-01T07:00:00Z", "version": 2,
}  # fmt: skip


class SignalPart(ResponseBody):
    """A signal's part of a change."""

    name: Annotated[str, _described("The signal.", "open_tickets")]
    before: Annotated[Value, _described("Its value before.", 1.0)]
    after: Annotated[Value, _described("Its value after.", 6.0)]
    points: Annotated[float, _described("Its part of the change.", 0.014)]


class FamilyPart(ResponseBody):
    """A family's part of a change."""

    family: Family
    points: Annotated[float, _described("Its part of the change.", 0.02)]
    signals: Annotated[list[SignalPart], _described("Its signals with the largest parts.", [])]


class AccountChange(ResponseBody):
    """Why one account's risk changed; the parts add up to the change."""

    account_id: AccountId
    before: Annotated[RiskEndpoint, _described("The earlier risk.", ENDPOINT_EXAMPLE)]
    after: Annotated[RiskEndpoint, _described("The later risk.", ENDPOINT_EXAMPLE)]
    change: Annotated[float, _described("The later risk minus the earlier one.", 0.031)]
    signals: Annotated[float, _described("The part of changed signals: all families and the base.", 0.027)]
    families: Annotated[list[FamilyPart], _described("That part by family, the largest first.", [])]
    base: Annotated[float, _described("The part of a changed segment, which changes the base.", 0.0)]
    model: Annotated[float, _described("The part of changed trees.", 0.003)]
    calibration: Annotated[float, _described("The part of a changed calibration.", 0.001)]
    data_corrections: Annotated[float, _described("The part of source rows corrected after the first score.", 0.0)]
    causal: Causal


class ChangeResponse(ResponseBody):
    """Why risks changed between two days."""

    horizon_days: Annotated[int, _described("The horizon of the risks.", 90)]
    changed: Annotated[list[AccountChange], _described("Accounts with a risk on both days.", [])]
    not_scored: Annotated[list[UnscoredAccount], _described("Accounts without two risks.", [])]


class SignalChange(ResponseBody):
    """A requested or suggested change of one signal."""

    signal: Annotated[str, _described("The signal.", "open_tickets")]
    label: Annotated[str, _described("The signal's label.", "open tickets")]
    value: Annotated[Value, _described("Its value now.", 6.0)]
    to: Annotated[Value, _described("The value instead.", 0.0)]
    percentiles_moved: Annotated[
        float | None,
        _described("Percentiles of the peers between the two; null for a requested change or a limited key.", 43.5),
    ]
    risk: Annotated[
        float | None, _described("The risk after this change and those before it; null for a requested change.", 0.08)
    ]


class FamilyChange(ResponseBody):
    """A family's part of the difference."""

    family: Family
    points: Annotated[float, _described("Its part.", -0.01)]


class WhatIfResponse(ResponseBody):
    """What the model gives an account with some signals changed. Not what would happen."""

    account_id: AccountId
    model: ScoringModel
    risk: Risk
    risks: Risks
    changed: Annotated[list[SignalChange], _described("The requested changes.", [])]
    counterfactual_risk: Annotated[float | None, _described("The risk with them; null without changes.", 0.07)]
    counterfactual_risks: Annotated[
        dict[str, float] | None, _described("That risk within every horizon, by days.", {"30": 0.02})
    ]
    family_changes: Annotated[list[FamilyChange], _described("The difference by family.", [])]
    suggestions: Annotated[list[SignalChange], _described("The cheapest changes that lower the risk, in order.", [])]
    causal: Causal
    note: Annotated[str, _described("What this is not.", "Not causal: it asks the model, not the world.")]


class AccountProfile(ResponseBody):
    """Who an account is, and what it is about."""

    account_id: AccountId
    name: AccountName
    owner: Owner
    segment: Segment
    parent_id: ParentId
    stage: Stage
    renews_at: Renewal


class AccountSummary(AccountProfile):
    """One account of the portfolio."""

    risk: Risk
    risks: Risks
    band: RiskBand
    mrr: Mrr
    revenue_at_risk: RevenueAtRisk
    currency: CurrencyCode


class AccountsResponse(ResponseBody):
    """One page of the portfolio."""

    as_of: Instant
    version: ModelVersion
    total: Annotated[int, _described("How many accounts match the filters.", 1604)]
    accounts: Annotated[list[AccountSummary], _described("The accounts of this page.", [])]
    next_cursor: NextCursor


class RiskResponse(AccountProfile):
    """One account with its risk."""

    status: Annotated[str, _described("scored, partial, stale, degraded or not_scored.", "scored")]
    reason: Annotated[UnscoredReason | None, _described("Why there is no risk; null if there is one.", None)]
    percentile: Annotated[
        float | None, _described("The percentage of its segment with a lower risk; null just after a start.", 96.5)
    ]
    mark: MarkOfAccount
    score: Annotated[Score | None, _described("The risk with its drivers; null if there is none.", None)]
    model: NullableScoringModel
    play: Annotated[SuggestedPlay | None, _described("What to do; null if nothing raises the risk.", None)]
    as_of: Instant


class RecordedRisk(ResponseBody):
    """A risk of the ledger."""

    id: Annotated[int, _described("Its id in the ledger.", 1042)]
    as_of: Instant
    scored_at: Instant
    risk: Risk
    base: Base
    band: RiskBand
    status: Annotated[str, _described("Its status at that time.", "scored")]
    mrr: Mrr
    currency: CurrencyCode
    version: ModelVersion


class HistoryResponse(ResponseBody):
    """The risks that were served of an account, newest first; one that was served again is listed once."""

    account_id: AccountId
    risks: Annotated[list[RecordedRisk], _described("The risks of this page.", [])]
    next_cursor: Annotated[int | None, _described("The cursor of the next page; null on the last page.", 1002)]


class RecommendedCall(ResponseBody):
    """An account to call."""

    account_id: AccountId
    name: AccountName
    owner: Owner
    value: Annotated[float, _described("The expected value of the call.", 812.0)]
    risk: Risk
    band: RiskBand
    mrr: Mrr
    revenue_at_risk: RevenueAtRisk
    currency: CurrencyCode
    trend: Annotated[
        Trend | None,
        _described("Since a week before: an arrow only beyond its noise; null if nothing was served.", "rising"),
    ]
    usage_trend: Annotated[
        UsageTrend | None,
        _described("Of the last 28 days against the 63 before: an arrow only beyond the account's noise.", "falling"),
    ]
    renews_at: Renewal
    mark: MarkOfAccount
    play: Annotated[
        SuggestedPlay, _described("What to do.", {"play": "seat_reactivation", "assignee_role": "customer success"})
    ]


class ExcludedAccount(ResponseBody):
    """An account that is not on the list."""

    account_id: AccountId
    owner: Owner
    value: Annotated[float, _described("The expected value of the call.", 640.0)]
    suppressed_reason: Annotated[SuppressedReason, _described("Why it is not on the list.", "over_capacity")]
    rationale: Annotated[str, _described("The reason in words.", "Chloe Martin has 10 calls of higher value")]


class WorkListResponse(ResponseBody):
    """Whom to call, the highest value first."""

    as_of: Instant
    version: ModelVersion
    currency: CurrencyCode
    per_owner: Annotated[int, _described("How many calls each owner can make.", 10)]
    calls: Annotated[list[RecommendedCall], _described("The accounts to call.", [])]
    excluded: Annotated[list[ExcludedAccount], _described("Accounts that were considered and excluded.", [])]
    reasons: Annotated[dict[str, int], _described("How many accounts each reason excludes.", {"over_capacity": 4})]
    causal: Causal


class FeedbackResponse(ResponseBody):
    """The saved feedback."""

    id: Annotated[int, _described("Its id.", 7)]
    account_id: AccountId
    verdict: Annotated[Verdict, _described("The verdict.", "already_known")]
    mark: MarkOfAccount
    received_at: Instant


class OutcomesResponse(ResponseBody):
    """The saved outcomes."""

    accepted: Annotated[int, _described("How many were saved.", 1)]
    by_outcome: Annotated[dict[Outcome, int], _described("How many of each kind.", {"left": 1})]
    received_at: Instant


class RegisteredModel(ResponseBody):
    """One registered version."""

    version: ModelVersion
    alias: Annotated[str | None, _described("champion for the version in use; null otherwise.", "champion")]
    horizons: Horizons
    label_hash: LabelHash
    signal_set: SignalSet


class ModelsResponse(ResponseBody):
    """Every registered version, newest first."""

    name: Annotated[str, _described("The registered model.", "oarlock")]
    models: Annotated[list[RegisteredModel], _described("The versions.", [])]
    unreadable: Annotated[
        list[int], _described("Versions that are not listed: damaged, or of a release with another format.", [])
    ]


class ReadyResponse(ResponseBody):
    """Whether risks can be computed."""

    ready: Annotated[bool, _described("True; otherwise the response is a 503 that says why.", True)]
