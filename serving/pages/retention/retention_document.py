"""The retention as JSON and as CSV: amounts in the source's currency, exact to the hundredth."""

from dataclasses import asdict

from features.retention.definitions import DEFINITIONS
from features.retention.movements import RevenueMovement
from features.retention.rates import GroupRetention, RateInterval
from serving.pages.csv_text import write_csv
from serving.pages.retention.retention_answer import answer_retention
from serving.views.retention_view import RetentionView

RATE_DECIMALS = 4
GROUP_AMOUNTS = ("start", "expansion", "contraction", "churned", "end")
GROUP_COLUMNS = (
    *("dimension", "group", "accounts", "stayed", *GROUP_AMOUNTS),
    *(f"{name}{end}" for name in ("gross", "net", "logo") for end in ("", "_low", "_high")),
)
MONTH_AMOUNTS = ("start", "new", "returned", "expansion", "contraction", "churned", "end")
MONTH_COLUMNS = ("since", "until", *MONTH_AMOUNTS, "accounts_new", "accounts_churned")


def retention_document(view: RetentionView) -> dict[str, object]:
    """The view as JSON."""
    report = view.report
    committed = report.committed
    return {
        "since": f"{report.since:%Y-%m-%d}",
        "until": f"{report.until:%Y-%m-%d}",
        "answer": answer_retention(report),
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
        "definitions": [{**asdict(definition), "hash": definition.hash} for definition in DEFINITIONS],
    }


def groups_csv(view: RetentionView) -> str:
    """The groups as CSV."""
    return write_csv(GROUP_COLUMNS, map(group_fields, view.report.groups))


def months_csv(view: RetentionView) -> str:
    """The months as CSV."""
    return write_csv(MONTH_COLUMNS, map(movement_fields, view.report.months))


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


def _rate_fields(name: str, interval: RateInterval) -> dict[str, float | None]:
    values = {"": interval.rate, "_low": interval.low, "_high": interval.high}
    return {f"{name}{end}": None if value is None else round(value, RATE_DECIMALS) for end, value in values.items()}
