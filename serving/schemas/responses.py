"""Replies: what is answered over HTTP, field by field; the OpenAPI, the client and the tests read them here.

Replies are written from plain values, not through these models: a test holds every real reply against them.
"""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from serving.schemas.enums import Band, Outcome, Status, SuppressedReason, UnscoredReason, Verdict

Value = float | str | None
Row = TypeVar("Row")


class Response(BaseModel):
    """What every reply keeps to: no field that is not named here."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _described(about: str, example: Any) -> Any:
    return Field(description=about, examples=[example])


Instant = Annotated[str, _described("An instant, UTC.", "2026-07-01T00:00:00")]
AccountId = Annotated[str, _described("The account.", "A0000302")]
Risk = Annotated[float, _described("Calibrated probability of churn within the main horizon.", 0.094)]
Risks = Annotated[dict[str, float], _described("The risk within every horizon, in days.", {"30": 0.03, "90": 0.094})]
Base = Annotated[float, _described("The risk of an account of its segment about which nothing else is known.", 0.028)]
Points = Annotated[float, _described("Its share of the risk, in probability (0.021 is 2.1 points).", 0.021)]
Mrr = Annotated[float | None, _described("Monthly recurring revenue; null where not known.", 1250.0)]
AtRisk = Annotated[float | None, _described("mrr * risk; null where not known.", 117.5)]
InBand = Annotated[Band, _described("Cut by `[bands]`.", "watch")]
Segment = Annotated[str | None, _described("Its segment.", "mid")]
Owner = Annotated[str | None, _described("Who looks after it.", "csm-3")]
Stage = Annotated[str, _described("onboarding, established or renewing.", "renewing")]
Renewal = Annotated[str | None, _described("When the paid term ends that ends next.", "2026-09-01T00:00:00")]
ModelVersion = Annotated[int, _described("The version of the model that gave it.", 3)]
Family = Annotated[str, _described("The family of signals.", "adoption")]
Causal = Annotated[
    bool, _described("Always false: drivers say what a risk is made of, not what would change it.", False)
]


class Error(Response):
    """What went wrong, for machines and for people."""

    code: Annotated[str, _described("What went wrong, for machines.", "invalid")]
    message: Annotated[str, _described("What is wrong, and where.", "account_ids: field required.")]
    hint: Annotated[str, _described("What to do next.", "Send account_ids.")]


class ErrorResponse(Response):
    """The one shape of every error."""

    error: Annotated[
        Error, _described("The error.", {"code": "invalid", "message": "account_ids: field required.", "hint": ""})
    ]


class Model(Response):
    """The model that answers now."""

    name: Annotated[str, _described("The registered model.", "oarlock")]
    version: ModelVersion
    alias: Annotated[str, _described("The alias it holds.", "champion")]
    horizon_days: Annotated[int, _described("The main horizon.", 90)]
    horizons: Annotated[list[int], _described("Every horizon it gives a risk for, in days.", [30, 90, 180])]
    lead_days: Annotated[int, _described("Days between as_of and the begin of the horizon.", 0)]
    label_hash: Annotated[str, _described("What counted as churn when it learned.", "5f2d0c1a9b3e")]
    signal_set: Annotated[str, _described("The signals it was made from.", "0c8a7f3e21bd")]


class RejectedVersion(Response):
    """A version that was promoted and not taken up."""

    version: ModelVersion
    reason: Annotated[str, _described("Why.", "The bundle does not give its sample the risks it was made with.")]


class ModelResponse(Model):
    """The model that answers now, and the version that was promoted since and refused."""

    refused: Annotated[RejectedVersion | None, _described("Null where none was.", None)]


Answering = Annotated[Model, _described("Which model gave the risks.", {"name": "oarlock", "version": 3})]


class Revenue(Response):
    """What an account pays, and how much of it is at risk."""

    mrr: Mrr
    at_risk: AtRisk


HasRevenue = Annotated[
    Revenue, _described("What it pays, and how much of it is at risk.", {"mrr": 1250.0, "at_risk": 117.5})
]
HasStatus = Annotated[
    Status, _described("scored, partial (a family is missing), stale (too old), degraded (store down).", "scored")
]


class SignalPoints(Response):
    """A signal's share of a risk."""

    name: Annotated[str, _described("The signal.", "seat_utilisation_28d")]
    label: Annotated[str, _described("Its name as people say it.", "seat utilisation, last 28 days")]
    value: Annotated[Value, _described("Its value; null where not known.", 0.31)]
    unit: Annotated[str, _described("Its unit.", "share")]
    typical: Annotated[Value, _described("What is typical of its segment.", 0.74)]
    points: Points


