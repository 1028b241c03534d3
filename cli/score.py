"""Commands for accounts: score them, and explain what a risk is made of."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import ACCOUNT, DAY, FILE, JSON, CliContext
from cli.export import ExportOptions, export_scores, show_if_recomputed
from cli.output import (
    Columns,
    OutputTable,
    format_count,
    format_money,
    format_percent,
    format_points,
    print_json,
    printable,
    round_share,
    round_to_total,
)

if TYPE_CHECKING:
    from serving.schemas.responses import Driver, Score, ScoreResponse
    from serving.scoring.batch import BatchScorer

MAX_SHOWN_ACCOUNTS = 10
DEFAULT_DRIVERS = 3
MIN_SHOWN_POINTS = 0.00005  # a signal with fewer points would be shown as 0.00
ADDS_UP = "The lines of an account add up to its risk; the base is that of an account of its segment without signals."
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
@click.option("--output", help="With --all: a .parquet or .csv file, or postgresql://user@host/database/table.")
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
    show_if_recomputed(context, batch)
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
    show_if_recomputed(context, batch)
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
    scores, model, count = response["scores"], response["model"], len(batch.account_ids)
    horizon = model["horizon_days"] if model else context.settings.label.horizon_days
    hidden = count - len(scores) - len(response["not_scored"])
    shown = f"the {len(scores):,} highest of {count:,} accounts" if hidden else format_count(count, "account")
    title = f"Risk of churn within {horizon} days of {response['as_of'][:10]}, {shown}"
    columns: Columns = {"account": "id", "risk": "number", "band": "band", "MRR": "number", "revenue at risk": "number"}
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
    base = round_share(account["base"])
    points = round_to_total(
        [*(driver["points"] for driver in drivers), account["remaining_points"]], round_share(account["risk"]) - base
    )
    listed = [(format_points(share), driver["text"]) for share, driver in zip(points, drivers, strict=False)]
    remaining = [(format_points(points[-1]), others)] if points[-1] else []
    return [(f"{base * 100:.2f}", "base"), *listed, *remaining]


def show_explanation(context: CliContext, account: "Score") -> None:
    """Show every family and signal of one scored account; what is printed adds up to the printed risk."""
    from features.signals.base import family_label

    risk, base = round_share(account["risk"]), round_share(account["base"])
    drivers = [*account["drivers"], *account["protective_drivers"]]
    title = f"{account['account_id']}: risk {format_percent(risk, 2)} = the base + its families ({account['status']})"
    columns: Columns = {"points": "number", "family": "id", "signal": "text", "value": "number", "typical": "number"}
    table = OutputTable(columns, title)
    table.add(f"{base * 100:.2f}", "base", "", "", "", style="bold")
    points = round_to_total([driver["points"] for driver in drivers], risk - base)
    for driver, family_points in zip(drivers, points, strict=True):
        table.add(format_points(family_points), family_label(driver["family"]), "", "", "", style="bold")
        _add_signals(table, driver, family_points)
    table.add(f"{risk * 100:.2f}", "risk", "", "", "", style="bold")
    table.print(context)


def _add_signals(table: OutputTable, driver: "Driver", family_points: float) -> None:
    """Add the signals of a family; those that would be shown as 0.00 are summed up."""
    from serving.scoring.driver_text import format_value

    shown = [signal for signal in driver["signals"] if abs(signal["points"]) >= MIN_SHOWN_POINTS]
    hidden = len(driver["signals"]) - len(shown)
    remaining = driver["points"] - sum(signal["points"] for signal in shown)
    points = round_to_total([*(signal["points"] for signal in shown), *([remaining] * bool(hidden))], family_points)
    for signal, share in zip(shown, points, strict=False):
        values = [format_value(signal[key], signal["unit"]) for key in ("value", "typical")]
        table.add(format_points(share), "", signal["label"], *values)
    if hidden:
        table.add(format_points(points[-1]), "", f"{hidden} more", "", "", style="dim")
