"""Where the risk and people disagree, as a page and as JSON, with the quadrants of contact and risk."""

from collections.abc import Mapping

from starlette.responses import Response

from configs.clock import format_instant
from serving.accounts.disagreement import SURVEY_DAYS, answer_limits
from serving.accounts.portfolio import Portfolio
from serving.api.endpoint import wait_for_portfolio
from serving.api.responses import JsonResponse
from serving.pages.formats import format_count, format_percent
from serving.pages.page import PageRequest, page
from serving.schemas.page_queries import DisagreementQuery
from serving.views.disagreement_view import (
    AppearingAccount,
    DisagreementView,
    RatedAccounts,
    rate_accounts,
    rating_key,
    view_disagreements,
)
from serving.views.system_state import describe_system

JUDGEMENTS: Mapping[str, str] = {
    "wrong": "owner: the risk is wrong", "right": "owner: the risk is right", "already_known": "owner: known already",
    "saved_watch": "marked saved, keep watching", "do_not_chase": "marked do not chase",
}  # fmt: skip
DEFINITION = (
    "What people see of an account is one number from looks bad to looks fine: the owner's newest feedback or mark and"
    f" the survey answers of the last {SURVEY_DAYS:.0f} days (NPS, CSAT) count twice; the commercial signals (a notice,"
    " overdue invoices, the change of recurring revenue in 91 days) count once. The disagreement is that number times"
    " the evidence: a third is how far the risk is above that of the median account, two thirds how far the use of 28"
    " days is below it: events for each seat, and the share of the seats in use. At risk is a band above low, or hardly"
    " used: about the lowest sixth. It says where to look, not who is right."
)


@page("GET", "/disagreements", scope="read", limits_rows=True)
async def get_disagreements(request: PageRequest, query: DisagreementQuery) -> Response:
    """Who looks fine and is at risk, who looks bad and is safe, who is quiet, and who is demanding."""
    context, portfolio = request.context, await wait_for_portfolio(request.http)
    view = view_disagreements(await _find_rated(request, portfolio), query.limit)
    if query.format == "json":
        return JsonResponse(disagreement_document(view))
    system = await request.run(1, describe_system, context)
    return request.render("disagreements.html.jinja", {"system": system, **disagreement_values(view)})


async def _find_rated(request: PageRequest, portfolio: Portfolio) -> RatedAccounts:
    """The rated accounts that are kept, or new ones: after a publish, a promotion, feedback, or on another day."""
    context, ratings = request.context, request.services.ratings
    key = await request.run(1, rating_key, context, portfolio)
    rated = ratings.find(key)
    if rated is None:
        rated = await request.run(len(portfolio.account_ids), rate_accounts, context, portfolio)
        ratings.add(key, rated)
    return rated


def disagreement_values(view: DisagreementView) -> dict[str, object]:
    """What the template of the disagreements shows."""
    return {
        "view": view,
        "currency": view.currency,
        "answer": answer_disagreements(view),
        "definition": DEFINITION,
        "describe": describe_appearance,
        "contact": describe_contact,
        "use": describe_use,
    }


def answer_disagreements(view: DisagreementView) -> str:
    """How many accounts look fine and are at risk, and how many look bad and are safe."""
    fine, bad = view.totals
    if not sum(view.judged.values()):
        return "Nobody has said anything of any account yet, and no survey or invoice is known."
    return (
        f"Of {format_count(view.total)} accounts, {format_count(fine)} look fine and are at risk or hardly"
        f" used; {format_count(bad)} look bad and are safe."
    )


def describe_appearance(account: AppearingAccount) -> str:
    """What people see of an account, in words.

    >>> unknown = dict.fromkeys(AppearingAccount.__annotations__)
    >>> describe_appearance(AppearingAccount(**unknown | {"overdue_invoices": 2, "nps": 9.0, "csat": 5.5}))
    'NPS 9 of 10; CSAT 5.5 of 7; 2 overdue invoices'
    """
    texts = [text for judgement, text in JUDGEMENTS.items() if judgement == account.judgement]
    answers = {"nps": account.nps, "csat": account.csat}
    texts += [
        f"{k.upper()} {score:.3g} of {answer_limits(k)[1]:g}" for k, score in answers.items() if score is not None
    ]
    texts += ["gave notice"] if account.has_notice else []
    if account.overdue_invoices:
        texts.append(f"{account.overdue_invoices} overdue {'invoice' if account.overdue_invoices == 1 else 'invoices'}")
    if account.mrr_change is not None and abs(account.mrr_change) >= 0.0005:
        direction = "up" if account.mrr_change > 0 else "down"
        texts.append(f"MRR {direction} {format_percent(abs(account.mrr_change), 0)} in 91 days")
    return "; ".join(texts) or "pays as agreed"


def describe_use(account: AppearingAccount) -> str:
    """How much an account uses the product for what it pays, among all accounts.

    >>> unknown = dict.fromkeys(AppearingAccount.__annotations__)
    >>> describe_use(AppearingAccount(**unknown | {"more_used_than": 0.03}))
    'used less, for what it pays, than 97\xa0% of accounts'
    """
    share = account.more_used_than
    if share is None:
        return ""
    if share < 0.5:
        return f"used less, for what it pays, than {format_percent(1 - share, 0)} of accounts"
    return f"used more, for what it pays, than {format_percent(share, 0)} of accounts"


def describe_contact(account: AppearingAccount) -> str:
    """How much an account asked of us in 91 days."""
    tickets = "tickets not known" if account.tickets is None else f"{account.tickets} tickets"
    talks = "" if account.conversations is None else f", {account.conversations} conversations"
    return tickets + talks


def disagreement_document(view: DisagreementView) -> dict[str, object]:
    """The view as JSON, rounded as the page shows it."""
    quadrants = view.quadrants
    names = ("quiet_at_risk", "demanding_at_risk", "quiet_safe", "demanding_safe")
    return {
        "as_of": format_instant(view.as_of),
        "answer": answer_disagreements(view),
        "definition": DEFINITION,
        "currency": view.currency,
        "total": view.total,
        "judged": view.judged,
        "looks_fine": [_fields(account) for account in view.looks_fine],
        "looks_bad": [_fields(account) for account in view.looks_bad],
        "quadrants": dict(zip(names, quadrants.counts, strict=True)),
        "quiet_at_risk": [_fields(account) for account in quadrants.quiet_at_risk],
        "demanding_safe": [_fields(account) for account in quadrants.demanding_safe],
    }


def _fields(account: AppearingAccount) -> dict[str, object]:
    rounded = {"risk": round(account.risk, 3), "disagreement": round(account.disagreement, 2)}
    money = {name: getattr(account, name) for name in ("mrr", "revenue_at_risk")}
    return {
        **vars(account),
        **rounded,
        **{name: None if amount is None else round(amount, 2) for name, amount in money.items()},
        "more_used_than": None if account.more_used_than is None else round(account.more_used_than, 3),
        "seen": describe_appearance(account),
    }
