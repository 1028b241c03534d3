"""The view of one account that a person sees: its risk with all drivers, its past, what changed, and what to do."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import cast

from configs.clock import format_instant, parse_instant
from configs.errors import NotReady, RequestError
from configs.sections.bands import Band
from features.store.account_table import AccountDetails
from features.store.publication import published_as_of
from serving.accounts.portfolio import Portfolio
from serving.accounts.portfolio_comparison import PortfolioComparison
from serving.handlers.accounts import get_past_risk
from serving.handlers.checks import require_account
from serving.handlers.context import ServiceContext
from serving.handlers.explain import describe_scored
from serving.handlers.plays import active_marks
from serving.handlers.risk_change import explain_changes
from serving.handlers.score import ScoringRequest, record_risks
from serving.ledger.entry_hash import recorded_entry
from serving.ledger.reader import LedgerEntry, end_of_day
from serving.schemas.enums import Trend, UnscoredReason, UsageTrend
from serving.schemas.page_queries import AccountQuery, default_since
from serving.schemas.requests import ChangeRequest
from serving.schemas.responses import AccountChange, ExplainedScore, ExplainResponse, Score, SuggestedPlay
from serving.schemas.serialization import to_json
from serving.scoring.scorer import ScoredAccounts
from serving.views.account_timeline import AccountTimeline, read_timeline
from serving.views.past_evidence import PastEvidence, find_past_evidence

HISTORY_LIMIT = 400


@dataclass(frozen=True)
class FamilyCoverage:
    """How much is known of a family: how many of its signals have a value, and of which day they are."""

    family: str
    with_value: int
    signals: int
    as_of: datetime
    is_stale: bool


@dataclass(frozen=True)
class Standing:
    """The band of a risk, since when it lasts, and the band before; `since` is None if nothing was served before.

    Without a band before, it lasts from the first served risk on, or even longer if there are more than were read.
    """

    band: Band
    since: datetime | None
    before: Band | None
    may_be_longer: bool = False


@dataclass(frozen=True)
class AccountTrends:
    """The trend of an account's risk since a day, and that of its usage; what is not there to be said is None."""

    risk: Trend | None = None
    since: date | None = None
    usage: UsageTrend | None = None


NO_TRENDS = AccountTrends()


@dataclass(frozen=True)
class AccountView:
    """What a page of an account shows. `score` is None if it has no risk, and `reason` then says why.

    `past_day` is the day of a past view. `percentile` is among `peer_count` accounts of the segment. `change` is None
    if it cannot be split, and `change_reason` then says why. `evidence` is None of a past view. `horizon_days` is the
    main horizon, None if not known. `is_limited` says that the peers are the accounts of the owner only, and that no
    similar accounts are shown. `entry` is what the ledger holds of the risk. `trends.risk` is that since
    `trends.since`, a week before; None if no risk was served by then.
    """

    account_id: str
    details: AccountDetails | None
    score: Score | None
    reason: UnscoredReason | None
    explained: ExplainedScore | None
    horizon_days: int | None
    past_day: date | None
    percentile: float | None
    peer_count: int
    mark: str | None
    play: SuggestedPlay | None
    standing: Standing | None
    history: Sequence[LedgerEntry]
    since: date
    change: AccountChange | None
    change_reason: str
    coverage: Sequence[FamilyCoverage]
    labels: Mapping[str, tuple[str, str]]
    timeline: AccountTimeline
    evidence: PastEvidence | None = None
    entry: LedgerEntry | None = None
    trends: AccountTrends = NO_TRENDS
    is_limited: bool = False


def view_account(context: ServiceContext, account_id: str, query: AccountQuery, request: ScoringRequest) -> AccountView:
    """An account now, or as it had been served by the end of a day.

    Raises RequestError (404) for an account that does not exist, or of which nothing had been served by that day.
    """
    if query.as_of is not None:
        return _view_past(context, account_id, query.as_of, query)
    scored = context.scorer.score_accounts([account_id])
    response, scores = describe_scored(context, scored)
    source = record_risks(context, scored.champion, scores, request)
    if not scores:
        require_account(context, account_id)
        return _without_risk(context, account_id, response["not_scored"][0]["reason"], query)
    return _view_now(context, scored, _Recorded(response, recorded_entry(scores[0], source)), query)


