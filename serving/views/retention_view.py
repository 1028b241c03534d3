"""The retention that a person sees: the report of some accounts, and what can be chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from configs.settings import RetentionSettings
from features.retention.report import RetentionReport, report_retention
from features.store.revenue_table import RevenueHistory
from serving.schemas.page_queries import RetentionQuery

FILTERS = ("segment", "owner", "channel")


@dataclass(frozen=True)
class RetentionView:
    """What a page of the retention shows, and what its filters offer: the filters of columns that the data set has."""

    query: RetentionQuery
    report: RetentionReport
    choices: dict[str, Sequence[str]]


def view_retention(history: RevenueHistory, query: RetentionQuery, settings: RetentionSettings) -> RetentionView:
    """The retention of the accounts under the filters; raises RequestError (422) if the data do not reach back."""
    matches = np.ones(len(history.account_ids), dtype=bool)
    for name in FILTERS:
        chosen = getattr(query, name)
        if chosen is not None:
            matches &= history.matching(name, chosen)
    choices = {name: _choices(history.attributes[name]) for name in FILTERS if name in history.attributes}
    return RetentionView(query, report_retention(history.take(matches), query.months, settings), choices)


def _choices(values: np.ndarray) -> Sequence[str]:
    return sorted({str(text) for text in values if text is not None})
