"""The commands that list the signals, and try your own."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import FILE, JSON, CliContext
from cli.output import OutputTable, print_json

if TYPE_CHECKING:
    from features.own_signals.trial_engines import EngineKind


@click.group(invoke_without_command=True, short_help="List the signals and their coverage, or test yours.")
@click.option("--html", type=FILE, help="Write them as a page with search to this file.")
@click.option("--markdown", type=FILE, help="Write them as Markdown to this file.")
@JSON
@click.pass_context
def signals(command: click.Context, html: Path | None, markdown: Path | None) -> None:
    """List every signal with its family, its meaning, and the share of accounts that have a value.

    \b
    Example: oarlock signals --html signals.html
    """
    if command.invoked_subcommand is None:
        _list_signals(command.obj, html, markdown)


@signals.command()
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "spark"]),
    default="duckdb",
    help="Where to try them; spark is on this machine, and also says what differs from duckdb.",
)
@JSON
@click.pass_obj
def test(context: CliContext, engine: "EngineKind") -> None:
    """Try your own signals on generated tables, and say in one sentence what one does wrong.

    A signal may use nothing at or after the day, no row of another account, no order of rows, and no fixed date.

    \b
    Example: oarlock signals test
    """
    from features.own_signals.own_catalogue import open_catalogue, own_signals_of
    from features.own_signals.signal_trials import raise_for_faults, try_signals
    from features.tables.mapping import company_contract

    settings = context.settings
    contract = company_contract(settings.data, settings.signals)
    with context.progress("signals") as progress:
        progress("trying", 0, 1)
        result = try_signals(*own_signals_of(open_catalogue(settings, context.state)), contract, engine)
    if context.as_json:
        print_json(asdict(result))
    else:
        for fault in result.faults:
            context.echo(fault.sentence)
        if result.empty:
            context.echo(f"Without a value on the generated tables, so not tried: {', '.join(result.empty)}.")
    raise_for_faults(result)
    if not context.as_json:
        context.echo(f"{len(result.signals) - len(result.empty)} of your {len(result.signals)} signals hold.")


def _list_signals(context: CliContext, html: Path | None, markdown: Path | None) -> None:
    from configs.files import atomic_write
    from features.own_signals.own_catalogue import open_catalogue
    from features.reports.dictionary import dictionary_entries, render_html, render_markdown

    declared = open_catalogue(context.settings, context.state).signals
    coverage = _published_coverage(context)
    for file, render in ((html, render_html), (markdown, render_markdown)):
        if file:
            with atomic_write(file) as temporary:
                temporary.write_text(render(declared, coverage), "utf-8")
            context.echo(f"{file.resolve()}: {len(declared)} signals.")
    by_family = dictionary_entries(declared, coverage)
    if context.as_json:
        print_json({family: [asdict(signal) for signal in members] for family, members in by_family.items()})
    elif not (html or markdown):
        table = OutputTable({"signal": "id", "coverage": "number", "meaning": "text"})
        for family, members in by_family.items():
            table.add(family, "", "", style="bold")
            for signal in members:
                table.add(signal.name, signal.coverage, signal.sentence)
        table.print(context)


def _published_coverage(context: CliContext) -> dict[str, float] | None:
    """The share of the newest published snapshots that have a value of each signal; None if nothing is published."""
    from configs.errors import NotReady
    from features.own_signals.own_catalogue import open_catalogue
    from features.store.history import published_history, read_day

    try:
        history_version, as_of = published_history(
            context.state, open_catalogue(context.settings, context.state).signals
        )
    except NotReady:
        return None
    return {name: 1 - missing for name, missing in read_day(history_version, as_of).missing.items()}