def view_again(context: ServiceContext, entry: LedgerEntry, query: AccountQuery) -> AccountView | None:
    """The account as it was viewed when an entry was recorded; nothing is recorded now.

    None if the signals or the model have been replaced since, so that the risk would be another one.
    """
    if query.as_of is not None:
        return _view_past(context, entry.account_id, query.as_of, query)
    scored = context.scorer.score_accounts([entry.account_id])
    response, scores = describe_scored(context, scored)
    is_same = scored.champion.version.number == entry.version and [json.loads(to_json(score)) for score in scores] == [
        entry.score
    ]
    return _view_now(context, scored, _Recorded(response, entry), query) if is_same else None


@dataclass(frozen=True)
class _Recorded:
    """An explained risk, and its entry in the ledger."""

    response: ExplainResponse
    entry: LedgerEntry


def _view_now(context: ServiceContext, scored: ScoredAccounts, recorded: _Recorded, query: AccountQuery) -> AccountView:
    response, account_id = recorded.response, recorded.entry.account_id
    since = query.since or default_since(published_as_of(context.state).date())
    (explained,) = response["explained"]
    details = context.account_table.details([account_id]).get(account_id)
    portfolio, history = context.find_portfolio(), context.ledger_reader.history(account_id, HISTORY_LIMIT)
    segment = details.segment if details else None
    change, change_reason = _change(context, account_id, since, None)
    return AccountView(
        account_id=account_id,
        details=details,
        score=cast(Score, explained),
        reason=None,
        explained=explained,
        horizon_days=response["model"]["horizon_days"],
        past_day=None,
        percentile=portfolio.percentile(segment, explained["risk"]) if portfolio else None,
        peer_count=portfolio.count_peers(segment) if portfolio else 0,
        mark=active_marks(context, [account_id]).get(account_id),
        play=explained["play"],
        standing=find_standing(history, explained["band"], explained["signals_as_of"]),
        history=history,
        since=since,
        change=change,
        change_reason=change_reason,
        coverage=_coverage(scored, explained),
        labels=_labels(context),
        timeline=read_timeline(context, account_id, published_as_of(context.state), query.events or ""),
        entry=recorded.entry,
        trends=find_trends(context, portfolio, account_id),
        evidence=find_past_evidence(scored, segment, with_similar=context.owner is None),
        is_limited=context.owner is not None,
    )


def find_trends(context: ServiceContext, portfolio: Portfolio | None, account_id: str) -> AccountTrends:
    """The trends of an account, of the risk since a week before; none until the portfolio is computed."""
    if portfolio is None:
        return NO_TRENDS
    since = default_since(portfolio.key.as_of.date())
    return _trends_in(context.columns.current(portfolio, since), account_id, since)


def find_past_trends(context: ServiceContext, account_id: str, day: date) -> AccountTrends:
    """The trends of an account as they were by the end of a day, of the risk from those that had been served."""
    since = default_since(day)
    return _trends_in(context.columns.served_by(day, since), account_id, since)


def _trends_in(compared: PortfolioComparison, account_id: str, since: date) -> AccountTrends:
    return AccountTrends(compared.trend_of(account_id), since, compared.usage_trend_of(account_id))


def find_standing(history: Sequence[LedgerEntry], band: Band, signals_as_of: str) -> Standing:
    """Since when a risk is in its band, by the newest 400 served risks, newest first."""
    earlier = [entry for entry in history if format_instant(entry.as_of) < signals_as_of]
    since = parse_instant(signals_as_of)
    for entry in earlier:
        if entry.band != band:
            return Standing(band, since, entry.band)
        since = entry.as_of
    return Standing(band, since if earlier else None, None, len(history) == HISTORY_LIMIT)


