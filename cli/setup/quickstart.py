"""The command that goes from a folder of files to the first scores, with one report at the end."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import CliContext
from cli.data.publish import publish
from cli.data.validate import validate
from cli.health_score import measure_health, show_health, write_health
from cli.models import promote
from cli.output import Columns, OutputTable, format_count
from cli.score import score
from cli.setup.init import (
    MAPPING,
    DraftOptions,
    default_output,
    draft_options,
    find_settings_file,
    to_origin,
    write_draft,
)
from cli.train import train

if TYPE_CHECKING:
    from features.drafting.draft import Draft

SECONDS = 60
HEALTH_FILE = "health.csv"
HORIZON_COLUMNS: Columns = dict.fromkeys(
    ("horizon", "snapshots", "accounts that left", "churned, fit", "churned, calibration"), "number"
)


@click.command(short_help="From a folder or a database to the first scores.")
@draft_options
@click.pass_context
def quickstart(  # noqa: PLR0913 - a parameter per option
    command: click.Context,
    folder: Path | str,
    output: Path | None,
    *,
    vendors: str | None,
    matches: tuple[str, ...],
    answers: tuple[str, ...],
    yes: bool,
    force: bool,
    password_env: str | None,
    endpoint: str | None,
) -> None:
    """Draft a mapping (as `oarlock init` does), validate, publish, train, promote and score.

    A mapping that is in the folder already is used as it is, unless --force is passed.

    \b
    Example: oarlock quickstart data --yes
    Example: oarlock quickstart data --from stripe,zendesk --yes
    """
    from features.drafting.mapping_file import read_assumptions

    context: CliContext = command.obj
    origin, begin = to_origin(folder, password_env, endpoint), time.monotonic()
    options = DraftOptions(yes, answers, force, vendors=vendors, matches=matches)
    output = output or default_output(origin)
    draft = None
    if force or not (output / MAPPING).exists():
        _announce(context, f"init {folder}")
        draft = write_draft(context, origin, output, options)
    else:
        settings_file = find_settings_file(origin, output)
        context.use_config(settings_file)
        context.echo(f"Used: {output / MAPPING} and {settings_file}, which an earlier run or you wrote.")
        _show_assumptions(context, read_assumptions((output / MAPPING).read_text("utf-8")))
    for step in (validate, publish):
        _announce(context, str(step.name))
        command.invoke(step)
    _train(command)
    for step in (promote,):
        _announce(context, str(step.name))
        command.invoke(step)
    _announce(context, "score --all")
    command.invoke(score, score_all=True)
    _report(context, draft, time.monotonic() - begin)


def _announce(context: CliContext, words: str) -> None:
    context.echo(click.style(f"\n$ oarlock {words}", bold=True))


def _train(command: click.Context) -> None:
    """Train; if there is too little to learn from, say how many accounts left, and which horizon would do.

    Until there is a model, the accounts get a health score, in a file beside the settings.
    """
    from configs.errors import NothingToLearn

    context: CliContext = command.obj
    _announce(context, "train")
    try:
        command.invoke(train)
    except NothingToLearn as error:
        counted = _show_horizons(context)
        _announce(context, "health-score")
        report, file = measure_health(context), context.config.parent / HEALTH_FILE
        show_health(context, report)
        write_health(report, file)
        hint = f"{counted} Meanwhile {file} has a health score, which is not a risk."
        raise NothingToLearn(error.message, hint) from None


def _show_horizons(context: CliContext) -> str:
    """Print how many accounts left within each horizon; gives which one would do."""
    from training.data.horizon_counts import count_by_horizon

    with context.progress("horizons") as progress:
        progress("counting who left", 0, 1)
        counts = count_by_horizon(context.settings, context.state, context.known_until)
    needed = context.settings.training.min_churned
    table = OutputTable(HORIZON_COLUMNS)
    for count in counts:
        groups = [
            "too few days" if churned is None else f"{churned:,}"
            for churned in (count.fit_churned, count.calibration_churned)
        ]
        table.add(f"{count.horizon_days} days", f"{count.snapshots:,}", f"{count.churned_accounts:,}", *groups)
    table.print(context)
    context.echo(f"On the days of the fit, and on those of the calibration, {needed} snapshots have to churn.")
    if enough := next((count for count in counts if count.is_enough), None):
        return f"label.horizon_days = {enough.horizon_days} would do."
    days = ", ".join(str(count.horizon_days) for count in counts)
    return (
        f"No horizon of {days} days would do: bring a longer history, or more accounts, or adopt another company's"
        " model (`oarlock models adopt`)."
    )


def _report(context: CliContext, draft: "Draft | None", seconds: float) -> None:
    champion = context.registry.champion()
    minutes, rest_seconds = divmod(round(seconds), SECONDS)
    config = context.config
    context.echo(click.style("\nReport", bold=True))
    context.echo(f"From the files to these scores: {minutes} min {rest_seconds} s. Version {champion.number} answers.")
    if draft:
        context.echo(format_count(len(draft.decisions.notes), "note") + ".")
        _show_assumptions(context, [str(answer) for answer in draft.decisions.answers if answer.is_assumed])
    context.echo(
        f"Check the comments in {config.parent / MAPPING}, then run quickstart again: finished work is reused."
    )
    context.echo(f"Explain an account:  oarlock --config {config} explain ACCOUNT")
    context.echo(f"Start the service:   oarlock --config {config} serve")


def _show_assumptions(context: CliContext, assumptions: Sequence[str]) -> None:
    context.echo(f"{format_count(len(assumptions), 'assumption')} that can change the numbers:")
    for assumption in assumptions:
        context.echo(f"- {assumption}")
