"""Accounts: pages of the portfolio, one account with its risk, and its history."""

from dataclasses import replace
from datetime import date

from configs.clock import format_instant
from configs.errors import RequestError
from configs.sections.bands import BANDS
from features.store.account_table import AccountDetails
from serving.accounts.past_listing import past_accounts_page
from serving.accounts.portfolio import Portfolio, portfolio_page
from serving.handlers.checks import require_account, require_past_day, unknown_account
from serving.handlers.context import ServiceContext
from serving.handlers.plays import active_marks, suggest_play_for
from serving.handlers.score import ScoringRequest, compute_or_last_known, record_scores, score_as_of
from serving.ledger.reader import LedgerEntry
from serving.schemas.requests import AccountsQuery, HistoryQuery
from serving.schemas.responses import (
    AccountProfile,
    AccountsResponse,
    AccountSummary,
    HistoryResponse,
    RecordedRisk,
    RiskResponse,
    ScoreResponse,
)

LISTED_DRIVERS = 3


def list_accounts(context: ServiceContext, portfolio: Portfolio, query: AccountsQuery) -> AccountsResponse:
    """One page of the accounts with their risks and details.

    The account table can be newer than the portfolio, so they are joined by id. Accounts that have gone are left out.
    """
    rows, total, next_cursor = portfolio_page(portfolio, query)
    account_ids: list[str] = portfolio.account_ids[rows].tolist()
    details = context.account_table.current().details_by_id(account_ids)
    listed = zip(rows.tolist(), account_ids, strict=True)
    return {
        "as_of": format_instant(portfolio.key.as_of),
        "version": portfolio.key.version,
        "total": total,
        "accounts": [
            _current_summary(portfolio, details[account_id], row) for row, account_id in listed if account_id in details
        ],
        "next_cursor": next_cursor,
    }


def list_accounts_as_of(context: ServiceContext, day: date, query: AccountsQuery) -> AccountsResponse:
    """One page of the accounts of a past day, as they had been served by its end."""
    require_past_day(context, day)
    page = past_accounts_page(context.ledger_reader.ledger, day, query)
    details = context.account_table.details([entry.account_id for entry in page.risks])
    return {
        "as_of": format_instant(page.as_of),
        "version": page.version,
        "total": page.total,
        "accounts": [_past_summary(entry, details.get(entry.account_id)) for entry in page.risks],
        "next_cursor": page.next_cursor,
    }


def get_account_risk(
    context: ServiceContext, account_id: str, day: date | None, request: ScoringRequest
) -> RiskResponse:
    """One account with its risk now, or as it was served on a past day.

    Raises RequestError (404) for an account that does not exist, or of which nothing had been served by that day.
    """
    if day is not None:
        return get_past_risk(context, account_id, day)
    computed = compute_or_last_known(context, [account_id], LISTED_DRIVERS)
    response = computed.response
    reason = response["not_scored"][0]["reason"] if response["not_scored"] else None
    if reason == "unknown_account":
        raise unknown_account(account_id)
    details = context.account_table.details([account_id]).get(account_id)
    risk = _current_risk(context, account_id, response, details)
    record_scores(context, computed, request)
    return risk


def get_account_history(context: ServiceContext, account_id: str, query: HistoryQuery) -> HistoryResponse:
    """The risks that were served of an account, newest first.

    Raises RequestError (404) for an account that does not exist.
    """
    entries = context.ledger_reader.history(account_id, query.limit + 1, query.cursor)
    if not entries:
        require_account(context, account_id)
    page = entries[: query.limit]
    return {
        "account_id": account_id,
        "risks": [_recorded_risk(entry) for entry in page],
        "next_cursor": page[-1].id if len(entries) > len(page) else None,
    }


def get_past_risk(context: ServiceContext, account_id: str, day: date) -> RiskResponse:
    """One account with its risk as it was served on a past day.

    Raises RequestError (404) for an account that does not exist, or of which nothing had been served by that day.
    """
    response = score_as_of(context, [account_id], day)
    if not response["scores"]:
        require_account(context, account_id)
        message = f"No risk of {account_id!r} had been served by the end of {day}."
        hint = "GET /v1/accounts/{account_id}/history lists what was served of it, and when."
        raise RequestError(message, hint, code="never_scored", status=404)
    details = context.account_table.details([account_id]).get(account_id)
    return _risk_response(context, account_id, response, details and _lasting_details(details))


def _current_risk(
    context: ServiceContext, account_id: str, response: ScoreResponse, details: AccountDetails | None
) -> RiskResponse:
    risk = _risk_response(context, account_id, response, details)
    score, portfolio = risk["score"], context.find_portfolio()
    if score is None:
        return risk
    percentile = portfolio.percentile(details.segment if details else None, score["risk"]) if portfolio else None
    return {**risk, "percentile": percentile, "play": suggest_play_for(context, score, details, risk["mark"])}


def _risk_response(
    context: ServiceContext, account_id: str, response: ScoreResponse, details: AccountDetails | None
) -> RiskResponse:
    (score,) = response["scores"] or [None]
    return {
        **_profile(account_id, details),
        "status": score["status"] if score else "not_scored",
        "reason": response["not_scored"][0]["reason"] if response["not_scored"] else None,
        "percentile": None,
        "mark": active_marks(context, [account_id]).get(account_id),
        "score": score,
        "model": response["model"],
        "play": None,
        "as_of": response["as_of"],
    }


def _current_summary(portfolio: Portfolio, details: AccountDetails, row: int) -> AccountSummary:
    risks = portfolio.risks[row].tolist()
    risk = risks[portfolio.key.main_column]
    return {
        **_profile(details.account_id, details),
        "risk": risk,
        "risks": {str(days): risk for days, risk in zip(portfolio.key.horizons, risks, strict=True)},
        "band": BANDS[portfolio.bands[row]],
        "mrr": details.mrr,
        "revenue_at_risk": None if details.mrr is None else details.mrr * risk,
        "currency": portfolio.key.currency,
    }


def _past_summary(entry: LedgerEntry, details: AccountDetails | None) -> AccountSummary:
    return {
        **_profile(entry.account_id, details and _lasting_details(details)),
        "risk": entry.risk,
        "risks": entry.score["risks"],
        "band": entry.band,
        "mrr": entry.mrr,
        "revenue_at_risk": None if entry.mrr is None else entry.mrr * entry.risk,
        "currency": entry.currency,
    }


def _lasting_details(details: AccountDetails) -> AccountDetails:
    """The details that hold for a past day too: who the account is, not what it is about now."""
    return replace(details, stage=None, renews_at=None)


def _profile(account_id: str, details: AccountDetails | None) -> AccountProfile:
    profile = details or AccountDetails(account_id)
    return {
        "account_id": account_id,
        "name": profile.name,
        "owner": profile.owner,
        "segment": profile.segment,
        "parent_id": profile.parent_id,
        "stage": profile.stage if details else None,
        "renews_at": format_instant(profile.renews_at) if profile.renews_at else None,
    }


def _recorded_risk(entry: LedgerEntry) -> RecordedRisk:
    return {
        "id": entry.id,
        "as_of": format_instant(entry.as_of),
        "scored_at": format_instant(entry.scored_at),
        "risk": entry.risk,
        "base": entry.base,
        "band": entry.band,
        "status": entry.status,
        "mrr": entry.mrr,
        "currency": entry.currency,
        "version": entry.version,
    }