class ExplainedSignal(SignalPoints):
    """A signal's share of a risk, with its peers."""

    percentile: Annotated[float | None, _described("How many of a hundred peers have less; null where not known.", 8.5)]
    actionable: Annotated[bool, _described("Whether anyone could change it.", True)]
    sentence: Annotated[
        str, _described("What it says.", "Average daily active users, as a share of the seats paid for.")
    ]


class Driver(Response):
    """A family's share of a risk."""

    family: Family
    points: Points
    text: Annotated[str, _described("In words.", "adoption: seat utilisation, last 28 days: 31 % (typical 74 %)")]
    signals: Annotated[list[SignalPoints], _described("Its heaviest signals.", [])]
    other_points: Annotated[float, _described("The points of its other signals.", 0.001)]


class ExplainedDriver(Response):
    """A family's share of a risk, its signals with their peers."""

    family: Family
    points: Points
    text: Annotated[str, _described("In words.", "adoption: seat utilisation, last 28 days: 31 % (typical 74 %)")]
    signals: Annotated[list[ExplainedSignal], _described("Its signals, the heaviest first.", [])]
    other_points: Annotated[float, _described("Nothing but rounding: every signal is named.", 0.0)]


class Degradation(Response):
    """Why the last known risk is answered instead of a new one, and how old it is."""

    because: Annotated[str, _described("What is down.", "The store of signals cannot be read.")]
    age_days: Annotated[float, _described("Days since it was given.", 1.2)]


class PlayResponse(Response):
    """What to do about the driver that raises a risk most."""

    play: Annotated[str, _described("The play.", "seat_reactivation")]
    family: Family
    does: Annotated[str, _described("What to do.", "Send the champion the list of seats nobody used this month.")]
    who: Annotated[str, _described("Whose it is.", "customer success")]
    suggested: Annotated[bool, _described("Whether to do it now.", True)]
    why_not: Annotated[SuppressedReason | None, _described("Why not, where it is not suggested.", None)]
    because: Annotated[str, _described("Why it is, or is not.", "adoption: seat utilisation 31 % adds 4.9 points")]


class Score(Response):
    """One account's risk, with what it is made of."""

    account_id: AccountId
    status: HasStatus
    missing_families: Annotated[list[str], _described("Families without any value.", ["sentiment"])]
    stale_families: Annotated[list[str], _described("Families older than their limit.", [])] = []
    risk: Risk
    risks: Risks
    base: Base
    band: InBand
    revenue: HasRevenue
    drivers: Annotated[list[Driver], _described("Families that raise it, the heaviest first.", [])]
    protective: Annotated[list[Driver], _described("Families that lower it, the heaviest first.", [])]
    other_points: Annotated[float, _described("The points of all that is not named; all points add up.", 0.003)]
    main_reason: Annotated[
        str | None, _described("The family that raises it most; null where that is not clear.", "adoption")
    ] = None
    signals_as_of: Instant
    causal: Causal
    given_at: Annotated[str | None, _described("When it was given, where it is a past one.", "2026-06-01T07:00:00")] = (
        None
    )
    version: Annotated[int | None, _described("The version that gave it, where it is a past one.", 2)] = None
    degraded: Annotated[Degradation | None, _described("Why it is an old one; null where it is not.", None)] = None


