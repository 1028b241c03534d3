"""The retention as JSON and as CSV: amounts exact to the hundredth, with their currency."""

from collections.abc import Iterable
from dataclasses import asdict

from features.retention.definitions import DEFINITIONS
from features.retention.movements import RevenueMovement
from features.retention.rates import GroupRetention, RateInterval
from features.retention.renewals import RenewalForecast, RenewalQuarter
from features.retention.time_to_value import TimeToValue
from serving.explanations.root_causes import RootCause, RootCauses
from serving.pages.csv_text import write_csv
from serving.pages.retention.retention_answer import answer_retention
from serving.views.retention_view import RetentionView

RATE_DECIMALS = 4
GROUP_AMOUNTS = ("start", "expansion", "contraction", "churned", "end")
GROUP_COLUMNS = (
    *("dimension", "group", "accounts", "stayed", *GROUP_AMOUNTS),
    *(f"{name}{end}" for name in ("gross", "net", "logo") for end in ("", "_low", "_high")),
    "currency",
)
MONTH_AMOUNTS = ("start", "new", "returned", "expansion", "contraction", "churned", "end")
MONTH_COLUMNS = ("since", "until", *MONTH_AMOUNTS, "accounts_new", "accounts_churned", "currency")


def retention_document(view: RetentionView) -> dict[str, object]:
    """The view as JSON."""
    report = view.report
    committed = report.committed
    return {
        "since": f"{report.since:%Y-%m-%d}",
        "until": f"{report.until:%Y-%m-%d}",
        "currency": view.currency,
        "answer": answer_retention(report, view.currency),
        "groups": [group_fields(group) for group in report.groups],
        "movement": movement_fields(report.movement),
        "months": [movement_fields(month) for month in report.months],
        "losses": [{**asdict(loss), "churned": loss.churned / 100} for loss in report.losses],
        "committed": committed
        and {
            "mrr": committed.mrr / 100,
            "leaving": committed.leaving / 100,
            "leaving_accounts": committed.leaving_accounts,
            "committed": committed.committed / 100,
        },
        "renewals": renewal_fields(view.renewals),
        "causes": view.causes and cause_fields(view.causes),
        "time_to_value": [_value_fields(value) for value in view.time_to_value],
        "definitions": [{**asdict(definition), "hash": definition.hash} for definition in DEFINITIONS],
    }


def renewal_fields(renewals: RenewalForecast) -> dict[str, object]:
    """The forecast of renewals, with the past forecasts and what was kept."""
    return {
        "quarters": [_quarter_fields(quarter) for quarter in renewals.quarters],
        "other_accounts": renewals.other_accounts,
        "other_revenue": renewals.other_revenue / 100,
        "checks": [
            {
                "origin": f"{check.origin:%Y-%m-%d}",
                "quarters_ahead": check.quarters_ahead,
                **_quarter_fields(check.forecast),
                "kept_gross": round(check.gross, RATE_DECIMALS),
                "kept_net": round(check.net, RATE_DECIMALS),
            }
            for check in renewals.checks
        ],
    }


def _quarter_fields(quarter: RenewalQuarter) -> dict[str, object]:
    rates = {
        name: value for side in ("gross", "net") for name, value in _rate_fields(side, getattr(quarter, side)).items()
    }
    counts = {name: getattr(quarter, name) for name in ("accounts", "from_risks", "past_quarters")}
    days = {"since": f"{quarter.since:%Y-%m-%d}", "until": f"{quarter.until:%Y-%m-%d}"}
    return {**days, **counts, "due": quarter.due / 100, **rates}


def cause_fields(causes: RootCauses) -> dict[str, object]:
    """The causes of the revenue at risk: base + families = base + functions = revenue_at_risk, to the hundredth."""
    return {
        "accounts": causes.accounts,
        "without_revenue": causes.without_revenue,
        "revenue_at_risk": causes.revenue_at_risk / 100,
        "base": causes.base / 100,
        "families": list(map(_cause_fields, causes.families)),
        "functions": list(map(_cause_fields, causes.functions)),
    }


def _cause_fields(cause: RootCause) -> dict[str, object]:
    return {**asdict(cause), "amount": cause.amount / 100}


def _value_fields(value: TimeToValue) -> dict[str, object]:
    spans = {name: asdict(getattr(value, name)) for name in ("days", "contract_left")}
    counts = {name: getattr(value, name) for name in ("group", "accounts", "waiting")}
    return {**counts, "waiting_revenue": value.waiting_revenue / 100, **_rate_fields("reached", value.reached), **spans}


def groups_csv(view: RetentionView) -> str:
    """The groups as CSV."""
    return write_csv(GROUP_COLUMNS, _with_currency(view, map(group_fields, view.report.groups)))


def months_csv(view: RetentionView) -> str:
    """The months as CSV."""
    return write_csv(MONTH_COLUMNS, _with_currency(view, map(movement_fields, view.report.months)))


def _with_currency(view: RetentionView, rows: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    return [{**row, "currency": view.currency} for row in rows]


def group_fields(group: GroupRetention) -> dict[str, object]:
    """A group with its amounts and rates, gross never without net."""
    amounts = {name: getattr(group, name) / 100 for name in GROUP_AMOUNTS}
    counts = {name: getattr(group, name) for name in ("dimension", "group", "accounts", "stayed")}
    return {**counts, **amounts, **_rate_fields("gross", group.gross), **_rate_fields("net", group.net),
            **_rate_fields("logo", group.logo)}  # fmt: skip


def movement_fields(movement: RevenueMovement) -> dict[str, object]:
    """A movement whose amounts add up from start to end."""
    amounts = {name: getattr(movement, name) / 100 for name in MONTH_AMOUNTS}
    days = {"since": f"{movement.since:%Y-%m-%d}", "until": f"{movement.until:%Y-%m-%d}"}
    counts = {"accounts_new": movement.accounts_new, "accounts_churned": movement.accounts_churned}
    return {**days, **amounts, **counts}


def _rate_fields(name: str, interval: RateInterval | None) -> dict[str, float | None]:
    bounds = (None, None, None) if interval is None else (interval.rate, interval.low, interval.high)
    values = dict(zip(("", "_low", "_high"), bounds, strict=True))
    return {f"{name}{end}": None if value is None else round(value, RATE_DECIMALS) for end, value in values.items()}
