"""Listing: pages of the portfolio, one account where it stands, and its history."""

from dataclasses import replace
from datetime import date
from typing import Any

from features.store.account_table import AccountFacts
from serving.accounts.past_listing import past_page
from serving.accounts.portfolio import BANDS, Portfolio, page
from serving.handlers import score as last_known
from serving.handlers.context import ServiceContext, unknown_account_error
from serving.ledger.reader import Given
from serving.schemas.requests import AccountsQuery, HistoryQuery
from serving.scoring.signal_lookup import UNKNOWN_ACCOUNT


def list_accounts(desk: ServiceContext, portfolio: Portfolio, asked: AccountsQuery) -> dict[str, Any]:
    """One page of accounts with their risks and facts."""
    places, total, cursor = page(portfolio, asked)
    facts = desk.account_table.current().at([int(place) for place in places])
    return {
        "as_of": portfolio.of.as_of.isoformat(),
        "version": portfolio.of.version,
        "total": total,
        "accounts": [_current_summary(portfolio, facts[place], place) for place in map(int, places) if place in facts],
        "next_cursor": cursor,
    }


def list_accounts_as_of(desk: ServiceContext, day: date, asked: AccountsQuery) -> dict[str, Any]:
    """One page of the accounts of a past day, as they were served by its end."""
    desk.require_past_day(day)
    page = past_page(desk.ledger_reader.ledger, day, asked)
    facts = desk.account_table.fetch([one.account_id for one in page.risks])
    return {
        "as_of": page.as_of.isoformat(),
        "version": page.version,
        "total": page.total,
        "accounts": [_past_summary(one, facts.get(one.account_id)) for one in page.risks],
        "next_cursor": page.next_cursor,
    }


def get_account_risk(desk: ServiceContext, account_id: str, day: date | None, request_id: str) -> dict[str, Any]:
    """One account: its risk now or on a past day, and where it stands. Raises RequestError (404) for nobody's id."""
    reply = (
        last_known.score_as_of(desk, [account_id], day)
        if day
        else last_known.score_or_last_known(desk, [account_id], 3, request_id)
    )
    about, mark = desk.account_table.fetch([account_id]).get(account_id), desk.marks([account_id]).get(account_id)
    if day and about:
        about = _without_current_facts(about)
    (score,) = reply["scores"] or [None]
    reason = reply["not_scored"][0]["reason"] if reply["not_scored"] else None
    if reason == UNKNOWN_ACCOUNT:
        raise unknown_account_error(account_id)
    return {
        "account_id": account_id,
        **_fact_fields(about),
        "status": score["status"] if score else "not_scored",
        "reason": reason,
        "percentile": _percentile_of(desk, score, about) if not day else None,
        "mark": mark,
        "score": score,
        "model": reply["model"],
        "play": desk.suggest_play(score, about, mark) if score and not day else None,
        "as_of": reply["as_of"],
    }


def get_account_history(desk: ServiceContext, account_id: str, asked: HistoryQuery) -> dict[str, Any]:
    """Every risk an account was given, newest first. Raises RequestError (404) for nobody's id."""
    found = desk.ledger_reader.history(account_id, asked.limit + 1, asked.cursor)
    if not found:
        desk.require_account(account_id)
    shown = found[: asked.limit]
    more = len(found) > len(shown)
    return {
        "account_id": account_id,
        "risks": [_recorded_risk(one) for one in shown],
        "next_cursor": shown[-1].id if more else None,
    }


def _current_summary(portfolio: Portfolio, about: AccountFacts, place: int) -> dict[str, Any]:
    risks = portfolio.risks[place]
    risk = float(risks[portfolio.of.main])
    return {
        "account_id": about.account_id,
        **_fact_fields(about),
        "risk": risk,
        "risks": {str(days): float(one) for days, one in zip(portfolio.of.horizons, risks, strict=True)},
        "band": BANDS[portfolio.bands[place]],
        "mrr": about.mrr,
        "at_risk": None if about.mrr is None else about.mrr * risk,
    }


def _past_summary(one: Given, about: AccountFacts | None) -> dict[str, Any]:
    return {
        "account_id": one.account_id,
        **_fact_fields(about and _without_current_facts(about)),
        **{name: getattr(one, name) for name in ("risk", "band", "mrr")},
        "risks": one.served.get("risks", {}),
        "at_risk": None if one.mrr is None else one.mrr * one.risk,
    }


def _without_current_facts(about: AccountFacts) -> AccountFacts:
    """Who an account is has not changed since; where it stands has."""
    return replace(about, stage=None, renews_at=None)


def _fact_fields(about: AccountFacts | None) -> dict[str, Any]:
    one = about or AccountFacts("")
    return {
        "name": one.name,
        "owner": one.owner,
        "segment": one.segment,
        "parent_id": one.parent_id,
        "stage": one.stage if about else None,
        "renews_at": one.renews_at.isoformat() if one.renews_at else None,
    }


def _percentile_of(desk: ServiceContext, score: dict[str, Any] | None, about: AccountFacts | None) -> float | None:
    there = desk.portfolios.now()
    if score is None or not isinstance(there, Portfolio):
        return None
    return there.percentile(about.segment if about else None, score["risk"])


def _recorded_risk(one: Given) -> dict[str, Any]:
    same = {name: getattr(one, name) for name in ("id", "risk", "base", "band", "status", "mrr", "version")}
    return {**same, "as_of": one.as_of.isoformat(), "given_at": one.given_at.isoformat()}
