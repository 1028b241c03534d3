"""The retention report of a period: rates by group, movements by month, losses by reason, committed revenue."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from configs.errors import RequestError
from configs.sections.accounts import RetentionSettings
from features.retention.losses import RevenueLoss, measure_losses
from features.retention.movements import RevenueMovement, measure_months, measure_movement
from features.retention.periods import subtract_months
from features.retention.rates import Grouping, GroupRetention, group_retention
from features.store.revenue_table import INSTANT, RevenueHistory

EVERYBODY, COHORT, NOT_NAMED = "all", "cohort", "not named"


@dataclass(frozen=True)
class CommittedRevenue:
    """Recurring revenue less that of accounts whose notice takes effect later, in hundredths."""

    mrr: int
    leaving: int
    leaving_accounts: int

    @property
    def committed(self) -> int:
        return self.mrr - self.leaving


@dataclass(frozen=True)
class RetentionReport:
    """What became of the recurring revenue of a period. `groups` begins with everybody, and is empty if nobody paid.

    `committed` is None if the data set has no notices.
    """

    since: datetime
    until: datetime
    groups: Sequence[GroupRetention]
    movement: RevenueMovement
    months: Sequence[RevenueMovement]
    losses: Sequence[RevenueLoss]
    committed: CommittedRevenue | None

    @property
    def everybody(self) -> GroupRetention | None:
        return self.groups[0] if self.groups else None


def report_retention(history: RevenueHistory, months: int, settings: RetentionSettings) -> RetentionReport:
    """The report of the months before the history's day.

    Raises RequestError (422) if the data do not reach back so far.
    """
    since = subtract_months(history.as_of, months)
    if since not in history.instants:
        first = f"{history.instants[0]:%Y-%m-%d}" if history.instants else "later"
        message = f"The data begin {first}, which is less than {months} months before {history.as_of:%Y-%m-%d}."
        raise RequestError(message, "Ask for fewer months.", code="not_in_the_past", status=422)
    first = history.instants.index(since)
    start, end = history.cents[:, first], history.cents[:, -1]
    paid = history.take(start > 0)
    return RetentionReport(
        since=since,
        until=history.as_of,
        groups=group_retention(start[start > 0], end[start > 0], _groupings(paid)) if len(paid.cents) else (),
        movement=measure_movement(history, first, len(history.instants) - 1),
        months=measure_months(history, since),
        losses=measure_losses(history, start, since, settings),
        committed=_committed(history, end) if history.has_notices else None,
    )


def _groupings(history: RevenueHistory) -> list[Grouping]:
    years = history.first_started.astype("datetime64[Y]").astype(str)
    columns = {**history.attributes, COHORT: years}
    everybody = Grouping(EVERYBODY, (EVERYBODY,), np.zeros(len(history.cents), dtype=int))
    return [everybody, *(_grouping(dimension, values) for dimension, values in columns.items())]


def _grouping(dimension: str, values: np.ndarray) -> Grouping:
    groups, codes = np.unique([NOT_NAMED if text is None else str(text) for text in values], return_inverse=True)
    return Grouping(dimension, groups.tolist(), codes)


def _committed(history: RevenueHistory, mrr: np.ndarray) -> CommittedRevenue:
    leaves = (history.effective_at > np.datetime64(history.as_of).astype(INSTANT)) & (mrr > 0)
    return CommittedRevenue(int(mrr.sum()), int(mrr[leaves].sum()), int(leaves.sum()))
