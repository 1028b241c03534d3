"""Commands for accounts: score them, and explain what a risk is made of."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import ACCOUNT, DAY, FILE, JSON, CliContext
from cli.export import ExportOptions, export_scores, show_notes
from cli.output import (
    Columns,
    OutputTable,
    format_count,
    format_money,
    format_percent,
    format_points,
    print_json,
    printable,
)
from configs.rounding import round_parts

if TYPE_CHECKING:
    from serving.schemas.responses import Driver, Score, ScoreResponse
    from serving.scoring.batch import BatchScorer

MAX_SHOWN_ACCOUNTS = 10
DEFAULT_DRIVERS = 3
MIN_SHOWN_POINTS = 0.00005  # a signal with fewer points would be shown as 0.00
ADDS_UP = "The lines of an account add up to its risk; the base is that of an account of its segment without signals."
STEPS = 10_000  # risks and points are shown in hundredths of a percent
AS_OF = click.option("--as-of", type=DAY, help="The day to score; the newest published day by default.")


@click.command(short_help="Score accounts and record the risks in the ledger.")
@click.argument("accounts", type=ACCOUNT, nargs=-1)
@click.option("--all", "score_all", is_flag=True, help="Score all published accounts.")
@click.option(
    "--drivers",
    type=click.IntRange(min=0),
    default=DEFAULT_DRIVERS,
    show_default=True,
    help="How many drivers to name in each direction.",
)
@AS_OF
@click.option(
    "--output",
    help="With --all: a .parquet or .csv file, or postgresql://user@host/database/table; - reads it from standard"
    " input, so that no password is in the process list.",
)
@click.option("--field-map", type=FILE, help="With --output: a TOML file with the field names of another tool.")
@click.option("--dry-run", is_flag=True, help="With --output: show what would change there, and change nothing.")
@JSON
@click.pass_obj
def score(  # noqa: PLR0913, PLR0917 - a parameter per option
    context: CliContext,
    accounts: tuple[str, ...],
    score_all: bool,
    drivers: int,
    as_of: datetime | None,
    output: str | None,
    field_map: Path | None,
    dry_run: bool,
) -> None:
    """Score accounts, the highest risk first, and record every risk in the ledger.

    A past day is recomputed with today's model and recorded as such: no past answer, webhook or verdict changes.

    \b
    Example: oarlock score --all --json
    Example: oarlock score --all --output scores.csv --field-map configs/exports/customer_success.toml --dry-run
    """
    if bool(accounts) == score_all:
        raise click.UsageError("Name accounts, or pass --all.")
    if not (score_all and output) and (output or field_map or dry_run):
        raise click.UsageError("--output needs --all; --field-map and --dry-run need --output.")
    if output:
        export_scores(context, ExportOptions(output, field_map, dry_run, as_of, drivers))
        return
    max_accounts = MAX_SHOWN_ACCOUNTS if score_all and not context.as_json else None
    batch = _open_batch(context, accounts, as_of)
    response = _score(context, batch, drivers=drivers, max_accounts=max_accounts)
    show_notes(context, batch)
    if context.as_json:
        print_json({**response, "purpose": batch.purpose})
    elif response["scores"] or not response["not_scored"]:
        _show_scores(context, response, batch)
    _require_scores(response)


@click.command(short_help="Show what the risk of an account is made of.")
@click.argument("account", type=ACCOUNT)
@AS_OF
@JSON
@click.pass_obj
def explain(context: CliContext, account: str, as_of: datetime | None) -> None:
    """Show every family and signal that the risk of an account is made of.

    A past day is recomputed with today's model and recorded as such.

    \b
    Example: oarlock explain 1024
    """
    batch = _open_batch(context, [account], as_of).only_viewed()
    response = _score(context, batch)
    show_notes(context, batch)
    if context.as_json:
        print_json({**response, "purpose": batch.purpose})
    elif response["scores"]:
        show_explanation(context, response["scores"][0])
    _require_scores(response)


def _open_batch(context: CliContext, accounts: Sequence[str], as_of: datetime | None) -> "BatchScorer":
    from serving.gc_tuning import tune_garbage_collector
    from serving.scoring.batch import open_batch

    batch = open_batch(context.state, context.open_scorer(), accounts, as_of)
    tune_garbage_collector()
    return batch


def _score(
    context: CliContext, batch: "BatchScorer", *, drivers: int | None = None, max_accounts: int | None = None
) -> "ScoreResponse":
    """The accounts with the highest risks, all by default."""
    count = len(batch.account_ids)
    with context.progress("score") as progress:
        return batch.score_all(
            drivers,
            max_accounts=max_accounts,
            on_progress=lambda done: progress(f"{done:,} of {count:,} accounts", done, count),
        )


def _require_scores(response: "ScoreResponse") -> None:
    """Raise RequestError if no account has a risk."""
    from configs.errors import RequestError

    if response["scores"] or not response["not_scored"]:
        return
    first, *others = response["not_scored"]
    reason = first["reason"].replace("_", " ")
    more = f", nor have {len(others):,} others" if others else ""
    raise RequestError(
        f"{first['account_id']} has no risk{more}: {reason}.", "`oarlock score --all` lists the accounts that have one."
    )


def _show_scores(context: CliContext, response: "ScoreResponse", batch: "BatchScorer") -> None:
    from serving.pages.formats import name_currency

    scores, model, count = response["scores"], response["model"], len(batch.account_ids)
    horizon = model["horizon_days"] if model else context.settings.label.horizon_days
    hidden = count - len(scores) - len(response["not_scored"])
    shown = f"the {len(scores):,} highest of {count:,} accounts" if hidden else format_count(count, "account")
    title = f"Risk of churn within {horizon} days of {response['as_of'][:10]}, {shown}"
    currency = scores[0]["revenue"].get("currency") if scores else None
    amounts: Columns = {name_currency(label, currency): "number" for label in ("MRR", "revenue at risk")}
    columns: Columns = {"account": "id", "risk": "number", "band": "band", **amounts}
    table = OutputTable({**columns, "what adds up to the risk, in points": "text"}, title)
    families = len(batch.scorer.champions.champion().model.columns_by_family)
    for account in scores:
        revenue = [format_money(account["revenue"][key]) for key in ("mrr", "revenue_at_risk")]
        parts = "\n".join(f"{points:>6} {text}" for points, text in _list_parts(account, families))
        table.add(account["account_id"], format_percent(account["risk"], 2), account["band"], *revenue, parts)
    table.print(context)
    for account in response["not_scored"]:
        context.echo(f"{printable(account['account_id'])} has no risk: {account['reason'].replace('_', ' ')}.")
    if hidden:
        context.echo(f"{format_count(hidden, 'more account')}: --json lists all, --output writes them to a file.")
    context.echo(ADDS_UP)
    context.echo("Drivers are not causal: they say what a risk is made of, not what would change it.")


def _list_parts(account: "Score", families: int) -> list[tuple[str, str]]:
    """The base, the listed drivers and all others, in rounded points that add up to the rounded risk."""
    drivers = [*account["drivers"], *account["protective_drivers"]]
    others = format_count(families - len(drivers), "other family", "other families")
    parts = [account["base"], *(driver["points"] for driver in drivers), account["remaining_points"]]
    base, *points, remaining = _round_shares(parts, round(account["risk"] * STEPS))
    listed = [(_format_steps(steps), driver["text"]) for steps, driver in zip(points, drivers, strict=True)]
    return [
        (f"{base * 100 / STEPS:.2f}", "base"),
        *listed,
        *([(_format_steps(remaining), others)] if remaining else []),
    ]


def show_explanation(context: CliContext, account: "Score") -> None:
    """Show every family and signal of one scored account; what is printed adds up to the printed risk."""
    from features.signals.base import family_label

    risk, drivers = round(account["risk"] * STEPS), [*account["drivers"], *account["protective_drivers"]]
    title = f"{account['account_id']}: risk {risk * 100 / STEPS:.2f} % = the base + its families ({account['status']})"
    columns: Columns = {"points": "number", "family": "id", "signal": "text", "value": "number", "typical": "number"}
    table = OutputTable(columns, title)
    base, *points = _round_shares([account["base"], *(driver["points"] for driver in drivers)], risk)
    table.add(f"{base * 100 / STEPS:.2f}", "base", "", "", "", style="bold")
    for driver, steps in zip(drivers, points, strict=True):
        table.add(_format_steps(steps), family_label(driver["family"]), "", "", "", style="bold")
        _add_signals(table, driver, steps)
    table.add(f"{risk * 100 / STEPS:.2f}", "risk", "", "", "", style="bold")
    table.print(context)


def _add_signals(table: OutputTable, driver: "Driver", family_steps: int) -> None:
    """Add the signals of a family: those that say the same in one row, those that would be shown as 0.00 in another."""
    from serving.scoring.sentences import format_value, group_signals

    groups = [(members, sum(signal["points"] for signal in members)) for members in group_signals(driver["signals"])]
    shown = [(members, points) for members, points in groups if abs(points) >= MIN_SHOWN_POINTS]
    hidden = len(driver["signals"]) - sum(len(members) for members, _ in shown)
    remaining = driver["points"] - sum(points for _, points in shown)
    *steps, others = _round_shares([*(points for _, points in shown), remaining], family_steps)
    for (members, _), group_steps in zip(shown, steps, strict=True):
        signal = members[0]
        label = "; ".join([signal["label"], *(also["label"] for also in members[1:])])
        value, typical = (format_value(signal[key], signal["unit"]) for key in ("value", "typical"))
        table.add(_format_steps(group_steps), "", label, signal.get("absent", value), typical)
    if hidden or others:
        table.add(_format_steps(others), "", f"{hidden} more", "", "", style="dim")


def _round_shares(shares: Sequence[float], total: int) -> list[int]:
    """The shares in steps that add up to `total` steps."""
    return round_parts([share * STEPS for share in shares], total)


def _format_steps(steps: int) -> str:
    return format_points(steps / STEPS)
