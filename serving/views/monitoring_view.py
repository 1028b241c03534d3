"""The history of `oarlock monitor` as pages and reports show it, read from the ledger's database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import NamedTuple

import sqlalchemy as sql

from serving.ledger.monitor_runs import Acknowledgement, MonitorRun, RunStore
from serving.schemas.enums import HealthVerdict

SHOWN_DAYS = 365


@dataclass(frozen=True)
class MonitoringView:
    """The newest run, the last run of each day since `since`, and what is acknowledged; `at` is when it was read."""

    newest: MonitorRun | None
    runs: Sequence[MonitorRun]
    acknowledgements: Sequence[Acknowledgement]
    since: date
    at: datetime

    @property
    def periods(self) -> list["VerdictPeriod"]:
        """What the shown runs said, the newest period first."""
        periods: list[VerdictPeriod] = []
        for (verdict, _), group in groupby(self.runs, key=lambda run: (run.verdict, run.subject)):
            runs = list(group)
            periods.append(VerdictPeriod(verdict, runs[0].as_of, runs[-1].as_of, len(runs)))
        return periods[::-1]


class VerdictPeriod(NamedTuple):
    """Consecutive runs with the same verdict about the same subject: the first and the last day, and how many."""

    verdict: HealthVerdict
    first: datetime
    last: datetime
    runs: int


def view_monitoring(database: sql.Engine, since: date | None, at: datetime) -> MonitoringView:
    """The runs of the days from `since` on, by default of the year before the newest."""
    store = RunStore(database)
    newest = store.last()
    end = at if newest is None else newest.as_of
    first = since or (end - timedelta(days=SHOWN_DAYS)).date()
    runs = store.since(datetime.combine(first, time()))
    return MonitoringView(newest, runs, store.acknowledgements(end), first, at)
