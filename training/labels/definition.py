"""Label definition: what counts as churn, for which horizons, and when the label of a snapshot is known."""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import NotRequired, TypedDict, cast

import pandas as pd

from configs.sections.label import AT_RISK, LabelSettings
from configs.values.calendar_months import count_months, longest_days, shortest_days

CHURNED, CONTRACTED = "churned", "contracted"
DATED_MODES = ("contract", "event")  # in which accounts leave on a day
# What each mode reads besides lead and horizon.
MODE_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "contract": ("grace_days", "joins_within_hours", "locked_in_accounts", *AT_RISK),
    "event": ("joins_within_hours", *AT_RISK),
    "inactivity": ("inactive_days", "active_within_days"),
    "contraction": ("joins_within_hours", "contraction_share", *AT_RISK),
    "query": ("joins_within_hours", "query", "risk_set", "active_within_days", *AT_RISK),
}


class LabelDescription(TypedDict):
    """The mode of a label and every parameter that it reads."""

    mode: str
    lead_days: int
    horizon_days: int
    horizon_months: NotRequired[int]
    grace_days: NotRequired[int]
    joins_within_hours: NotRequired[int]
    locked_in_accounts: NotRequired[str]
    inactive_days: NotRequired[int]
    active_within_days: NotRequired[int]
    contraction_share: NotRequired[float]
    query: NotRequired[str]
    risk_set: NotRequired[str]
    trials_at_risk: NotRequired[bool]
    pauses_at_risk: NotRequired[bool]
    pause_is_departure: NotRequired[bool]
    free_plans_at_risk: NotRequired[bool]


def describe_label(label: LabelSettings) -> LabelDescription:
    """The mode and every parameter that it reads; a query without its comments, in one way of writing."""
    names = {"mode", "lead_days", "horizon_days", "horizon_months", *MODE_PARAMETERS[label.mode]}
    names -= {*AT_RISK} - label.changed_at_risk.keys()  # a label that is older than they are keeps its hash
    query = {"query": canonical_query(label.query)} if label.query else {}
    return cast("LabelDescription", label.model_dump(include=names, exclude_none=True) | query)


def label_hash(label: LabelSettings) -> str:
    """A hash of the label definition; every label, model and risk carries it."""
    return hashlib.sha256(repr(sorted(describe_label(label).items())).encode()).hexdigest()[:12]


@cache
def canonical_query(query: str) -> str:
    """A query without comments, in one way of spacing and case; as it is written if it cannot be parsed.

    >>> canonical_query("Select Churned  -- all" + chr(10) + "from answers").splitlines()
    ['SELECT', '  churned', 'FROM answers']
    """
    import sqlglot  # only labels in this mode need it
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

    try:
        tree = normalize_identifiers(sqlglot.parse_one(query, dialect="duckdb"), dialect="duckdb")
        return tree.sql(dialect="duckdb", comments=False, pretty=True)
    except SqlglotError:
        return query


def supported_horizons(label: LabelSettings) -> tuple[tuple[int, ...], dict[int, str]]:
    """The horizons that the mode supports, rising, and why any other is not supported."""
    horizons = tuple(sorted({*label.horizons, label.horizon_days}))
    reasons = {days: reason for days in horizons if (reason := _unsupported_reason(label, days))}
    return tuple(days for days in horizons if days not in reasons), reasons


def churned_column(horizon_days: int) -> str:
    """The column of the labels for one of several horizons."""
    return f"{CHURNED}_{horizon_days}"


def horizon_ends(as_of: pd.Series, label: LabelSettings) -> pd.Series:
    """When the horizon of each snapshot ends: lead and horizon after its day."""
    return as_of + timedelta(days=label.lead_days) + _horizon_length(label)


def horizon_end(as_of: datetime, label: LabelSettings) -> datetime:
    """When the horizon of one snapshot ends."""
    return pd.Timestamp(as_of + timedelta(days=label.lead_days) + _horizon_length(label)).to_pydatetime()


def matures_at(as_of: datetime, label: LabelSettings) -> datetime:
    """When the label of a snapshot is known: after lead, horizon and, in contract mode, the grace.

    Only there can an account that left on the last day of the horizon come back.
    """
    return horizon_end(as_of, label) + _grace(label)


def is_mature(snapshots: pd.DataFrame, label: LabelSettings, known_until: datetime) -> pd.Series:
    """Whether the label of each snapshot is known."""
    return horizon_ends(snapshots.as_of, label) + _grace(label) <= pd.Timestamp(known_until)


def longest_wait(label: LabelSettings) -> timedelta:
    """How long after any day its label is known at the latest: months differ in length."""
    months = label.horizon_months and count_months(label.horizon_days)
    horizon_days = longest_days(months) if months else label.horizon_days
    return timedelta(days=label.lead_days + horizon_days) + _grace(label)


def _horizon_length(label: LabelSettings) -> timedelta | pd.DateOffset:
    if label.horizon_months is None:
        return timedelta(days=label.horizon_days)
    return pd.DateOffset(months=count_months(label.horizon_days))


def _grace(label: LabelSettings) -> timedelta:
    return timedelta(days=label.grace_days if label.mode == "contract" else 0)


def _unsupported_reason(label: LabelSettings, days: int) -> str:
    shortest = days if label.horizon_months is None else shortest_days(count_months(days))
    if label.mode == "inactivity" and shortest < label.inactive_days:
        return "shorter than label.inactive_days"
    if label.mode == "query" and days != label.horizon_days:
        return "a query answers for one horizon"
    if label.mode == "contraction" and days != label.horizon_days:
        return "a contraction can be reversed later"
    return ""
