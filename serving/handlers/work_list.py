"""Calling: the work list made of the portfolio, the dearest accounts explained as far as the list needs them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from features.store.account_table import AccountFacts
from serving.accounts.portfolio import Portfolio
from serving.accounts.work_list_ranking import Candidate, expected_values, fill
from serving.handlers.context import ServiceContext
from serving.schemas.requests import AccountsQuery, WorkListQuery

ACCOUNTS_PER_CHUNK = 50
MAX_CANDIDATES = 1_000


def build_work_list(
    desk: ServiceContext, portfolio: Portfolio, asked: WorkListQuery, request_id: str
) -> dict[str, Any]:
    """Whom to call by what it is worth, and who was left out of those looked at; the rest is counted."""
    settings = desk.settings
    per_owner = asked.per_owner or settings.work_list.per_owner
    values = expected_values(
        portfolio.main_risks, portfolio.mrr, settings.evaluation.profit, settings.work_list.revenue_months
    )
    places = portfolio.places(AccountsQuery(sort="risk", owner=asked.owner))
    places = places[np.argsort(-values[places], kind="stable")]
    worth = places[values[places] > 0]
    found = fill(_candidates(desk, worth[:MAX_CANDIDATES], values), per_owner, asked.limit)
    # Of all that were looked at, the risks of those to call are given.
    desk.scorer.append_to_ledger(desk.scorer.champion(), [one.row[0] for one in found.chosen], request_id)
    below = {"below_break_even": len(places) - len(worth)} if len(places) > len(worth) else {}
    return {
        "as_of": portfolio.of.as_of.isoformat(),
        "version": portfolio.of.version,
        "per_owner": per_owner,
        "calls": [_to_call(one) for one in found.chosen],
        "left_out": [_to_excluded(one) for one in found.left_out[: asked.left_out]],
        "reasons": found.reasons | below,
        "causal": False,
    }


def _candidates(desk: ServiceContext, places: np.ndarray, values: np.ndarray) -> Iterator[Candidate]:
    """The accounts at these places with their plays, explained a few at a time as they are asked for."""
    marks = desk.marks()
    for start in range(0, len(places), ACCOUNTS_PER_CHUNK):
        some = [int(place) for place in places[start : start + ACCOUNTS_PER_CHUNK]]
        facts = desk.account_table.current().at(some)
        worth = {facts[place].account_id: float(values[place]) for place in some if place in facts}
        about = {one.account_id: one for one in facts.values()}
        reply = desk.scorer.to_response(desk.scorer.score_accounts(list(worth)), 1)
        scores = {score["account_id"]: score for score in reply["scores"]}
        for account_id, value in worth.items():
            yield _candidate(desk, scores.get(account_id), about[account_id], value, marks.get(account_id))


def _candidate(
    desk: ServiceContext, score: dict[str, Any] | None, about: AccountFacts, value: float, mark: str | None
) -> Candidate:
    one = Candidate(about.account_id, about.owner, value)
    if score is None:
        return _suppressed(one, "not_scored", "it was published, and is not there any more")
    play = desk.suggest_play(score, about, mark)
    if play is None:
        return _suppressed(one, "nothing_raises_it", "nothing raises its risk above that of its segment")
    row = (score, about, mark, play)
    return Candidate(one.account_id, one.owner, value, play["why_not"], play["because"], row)


def _suppressed(one: Candidate, why_not: Any, because: str) -> Candidate:
    return Candidate(one.account_id, one.owner, one.value, why_not, because)


def _to_call(one: Candidate) -> dict[str, Any]:
    score, about, mark, play = one.row
    return {
        "account_id": one.account_id,
        "name": about.name,
        "owner": one.owner,
        "value": one.value,
        "risk": score["risk"],
        "band": score["band"],
        **score["revenue"],
        "renews_at": about.renews_at.isoformat() if about.renews_at else None,
        "mark": mark,
        "play": play,
    }


def _to_excluded(one: Candidate) -> dict[str, Any]:
    names = ("account_id", "owner", "value", "why_not", "because")
    return {name: getattr(one, name) for name in names}