class UnscoredAccount(Response):
    """An account without a risk, and why."""

    account_id: AccountId
    reason: Annotated[UnscoredReason, _described("Why there is none.", "unknown_account")]


class ScoreResponse(Response):
    """The risks of the accounts asked for."""

    as_of: Instant
    model: Annotated[Model | None, _described("The model that answers now; null for past risks.", None)]
    scores: Annotated[list[Score], _described("Those that have a risk.", [])]
    not_scored: Annotated[list[UnscoredAccount], _described("Those that have none.", [])]


class HorizonRisk(Response):
    """A risk within one horizon, by family."""

    days: Annotated[int, _described("The horizon.", 30)]
    risk: Risk
    base: Base
    points: Annotated[
        dict[str, float], _described("Every family's points; base and all of them add up.", {"adoption": 0.01})
    ]


class ExplainedScore(Response):
    """Everything one account's risk is made of."""

    account_id: AccountId
    status: HasStatus
    missing_families: Annotated[list[str], _described("Families without any value.", [])]
    stale_families: Annotated[list[str], _described("Families older than their limit.", [])]
    risk: Risk
    risks: Risks
    base: Base
    band: InBand
    revenue: HasRevenue
    drivers: Annotated[list[ExplainedDriver], _described("Families that raise it, the heaviest first.", [])]
    protective: Annotated[list[ExplainedDriver], _described("Families that lower it, the heaviest first.", [])]
    other_points: Annotated[float, _described("Nothing but rounding: every family is named.", 0.0)]
    main_reason: Annotated[
        str | None, _described("The family that raises it most; null where that is not clear.", "adoption")
    ] = None
    signals_as_of: Instant
    causal: Causal
    horizons: Annotated[list[HorizonRisk], _described("The same risk within every horizon.", [])]
    peers: Annotated[str, _described("Whose percentiles these are: a segment, or * for everyone.", "mid")]
    play: Annotated[PlayResponse | None, _described("What to do; null where nothing raises it.", None)]


class ExplainResponse(Response):
    """What the risks of the accounts asked for are made of."""

    as_of: Instant
    model: Answering
    explained: Annotated[list[ExplainedScore], _described("Those that have a risk.", [])]
    not_scored: Annotated[list[UnscoredAccount], _described("Those that have none.", [])]


class RiskEndpoint(Response):
    """A risk at one end of a change."""

    risk: Risk
    as_of: Instant
    given_at: Annotated[str | None, _described("When it was given; null for the one given now.", None)]
    version: ModelVersion


ENDPOINT_EXAMPLE = {"risk": 0.063, "as_of": "2026-06-01T00:00:00", "given_at": "2026-06-01T07:00:00", "version": 2}


class SignalPart(Response):
    """A signal's part of a change."""

    name: Annotated[str, _described("The signal.", "open_tickets")]
    before: Annotated[Value, _described("Its value then.", 1.0)]
    after: Annotated[Value, _described("Its value later.", 6.0)]
    points: Annotated[float, _described("Its part of the change.", 0.014)]


class FamilyPart(Response):
    """A family's part of a change."""

    family: Family
    points: Annotated[float, _described("Its part of the change.", 0.02)]
    signals: Annotated[list[SignalPart], _described("Its signals that moved it most.", [])]


class AccountChange(Response):
    """Why one account's risk moved; the parts add up to the change."""

    account_id: AccountId
    before: Annotated[RiskEndpoint, _described("The risk then.", ENDPOINT_EXAMPLE)]
    after: Annotated[RiskEndpoint, _described("The risk later.", ENDPOINT_EXAMPLE)]
    change: Annotated[float, _described("The risk later less the risk before.", 0.031)]
    signals: Annotated[float, _described("The part of signals that moved: all families and the base.", 0.027)]
    families: Annotated[list[FamilyPart], _described("That part by family, the heaviest first.", [])]
    base: Annotated[float, _described("What its segment's change did to its base.", 0.0)]
    model: Annotated[float, _described("The part of trees that changed.", 0.003)]
    calibration: Annotated[float, _described("The part of a calibration that changed.", 0.001)]
    corrected: Annotated[float, _described("The part of rows that were corrected after the risk was given.", 0.0)]
    causal: Causal


