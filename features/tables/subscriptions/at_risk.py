"""Trials, pauses and free plans: when a subscription counts as running, by the settings of the label.

Subscriptions are cut into the times in which they run before anything else reads them. So the accounts at risk, the
signals, the labels and the retention report agree. The columns that say so are left out afterwards: their sources
overwrite them, so a signal of one would know the future.
"""

from dataclasses import dataclass, replace

import ibis
import ibis.expr.types as ir

from configs.sections.label import LabelSettings
from features.tables.contract import SUBSCRIPTIONS
from features.tables.point_in_time import FAR_FUTURE, STAYS_UNTIL, STORED_SUFFIX
from features.tables.raw_table import RawTable

PERIOD_COLUMNS = frozenset(name for name, column in SUBSCRIPTIONS.columns.items() if column.cuts_periods)
NO_INSTANT = ibis.null("timestamp")


@dataclass(frozen=True)
class AtRiskCounts:
    """How many subscriptions begin with a trial, were paused, or are free plans."""

    trials: int
    pauses: int
    free_plans: int


def cut_subscriptions(subscriptions: RawTable, label: LabelSettings) -> RawTable:
    """The subscriptions as rows that run all the time, by what the settings count as at risk.

    A trial at risk is a row of its own with an MRR of 0. If a pause is no departure, `STAYS_UNTIL` says of the row
    before it until when the account has not left.
    """
    rows, columns = subscriptions.rows, subscriptions.source_columns
    cuts_pauses = "paused_from" in columns and not label.pauses_at_risk
    if not label.free_plans_at_risk:
        rows = rows.filter(~_is_free(rows))
    if "trial_until" in columns:
        rows = _cut_trials(rows, at_risk=label.trials_at_risk)
    if cuts_pauses:
        rows = _cut_pauses(rows, is_departure=label.pause_is_departure)
    has_new_ends = cuts_pauses or ("trial_until" in columns and label.trials_at_risk)
    columns = columns - PERIOD_COLUMNS | (frozenset({"ended_at"}) if has_new_ends else frozenset())
    return replace(subscriptions, rows=rows.drop(*PERIOD_COLUMNS), source_columns=columns)


def count_at_risk(subscriptions: RawTable) -> AtRiskCounts:
    """How many subscriptions, as their source wrote them, the settings concern."""
    rows = subscriptions.rows
    counts = rows.aggregate(
        trials=_has_trial(rows).sum(), pauses=rows.paused_from.notnull().sum(), free_plans=_is_free(rows).sum()
    )
    row = counts.to_pyarrow().to_pylist()[0]
    return AtRiskCounts(**{name: int(count or 0) for name, count in row.items()})


def _is_free(rows: ir.Table) -> ir.Value:
    return ibis.coalesce(rows.is_free, rows.mrr == 0, ibis.literal(False))


def _has_trial(rows: ir.Table) -> ir.Value:
    return (rows.trial_until > rows.started_at).fill_null(False)


def _cut_trials(rows: ir.Table, *, at_risk: bool) -> ir.Table:
    """The paid part of each subscription and, if at risk, its trial."""
    rows = _start_anywhere(rows)
    has_trial = _has_trial(rows)
    ends_unpaid = has_trial & (rows.ended_at <= rows.trial_until).fill_null(False)
    paid = rows.filter(~ends_unpaid)
    paid = paid.mutate(started_at=_has_trial(paid).ifelse(paid.trial_until, paid.started_at))
    if not at_risk:
        return paid
    trials = rows.filter(has_trial)
    is_shorter = (trials.ended_at < trials.trial_until).fill_null(False)
    return paid.union(trials.mutate(mrr=0.0, ended_at=is_shorter.ifelse(trials.ended_at, trials.trial_until)))


def _cut_pauses(rows: ir.Table, *, is_departure: bool) -> ir.Table:
    """The rows that were never paused, and the parts before and after the pause of the others."""
    begins = (rows.paused_from > rows.started_at).ifelse(rows.paused_from, rows.started_at)
    is_past = (rows.paused_until <= begins).fill_null(False) | (rows.ended_at <= begins).fill_null(False)
    marked = _start_anywhere(rows).mutate(
        _begins=begins,
        _has_pause=rows.paused_from.notnull() & ~is_past,
        _resumes=rows.paused_until.notnull() & (rows.ended_at.isnull() | (rows.ended_at > rows.paused_until)),
        **{STAYS_UNTIL: NO_INSTANT},
    )
    paused = marked.filter(marked["_has_pause"])
    stays_until = paused["_resumes"].ifelse(paused.paused_until, paused.ended_at).fill_null(ibis.timestamp(FAR_FUTURE))
    before = paused.mutate(ended_at=paused["_begins"], **{STAYS_UNTIL: stays_until})
    resumed = paused.filter(paused["_resumes"])
    after = resumed.mutate(started_at=resumed.paused_until)
    if is_departure:
        before = before.filter(before.started_at < before.ended_at)
    parts = marked.filter(~marked["_has_pause"]).union(before, after)
    return parts.drop("_begins", "_has_pause", "_resumes", *((STAYS_UNTIL,) if is_departure else ()))


def _start_anywhere(rows: ir.Table) -> ir.Table:
    """The rows without the start as the file stores it, because parts of them start later."""
    return rows.drop(*({f"started_at{STORED_SUFFIX}"} & {*rows.columns}))
