"""The command that goes from a folder of files to the first scores, with one report at the end."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import CliContext
from cli.data import publish, validate
from cli.models import promote
from cli.output import format_count
from cli.score import score
from cli.setup.init import (
    ANSWERS,
    FOLDER,
    FORCE,
    FROM,
    MAPPING,
    MATCH,
    OUTPUT,
    PASSWORD,
    YES,
    DraftOptions,
    default_output,
    find_settings_file,
    to_origin,
    write_draft,
)
from cli.train import train

if TYPE_CHECKING:
    from features.drafting.draft import Draft

SECONDS = 60


@click.command(short_help="From a folder or a database to the first scores.")
@FOLDER
@OUTPUT
@PASSWORD
@YES
@ANSWERS
@FROM
@MATCH
@FORCE
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
) -> None:
    """Draft a mapping (as `oarlock init` does), validate, publish, train, promote and score.

    A mapping that is in the folder already is used as it is, unless --force is passed.

    \b
    Example: oarlock quickstart data --yes
    Example: oarlock quickstart data --from stripe,zendesk --yes
    """
    context: CliContext = command.obj
    origin, begin = to_origin(folder, password_env), time.monotonic()
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
    for step in (validate, publish):
        _announce(context, str(step.name))
        command.invoke(step)
    _train(command, draft)
    for step in (promote,):
        _announce(context, str(step.name))
        command.invoke(step)
    _announce(context, "score --all")
    command.invoke(score, score_all=True)
    _report(context, draft, time.monotonic() - begin)


def _announce(context: CliContext, words: str) -> None:
    context.echo(click.style(f"\n$ oarlock {words}", bold=True))


def _train(command: click.Context, draft: "Draft | None") -> None:
    """Train; if there is too little to learn from, say how many accounts left, and which horizon would do."""
    from configs.errors import NothingToLearn

    _announce(command.obj, "train")
    try:
        command.invoke(train)
    except NothingToLearn as error:
        if draft is None or not draft.proposal.problem:
            raise
        raise NothingToLearn(error.message, f"{draft.proposal.problem} {error.hint}") from None


def _report(context: CliContext, draft: "Draft | None", seconds: float) -> None:
    champion = context.registry.champion()
    answers = draft.decisions.answers if draft else []
    assumed = [answer for answer in answers if answer.is_assumed]
    minutes, rest_seconds = divmod(round(seconds), SECONDS)
    config = context.config
    context.echo(click.style("\nReport", bold=True))
    context.echo(f"From the files to these scores: {minutes} min {rest_seconds} s. Version {champion.number} answers.")
    if draft:
        notes = format_count(len(draft.decisions.notes), "note")
        context.echo(f"{notes}, and {format_count(len(assumed), 'assumption')} that can change the numbers:")
        for answer in assumed:
            context.echo(f"- {answer}")
    context.echo(
        f"Check the comments in {config.parent / MAPPING}, then run quickstart again: finished work is reused."
    )
    context.echo(f"Explain an account:  oarlock --config {config} explain ACCOUNT")
    context.echo(f"Start the service:   oarlock --config {config} serve")
