"""The retention that a person sees: the report of some accounts, what renews next, and what can be chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from configs.settings import Settings
from features.retention.renewals import RenewalForecast, forecast_renewals
from features.retention.report import RetentionReport, report_retention
from features.retention.time_to_value import TimeToValue, measure_time_to_value
from features.store.revenue_table import RevenueHistory
from serving.accounts.portfolio import Portfolio
from serving.explanations.root_causes import RootCauses, find_root_causes
from serving.schemas.page_queries import RetentionQuery
from serving.views.stay_chances import chances_to_stay

FILTERS = ("segment", "owner", "channel")


@dataclass(frozen=True)
class RetentionView:
    """What a page of the retention shows, and what its filters offer: the filters of columns that the data set has.

    `causes` is None if no risk is known of the day.
    """

    query: RetentionQuery
    report: RetentionReport
    renewals: RenewalForecast
    causes: RootCauses | None
    time_to_value: Sequence[TimeToValue]
    choices: dict[str, Sequence[str]]
    currency: str | None


def view_retention(
    history: RevenueHistory, portfolio: Portfolio | None, query: RetentionQuery, settings: Settings
) -> RetentionView:
    """The retention of the accounts under the filters; without a portfolio no risk says who will stay.

    Raises RequestError (422) if the data do not reach back.
    """
    matches = np.ones(len(history.account_ids), dtype=bool)
    for name in FILTERS:
        chosen = getattr(query, name)
        if chosen is not None:
            matches &= history.matching(name, chosen)
    chosen_history = history.take(matches)
    if portfolio is not None and portfolio.key.as_of != history.as_of:
        portfolio = None
    return RetentionView(
        query=query,
        report=report_retention(chosen_history, query.months, settings.retention),
        renewals=forecast_renewals(chosen_history, chances_to_stay(chosen_history, portfolio, settings.label)),
        causes=portfolio and _root_causes(portfolio, chosen_history, settings.retention.functions),
        time_to_value=measure_time_to_value(chosen_history),
        choices={name: _choices(history.attributes[name]) for name in FILTERS if name in history.attributes},
        currency=history.currency,
    )


def _root_causes(portfolio: Portfolio, history: RevenueHistory, functions: Mapping[str, str]) -> RootCauses:
    chosen = frozenset(history.account_ids)
    rows = np.array([account_id in chosen for account_id in portfolio.account_ids], dtype=bool)
    points = dict(zip(portfolio.key.families, portfolio.family_points[rows].T, strict=True))
    return find_root_causes(portfolio.mrr[rows], portfolio.main_risks[rows], points, functions)


def _choices(values: np.ndarray) -> Sequence[str]:
    return sorted({str(text) for text in values if text is not None})
