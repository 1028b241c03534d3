"""Commands for accounts: score them, and explain what a risk is made of."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import ACCOUNT, DAY, FILE, JSON, CliContext
from cli.export import ExportOptions, export_scores, show_if_recomputed
from cli.output import Columns, OutputTable, format_money, format_percent, format_points, print_json, printable

if TYPE_CHECKING:
    from serving.schemas.responses import Score, ScoreResponse
    from serving.scoring.batch import BatchScorer

MAX_SHOWN_ACCOUNTS = 10
DEFAULT_DRIVERS = 3
MIN_SHOWN_POINTS = 0.00005  # a signal with fewer points would be shown as 0.00
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
        _show_scores(context, response, len(batch.account_ids))
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


def _show_scores(context: CliContext, response: "ScoreResponse", count: int) -> None:
    scores, model = response["scores"], response["model"]
    horizon = model["horizon_days"] if model else context.settings.label.horizon_days
    title = f"Risk of churn within {horizon} days of {response['as_of'][:10]}, {len(scores):,} of {count:,} accounts"
    columns: Columns = {"account": "id", "risk": "number", "band": "band", "MRR": "number", "revenue at risk": "number"}
    table = OutputTable({**columns, "points of the main drivers": "text"}, title)
    for account in scores:
        drivers = "\n".join(f"{format_points(driver['points'])} {driver['text']}" for driver in account["drivers"])
        revenue = [format_money(account["revenue"][key]) for key in ("mrr", "revenue_at_risk")]
        table.add(account["account_id"], format_percent(account["risk"], 1), account["band"], *revenue, drivers)
    table.print(context)
    for account in response["not_scored"]:
        context.echo(f"{printable(account['account_id'])} has no risk: {account['reason'].replace('_', ' ')}.")
    if scores:
        context.echo(f"The base is {format_percent(scores[0]['base'], 1)}; the base and all points add up to the risk.")
    context.echo("Drivers are not causal: they say what a risk is made of, not what would change it.")


def show_explanation(context: CliContext, account: "Score") -> None:
    """Show every family and signal of one scored account; signals that round to zero are summed up."""
    from serving.scoring.driver_text import format_value

    risk, base = (format_percent(account[key], 1) for key in ("risk", "base"))
    title = f"{account['account_id']}: risk {risk} = base {base} + the points of its families ({account['status']})"
    columns: Columns = {"points": "number", "family": "id", "signal": "text", "value": "number", "typical": "number"}
    table = OutputTable(columns, title)
    for driver in [*account["drivers"], *account["protective_drivers"]]:
        table.add(format_points(driver["points"]), driver["family"], "", "", "", style="bold")
        shown = [signal for signal in driver["signals"] if abs(signal["points"]) >= MIN_SHOWN_POINTS]
        for signal in shown:
            values = [format_value(signal[key], signal["unit"]) for key in ("value", "typical")]
            table.add(format_points(signal["points"]), "", signal["label"], *values)
        if hidden := len(driver["signals"]) - len(shown):
            remaining = driver["points"] - sum(signal["points"] for signal in shown)
            table.add(format_points(remaining), "", f"{hidden} more", "", "", style="dim")
    table.print(context)
