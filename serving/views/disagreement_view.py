"""The view of accounts about which the risk and people disagree, and of who asks much or little of us."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np

from configs.sections.bands import BANDS, Band
from features.store.history_reader import read_history_columns
from features.store.publication import published_as_of, published_history_folder
from serving.accounts.account_columns import AccountColumns
from serving.accounts.disagreement import (
    SIGNALS,
    SURVEY_DAYS,
    Appearances,
    Evidence,
    find_disagreements,
    find_evidence,
    rate_appearances,
)
from serving.accounts.portfolio import Portfolio, PortfolioKey
from serving.handlers.context import ServiceContext
from serving.schemas.page_queries import default_since

AT_RISK, SAFE = ("high", "critical"), ("low",)
CONTACT_SIGNALS = ("tickets_opened_91d", "conversations_91d")
THIRD = 1 / 3


@dataclass(frozen=True)
class AppearingAccount:
    """An account with its risk and what people see of it; what is not known is None.

    `more_used_than` is the share of accounts that are used less for what they pay.
    """

    account_id: str
    name: str | None
    owner: str | None
    band: Band
    risk: float
    mrr: float | None
    revenue_at_risk: float | None
    disagreement: float
    judgement: str | None
    nps: float | None
    csat: float | None
    mrr_change: float | None
    has_notice: bool
    overdue_invoices: int
    tickets: int | None
    conversations: int | None
    more_used_than: float | None


@dataclass(frozen=True)
class Quadrants:
    """How many accounts ask little or much of us (the lower and the upper third) and are at risk or safe.

    `quiet_at_most` and `demanding_from` are the tickets and conversations of 91 days that part them; None if no signal
    counts them.
    """

    quiet_at_most: float | None
    demanding_from: float | None
    quiet_at_risk: Sequence[AppearingAccount] = ()
    demanding_safe: Sequence[AppearingAccount] = ()
    counts: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class DisagreementView:
    """The accounts with the largest disagreements of either kind, and the quadrants; `total` is how many have a risk.

    `judged` is how many of them people say something about, by part. `currency` is that of all amounts, if declared.
    """

    as_of: datetime
    currency: str | None
    total: int
    judged: dict[str, int]
    looks_fine: Sequence[AppearingAccount]
    looks_bad: Sequence[AppearingAccount]
    totals: tuple[int, int]
    quadrants: Quadrants


@dataclass(frozen=True)
class RatedAccounts:
    """The arrays that rows are made of, a row per account, and the order from the largest disagreement down.

    `judged` is how many accounts people say something about, by part.
    """

    columns: AccountColumns
    signals: dict[str, np.ndarray]
    judgements: list[str | None]
    evidence: Evidence
    disagreements: np.ndarray
    order: np.ndarray
    judged: dict[str, int]


class RatingKey(NamedTuple):
    """Of which portfolio, whose accounts, names of which publication, what feedback, and on which day."""

    portfolio: PortfolioKey
    owner: str | None
    written: int
    feedback: tuple[int, int, datetime | None]
    day: date


def rating_key(context: ServiceContext, portfolio: Portfolio) -> RatingKey:
    """What the rating of all accounts depends on: with an equal key it is the same."""
    written, feedback = context.account_table.written_at(), context.feedback.content_version()
    return RatingKey(portfolio.key, context.owner, written, feedback, context.today())


def rate_accounts(context: ServiceContext, portfolio: Portfolio) -> RatedAccounts:
    """What people see of each account, against its risk; raises NotReady if the published day has left the history."""
    columns = context.columns.current(portfolio, _since(portfolio)).columns
    frame = read_history_columns(published_history_folder(context.state), published_as_of(context.state), SIGNALS)
    frame = frame.reindex(columns.account_ids)
    signals = {name: frame[name].to_numpy() for name in SIGNALS}
    newest = context.feedback.newest_judgements(context.clock() - timedelta(days=SURVEY_DAYS))
    judgements = [newest[account_id][0] if account_id in newest else None for account_id in columns.account_ids]
    was_low = _find_low(context, columns, newest)
    appearances = rate_appearances(signals, np.array(judgements, dtype=object), was_low)
    evidence, is_low = find_evidence(columns.risks, signals), columns.bands == BANDS.index("low")
    disagreements = find_disagreements(evidence, appearances.total, is_low=is_low)
    order = np.argsort(-disagreements, kind="stable")
    return RatedAccounts(columns, signals, judgements, evidence, disagreements, order, _count_judged(appearances))


def view_disagreements(rated: RatedAccounts, limit: int) -> DisagreementView:
    """The accounts on the lists, `limit` of each."""
    fine, bad = int((rated.disagreements > 0).sum()), int((rated.disagreements < 0).sum())
    return DisagreementView(
        as_of=rated.columns.as_of,
        currency=rated.columns.currency,
        total=len(rated.columns),
        judged=rated.judged,
        looks_fine=_accounts(rated, rated.order[: min(limit, fine)]),
        looks_bad=_accounts(rated, rated.order[::-1][: min(limit, bad)]),
        totals=(fine, bad),
        quadrants=_find_quadrants(rated, limit),
    )


def _since(portfolio: Portfolio) -> date:
    return default_since(portfolio.key.as_of.date())


def _find_low(
    context: ServiceContext, columns: AccountColumns, judgements: Mapping[str, tuple[str, date]]
) -> np.ndarray:
    """Whether each account was in band low when it was judged; its present band if nothing had been served by then."""
    is_low = columns.bands == BANDS.index("low")
    days = {account_id: day for account_id, (_, day) in judgements.items() if account_id in columns.row_of}
    for account_id, band in context.ledger_reader.bands_served_by(days).items():
        is_low[columns.row_of[account_id]] = band == "low"
    return is_low


def _count_judged(appearances: Appearances) -> dict[str, int]:
    parts = {"owner": appearances.owner, "survey": appearances.survey, "commercial": appearances.commercial}
    return {name: int(np.isfinite(values).sum()) for name, values in parts.items()}


def _find_quadrants(rows: RatedAccounts, limit: int) -> Quadrants:
    columns = [rows.signals[name] for name in CONTACT_SIGNALS if np.isfinite(rows.signals[name]).any()]
    if not columns:
        return Quadrants(None, None)
    contacts = np.nansum(columns, axis=0)
    low, high = np.quantile(contacts, [THIRD, 1 - THIRD])
    quiet, demanding = contacts <= low, contacts >= max(high, low + 1)
    at_risk, safe = (np.isin(rows.columns.bands, [BANDS.index(band) for band in bands]) for bands in (AT_RISK, SAFE))
    groups = [quiet & at_risk, demanding & at_risk, quiet & safe, demanding & safe]
    value = np.nan_to_num(rows.columns.revenue_at_risk)
    amounts = np.nan_to_num(rows.columns.mrr)
    return Quadrants(
        float(low),
        float(max(high, low + 1)),
        _accounts(rows, _largest(groups[0], value, limit)),
        _accounts(rows, _largest(groups[3], amounts, limit)),
        (int(groups[0].sum()), int(groups[1].sum()), int(groups[2].sum()), int(groups[3].sum())),
    )


def _largest(matches: np.ndarray, values: np.ndarray, limit: int) -> np.ndarray:
    rows = np.flatnonzero(matches)
    return rows[np.argsort(-values[rows], kind="stable")][:limit]


def _accounts(rows: RatedAccounts, selected: np.ndarray) -> list[AppearingAccount]:
    return [_account(rows, int(row)) for row in selected]


def _account(rows: RatedAccounts, row: int) -> AppearingAccount:
    columns = rows.columns
    values = {name: None if np.isnan(column[row]) else float(column[row]) for name, column in rows.signals.items()}
    change = values["mrr_change_91d"]
    return AppearingAccount(
        account_id=columns.account_ids[row],
        name=columns.names[row],
        owner=columns.owners.value(row),
        band=BANDS[columns.bands[row]],
        risk=float(columns.risks[row]),
        mrr=None if np.isnan(columns.mrr[row]) else float(columns.mrr[row]),
        revenue_at_risk=None if np.isnan(columns.mrr[row]) else float(columns.revenue_at_risk[row]),
        disagreement=float(rows.disagreements[row]),
        judgement=rows.judgements[row],
        nps=_if_fresh(values["last_nps"], values["last_nps_age"]),
        csat=_if_fresh(values["last_csat"], values["last_csat_age"]),
        mrr_change=None if change is None else change - 1,
        has_notice=values["days_until_cancellation"] is not None,
        overdue_invoices=int(values["overdue_invoices"] or 0),
        tickets=_to_integer(values["tickets_opened_91d"]),
        conversations=_to_integer(values["conversations_91d"]),
        more_used_than=_share_below(rows.evidence.use, row),
    )


def _share_below(values: np.ndarray, row: int) -> float | None:
    """The share of the known values that are below that of a row; None if that is not known."""
    finite = values[np.isfinite(values)]
    return float((finite < values[row]).mean()) if np.isfinite(values[row]) else None


def _if_fresh(value: float | None, age: float | None) -> float | None:
    return value if age is not None and age <= SURVEY_DAYS else None


def _to_integer(value: float | None) -> int | None:
    return None if value is None else int(value)
