"""The command that writes a simulated company."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import FILE, CliContext

if TYPE_CHECKING:
    from configs.files import JsonObject


@click.command(short_help="Write a simulated company and its true risks.")
@click.option("--accounts", type=int, help="How many accounts ever exist.")
@click.option("--months", type=int, help="How many months to simulate.")
@click.option("--seed", type=int, help="The random seed; equal seeds give equal bytes.")
@click.option("--output", type=FILE, help="The folder to write to; it must be empty.")
@click.pass_obj
def simulate(
    context: CliContext, accounts: int | None, months: int | None, seed: int | None, output: Path | None
) -> None:
    """Write a simulated company: every raw table, and the true risk of each account.

    The data set of the settings gives the default of each option, and the day on which the history ends.

    \b
    Example: oarlock simulate --accounts 5000 --months 24 --seed 1 --output company
    """
    from features.simulator.model.parameters import Company, end_on
    from features.simulator.writer import write_company
    from features.tables.mapping import read_mapping

    mapping, folder = read_mapping(context.settings.data)
    defaults = mapping.simulated.model_dump() if mapping.simulated else {}
    chosen = {"accounts": accounts, "months": months, "seed": seed}
    parameters: JsonObject = defaults | {name: value for name, value in chosen.items() if value is not None}
    company = end_on(Company(**parameters), mapping.observed_until)
    output = output or (folder if defaults else Path("company"))
    with context.progress("simulate") as progress:
        workers = context.settings.training.threads
        rows = write_company(company, output, workers=workers, progress=lambda done, of: progress("shards", done, of))
    context.echo(f"{output.resolve()}: {rows['accounts']:,} simulated accounts, {rows['usage']:,} rows of usage.")
    if mapping.observed_from and mapping.observed_from.date() != company.start:
        context.echo(f"Its history begins on {company.start}: set observed_from to that day in its mapping.")