class ChangeResponse(Response):
    """Why the risks of accounts moved between two days."""

    horizon_days: Annotated[int, _described("Of which risk.", 90)]
    changed: Annotated[list[AccountChange], _described("Those that have two risks.", [])]
    not_scored: Annotated[list[UnscoredAccount], _described("Those that have not.", [])]


class SignalChange(Response):
    """One change that was tried, or is suggested."""

    signal: Annotated[str, _described("The signal.", "open_tickets")]
    label: Annotated[str, _described("Its name as people say it.", "open tickets")]
    value: Annotated[Value, _described("Its value now.", 6.0)]
    to: Annotated[Value, _described("The value tried.", 0.0)]
    passes: Annotated[float | None, _described("How many of a hundred peers it passes on the way.", 43.5)]
    risk: Annotated[
        float | None, _described("The risk once this and those before it are there; null for what was asked.", 0.08)
    ]


class FamilyPoints(Response):
    """A family's part of what a change would do."""

    family: Family
    points: Annotated[float, _described("Its part.", -0.01)]


class WhatIfResponse(Response):
    """What the model says of an account with some signals changed. Not what would happen."""

    account_id: AccountId
    model: Answering
    risk: Risk
    risks: Risks
    changed: Annotated[list[SignalChange], _described("What was asked.", [])]
    risk_if: Annotated[float | None, _described("The risk with what was asked; null where nothing was.", 0.07)]
    risks_if: Annotated[dict[str, float] | None, _described("The same within every horizon.", {"30": 0.02})]
    moved: Annotated[list[FamilyPoints], _described("The difference by family.", [])]
    suggestions: Annotated[list[SignalChange], _described("The cheapest changes that lower it, one after another.", [])]
    causal: Causal
    note: Annotated[str, _described("What this is not.", "Not causal: it asks the model, not the world.")]


class AccountSummary(Response):
    """One account of the portfolio."""

    account_id: AccountId
    name: Annotated[str | None, _described("What people call it.", "Company 302")]
    owner: Owner
    segment: Segment
    parent_id: Annotated[str | None, _described("The account that owns it.", None)]
    stage: Stage
    renews_at: Renewal
    risk: Risk
    risks: Risks
    band: InBand
    mrr: Mrr
    at_risk: AtRisk


class Page(Response, Generic[Row]):
    """One page of a list."""

    as_of: Instant
    version: ModelVersion
    total: Annotated[int, _described("How many fit the filters.", 1604)]
    accounts: Annotated[list[Row], _described("This page.", [])]
    next_cursor: Annotated[str | None, _described("Where the next page begins; null on the last.", "WzAuMzEsIDEyXQ==")]


class AccountsResponse(Page[AccountSummary]):
    """One page of the portfolio."""


class RiskResponse(Response):
    """One account: its risk and where it stands."""

    account_id: AccountId
    name: Annotated[str | None, _described("What people call it.", "Company 302")]
    owner: Owner
    segment: Segment
    parent_id: Annotated[str | None, _described("The account that owns it.", None)]
    stage: Annotated[str | None, _described("onboarding, established or renewing; null where not known.", "renewing")]
    renews_at: Renewal
    status: Annotated[Status | str, _described("scored, partial, stale, degraded or not_scored.", "scored")]
    reason: Annotated[UnscoredReason | None, _described("Why there is no risk.", None)]
    percentile: Annotated[
        float | None, _described("How many of a hundred accounts of its segment have a lower risk.", 96.5)
    ]
    mark: Annotated[str | None, _described("What people marked it as: do_not_chase or saved_watch.", None)]
    score: Annotated[Score | None, _described("Its risk with drivers; null where it has none.", None)]
    model: Annotated[Model | None, _described("The model that answers now; null for a past risk.", None)]
    play: Annotated[PlayResponse | None, _described("What to do; null where nothing raises it.", None)]
    as_of: Instant


