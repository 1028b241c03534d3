"""The command that shows a health score weighted by hand, for as long as there is no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import FILE, JSON, CliContext
from cli.output import Columns, OutputTable, format_count, print_json

if TYPE_CHECKING:
    from features.health_score.health_score import AccountHealth
    from features.health_score.parts import HealthPart

MAX_SHOWN = 20
ABOUT = (
    "A health score weighted by hand, from 0 (worst) to 100. It is not a risk: nothing was learned from who left, and"
    " no share of the accounts leaves at any score."
)


@dataclass(frozen=True)
class HealthScoreReport:
    """The health of the accounts of a day, the parts that some account has, and the parts whose data are missing."""

    as_of: datetime
    file: Path
    parts: "Sequence[HealthPart]"
    left_out: "Sequence[HealthPart]"
    accounts: "Sequence[AccountHealth]"


@click.command(name="health-score", short_help="Show a health score weighted by hand; not a risk.")
@click.option("--output", type=FILE, help="Write all accounts to this .csv file.")
@JSON
@click.pass_obj
def health_score(context: CliContext, output: Path | None) -> None:
    """Show the health score of the accounts of the published day, the lowest first, with the parts that add up to it.

    The weights are in the file that the setting `health_parts` names. It is not a risk: no page, export or endpoint
    serves it.

    \b
    Example: oarlock health-score
    Example: oarlock health-score --output health.csv
    """
    report = measure_health(context)
    if output:
        write_health(report, output)
    if context.as_json:
        print_json(_to_json(report))
        return
    show_health(context, report)
    if output:
        context.echo(f"Wrote {format_count(len(report.accounts), 'account')} to {output}.")


def measure_health(context: CliContext) -> HealthScoreReport:
    """The health of every account of the published day. Raises ConfigError, NotReady."""
    from features.health_score.health_score import score_accounts
    from features.health_score.parts import read_health_parts
    from features.own_signals.own_catalogue import open_catalogue
    from features.store.history import published_day
    from features.store.history_reader import read_history_columns

    signals = {signal.name: signal for signal in open_catalogue(context.settings, context.state).signals}
    file = context.settings.health_parts
    parts = read_health_parts(file, signals)
    history, as_of = published_day(context.state)
    rows = read_history_columns(history.folder, as_of, [part.signal for part in parts.part])
    families = {part.signal: signals[part.signal].family for part in parts.part}
    accounts = score_accounts(rows, parts, families)
    used = {name for account in accounts for name in account.points}
    return HealthScoreReport(
        as_of,
        file,
        [part for part in parts.part if part.name in used],
        [part for part in parts.part if part.name not in used],
        accounts,
    )


def write_health(report: HealthScoreReport, output: Path) -> None:
    """Write all accounts as CSV: account_id, health_score, and a column per part; empty is not known."""
    from configs.files import atomic_write
    from serving.pages.csv_text import write_csv

    columns = ["account_id", "health_score", *(part.name for part in report.parts)]
    rows = [{"account_id": a.account_id, "health_score": a.score, **a.points} for a in report.accounts]
    with atomic_write(output) as temporary:
        temporary.write_text(write_csv(columns, rows), "utf-8")


def show_health(context: CliContext, report: HealthScoreReport) -> None:
    """Print the lowest scores with their parts, and what is missing."""
    context.echo(ABOUT)
    scored = [account for account in report.accounts if account.score is not None]
    numbers: Columns = dict.fromkeys(("health score", *(part.name for part in report.parts)), "number")
    table = OutputTable({"account": "id", **numbers})
    for account in scored[:MAX_SHOWN]:
        points = [str(account.points.get(part.name, "")) for part in report.parts]
        table.add(account.account_id, str(account.score), *points)
    if scored:
        table.print(context)
    for part in report.parts:
        context.echo(f"{part.name}: {part.label}, 0 at {part.worst:g}, {part.weight:g} of the weight at {part.best:g}.")
    if report.left_out:
        context.echo(f"Left out, because no account has them: {', '.join(part.name for part in report.left_out)}.")
    unknown = len(report.accounts) - len(scored)
    if unknown:
        context.echo(f"{format_count(unknown, 'account')} without a score: too little is known of them.")
    shown = f"the lowest {MAX_SHOWN} of " if len(scored) > MAX_SHOWN else ""
    context.echo(
        f"As of {report.as_of:%Y-%m-%d}: {shown}{format_count(len(scored), 'account')}. Weights: {report.file}."
    )


def _to_json(report: HealthScoreReport) -> dict[str, object]:
    return {
        "about": ABOUT,
        "is_risk": False,
        "as_of": report.as_of,
        "weights": str(report.file),
        "parts": [part.model_dump() for part in report.parts],
        "left_out": [part.name for part in report.left_out],
        "accounts": [
            {"account_id": a.account_id, "health_score": a.score, "parts": dict(a.points)} for a in report.accounts
        ],
    }
