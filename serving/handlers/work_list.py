"""The work list: the accounts of highest expected value, explained as far as the list needs them."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from configs.clock import format_instant
from features.store.account_table import AccountDetails
from serving.accounts.portfolio import Portfolio
from serving.accounts.portfolio_comparison import PortfolioComparison
from serving.accounts.work_list_ranking import CallCandidate, expected_values, select_calls
from serving.handlers.context import ServiceContext
from serving.handlers.plays import active_marks, suggest_play_for
from serving.handlers.score import ScoringRequest, record_risks
from serving.schemas.page_queries import default_since
from serving.schemas.requests import AccountsQuery, WorkListQuery
from serving.schemas.responses import ExcludedAccount, RecommendedCall, Score, SuggestedPlay, WorkListResponse

ACCOUNTS_PER_CHUNK = 50
MAX_CANDIDATES = 1_000


class _ExplainedCall(NamedTuple):
    """A candidate with what its call is based on."""

    score: Score
    details: AccountDetails
    mark: str | None
    play: SuggestedPlay


def build_work_list(
    context: ServiceContext, portfolio: Portfolio, query: WorkListQuery, request: ScoringRequest
) -> WorkListResponse:
    """Whom to call by expected value, and which accounts were considered and excluded; others are counted."""
    settings = context.settings
    per_owner = query.per_owner or settings.work_list.per_owner
    profit, months = settings.evaluation.profit, settings.work_list.revenue_months
    values = expected_values(portfolio.main_risks, portfolio.mrr, profit, months)
    rows = portfolio.matching_rows(AccountsQuery(sort="risk", owner=query.owner))
    rows = rows[np.argsort(-values[rows], kind="stable")]
    profitable = rows[values[rows] > 0]
    considered = profitable[:MAX_CANDIDATES]
    explained: dict[str, _ExplainedCall] = {}
    account_ids = portfolio.account_ids[considered].tolist()
    candidates = _candidates(context, account_ids, values[considered].tolist(), explained)
    selected = select_calls(candidates, per_owner, query.limit)
    # More accounts were scored to find them; only the risks on the list are shown, and so recorded.
    scores = [explained[call.account_id].score for call in selected.calls]
    record_risks(context, context.champions.champion(), scores, request)
    compared = context.columns.current(portfolio, default_since(portfolio.key.as_of.date()))
    below = {"below_break_even": len(rows) - len(profitable)} if len(rows) > len(profitable) else {}
    return {
        "as_of": format_instant(portfolio.key.as_of),
        "version": portfolio.key.version,
        "currency": portfolio.key.currency,
        "per_owner": per_owner,
        "calls": [_recommended_call(call, explained[call.account_id], compared) for call in selected.calls],
        "excluded": [_excluded_account(account) for account in selected.excluded[: query.excluded]],
        "reasons": selected.reason_counts | below,
        "causal": False,
    }


def _candidates(
    context: ServiceContext, account_ids: list[str], values: list[float], explained: dict[str, _ExplainedCall]
) -> Iterator[CallCandidate]:
    """These accounts with their expected values, scored a chunk at a time; adds those with a play to `explained`."""
    marks, value_of = active_marks(context), dict(zip(account_ids, values, strict=True))
    for start in range(0, len(account_ids), ACCOUNTS_PER_CHUNK):
        chunk = account_ids[start : start + ACCOUNTS_PER_CHUNK]
        details = context.account_table.current().details_by_id(chunk)
        scores = _score_by_id(context, [account_id for account_id in chunk if account_id in details])
        for account_id in chunk:
            if account_id in details:
                account = details[account_id]
                score, mark = scores.get(account_id), marks.get(account_id)
                play = suggest_play_for(context, score, account, mark) if score else None
                if score and play:
                    explained[account_id] = _ExplainedCall(score, account, mark, play)
                yield _candidate(account, value_of[account_id], score, play)


def _score_by_id(context: ServiceContext, account_ids: list[str]) -> Mapping[str, Score]:
    scored = context.scorer.score_accounts(account_ids)
    return {score["account_id"]: score for score in context.scorer.to_response(scored, 1)["scores"]}


def _candidate(account: AccountDetails, value: float, score: Score | None, play: SuggestedPlay | None) -> CallCandidate:
    if score is None:
        reason, rationale = "not_scored", "it was published and has no signals any more"
    elif play is None:
        reason, rationale = "nothing_raises_it", "no driver raises its risk above that of its segment"
    else:
        reason, rationale = play["suppressed_reason"], play["rationale"]
    return CallCandidate(account.account_id, account.owner, value, reason, rationale)


def _recommended_call(candidate: CallCandidate, call: _ExplainedCall, compared: PortfolioComparison) -> RecommendedCall:
    details = call.details
    return {
        "account_id": candidate.account_id,
        "name": details.name,
        "owner": candidate.owner,
        "value": candidate.expected_value,
        "risk": call.score["risk"],
        "band": call.score["band"],
        **call.score["revenue"],
        "currency": call.score["revenue"].get("currency"),
        "trend": compared.trend_of(candidate.account_id),
        "usage_trend": compared.usage_trend_of(candidate.account_id),
        "renews_at": format_instant(details.renews_at) if details.renews_at else None,
        "mark": call.mark,
        "play": call.play,
    }


def _excluded_account(candidate: CallCandidate) -> ExcludedAccount:
    assert candidate.suppressed_reason
    return {
        "account_id": candidate.account_id,
        "owner": candidate.owner,
        "value": candidate.expected_value,
        "suppressed_reason": candidate.suppressed_reason,
        "rationale": candidate.rationale,
    }