def find_main_horizon(risks: Mapping[str, float], risk: float) -> int | None:
    """The horizon in days that a served risk is of; None if risks within several horizons are equal to it.

    >>> find_main_horizon({"30": 0.1, "60": 0.2}, 0.2), find_main_horizon({"30": 0.2, "60": 0.2}, 0.2)
    (60, None)
    """
    equal = [int(days) for days, within in risks.items() if within == risk]
    return equal[0] if len(equal) == 1 else None


def _view_past(context: ServiceContext, account_id: str, day: date, query: AccountQuery) -> AccountView:
    risk = get_past_risk(context, account_id, day)
    score = risk["score"]
    assert score is not None
    served = context.ledger_reader.served_by([account_id], day)[account_id]
    history = context.ledger_reader.history(account_id, HISTORY_LIMIT, before=served.id + 1)
    since = query.since or default_since(parse_instant(score["signals_as_of"]).date())
    change, change_reason = _change(context, account_id, since, day)
    return AccountView(
        account_id=account_id,
        details=context.account_table.details([account_id]).get(account_id),
        score=score,
        reason=None,
        explained=None,
        horizon_days=find_main_horizon(score["risks"], score["risk"]),
        past_day=day,
        percentile=None,
        peer_count=0,
        mark=None,
        play=None,
        standing=find_standing(history, score["band"], score["signals_as_of"]),
        history=history,
        since=since,
        change=change,
        change_reason=change_reason,
        coverage=(),
        labels=_labels(context),
        timeline=read_timeline(context, account_id, end_of_day(day), query.events or ""),
        entry=served,
        trends=find_past_trends(context, account_id, day),
    )


def _without_risk(context: ServiceContext, account_id: str, reason: UnscoredReason, query: AccountQuery) -> AccountView:
    as_of = published_as_of(context.state)
    return AccountView(
        account_id=account_id,
        details=context.account_table.details([account_id]).get(account_id),
        score=None,
        reason=reason,
        explained=None,
        horizon_days=None,
        past_day=None,
        percentile=None,
        peer_count=0,
        mark=active_marks(context, [account_id]).get(account_id),
        play=None,
        standing=None,
        history=context.ledger_reader.history(account_id, HISTORY_LIMIT),
        since=query.since or default_since(as_of.date()),
        change=None,
        change_reason="",
        coverage=(),
        labels={},
        timeline=read_timeline(context, account_id, as_of, query.events or ""),
    )


def _change(
    context: ServiceContext, account_id: str, since: date, until: date | None
) -> tuple[AccountChange | None, str]:
    """The change since a day, or why it cannot be split."""
    if until is not None and until < since:
        return None, "The day to compare with is after the day that is shown."
    try:
        response = explain_changes(context, ChangeRequest(account_ids=[account_id], since=since, until=until))
    except (RequestError, NotReady) as error:
        return None, f"{error.message} {error.hint}".strip()
    if response["changed"]:
        return response["changed"][0], ""
    return None, CHANGE_REASONS[response["not_scored"][0]["reason"]]


CHANGE_REASONS: Mapping[UnscoredReason, str] = {
    "unknown_account": "There is no such account.",
    "no_running_subscription": "It had no running subscription on one of the two days.",
    "not_in_store": "The store has no signals of it.",
    "never_scored": "No risk of it had been served by that day.",
    "history_gone": "The signals of one of the two days are not in the history any more.",
    "version_gone": "The model of one of the two days is not there any more.",
}


def _coverage(scored: ScoredAccounts, explained: ExplainedScore) -> list[FamilyCoverage]:
    matrix, families = scored.scores.matrix[0], scored.scores.model.columns_by_family
    by_family, oldest = scored.signals.as_of_by_family, scored.signals.as_of
    return [
        FamilyCoverage(
            family=family,
            with_value=int((matrix[columns] == matrix[columns]).sum()),  # NaN differs from itself
            signals=len(columns),
            as_of=by_family.get(family, oldest)[0].astype("datetime64[s]").item(),
            is_stale=family in explained["stale_families"],
        )
        for family, columns in families.items()
    ]


def _labels(context: ServiceContext) -> Mapping[str, tuple[str, str]]:
    """The label and the unit of every signal of the champion."""
    return {signal.name: (signal.label, signal.unit) for signal in context.champions.champion().model.inputs}