class RecordedRisk(Response):
    """A risk as it was given."""

    id: Annotated[int, _described("Its place in the ledger.", 1042)]
    as_of: Instant
    given_at: Instant
    risk: Risk
    base: Base
    band: InBand
    status: Annotated[str, _described("As it was then.", "scored")]
    mrr: Mrr
    version: ModelVersion


class HistoryResponse(Response):
    """Every risk an account was given, newest first."""

    account_id: AccountId
    risks: Annotated[list[RecordedRisk], _described("This page.", [])]
    next_cursor: Annotated[int | None, _described("Where the next page begins; null on the last.", 1002)]


class RecommendedCall(Response):
    """An account to call."""

    account_id: AccountId
    name: Annotated[str | None, _described("What people call it.", "Company 302")]
    owner: Owner
    value: Annotated[float, _described("What the call is expected to be worth.", 812.0)]
    risk: Risk
    band: InBand
    mrr: Mrr
    at_risk: AtRisk
    renews_at: Renewal
    mark: Annotated[str | None, _described("saved_watch: saved before, and still at risk.", None)]
    play: Annotated[PlayResponse, _described("What to do.", {"play": "seat_reactivation", "who": "customer success"})]


class ExcludedAccount(Response):
    """An account that is not called, and why."""

    account_id: AccountId
    owner: Owner
    value: Annotated[float, _described("What the call is expected to be worth.", 640.0)]
    why_not: Annotated[SuppressedReason, _described("Why it was left out.", "over_capacity")]
    because: Annotated[str, _described("In words.", "csm-3 has 10 calls that are worth more")]


class WorkListResponse(Response):
    """Whom to call, dearest first, and who was left out."""

    as_of: Instant
    version: ModelVersion
    per_owner: Annotated[int, _described("How many each owner can call.", 10)]
    calls: Annotated[list[RecommendedCall], _described("Whom to call.", [])]
    left_out: Annotated[list[ExcludedAccount], _described("Who was looked at and left out, dearest first.", [])]
    reasons: Annotated[dict[str, int], _described("How many were left out for each reason.", {"over_capacity": 4})]
    causal: Causal


class FeedbackResponse(Response):
    """What was kept."""

    id: Annotated[int, _described("Its number.", 7)]
    account_id: AccountId
    verdict: Annotated[Verdict, _described("What was said.", "already_known")]
    mark: Annotated[str | None, _described("The mark that holds now.", "do_not_chase")]
    received_at: Instant


class OutcomesResponse(Response):
    """What was kept."""

    kept: Annotated[int, _described("How many were kept.", 1)]
    by_outcome: Annotated[dict[Outcome, int], _described("Of each kind.", {"left": 1})]
    received_at: Instant


class RegisteredModel(Response):
    """One version that is or was champion here, or could be."""

    version: ModelVersion
    alias: Annotated[str | None, _described("champion, for the one that answers now.", "champion")]
    horizons: Annotated[list[int], _described("Every horizon it gives a risk for, in days.", [30, 90, 180])]
    label_hash: Annotated[str, _described("What counted as churn when it learned.", "5f2d0c1a9b3e")]
    signal_set: Annotated[str, _described("The signals it was made from.", "0c8a7f3e21bd")]


class ModelsResponse(Response):
    """Every version that is or was champion here, newest first."""

    name: Annotated[str, _described("The registered model.", "oarlock")]
    models: Annotated[list[RegisteredModel], _described("The versions.", [])]


class ReadyResponse(Response):
    """Whether risks can be given."""

    ready: Annotated[bool, _described("True; where it is not, the reply is a 503 that says why.", True)]
