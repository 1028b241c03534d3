"""The command that does all the work of a day as one job."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from cli.context import DAY, JSON, CliContext
from cli.output import OutputTable, print_json
from monitoring.daily.step_names import STEPS, StepName

if TYPE_CHECKING:
    from monitoring.daily.day_record import DayRecord
    from monitoring.daily.day_runner import DayResult

JOB = "the daily job"


@click.group(short_help="Do all the work of a day as one job.")
def run() -> None:
    """Do all the work of a day as one job, for cron, a systemd timer or another scheduler.

    \b
    Example: oarlock run daily
    """


@run.command()
@click.option("--as-of", type=DAY, help="The day; today by default, or the last day of a finished data set.")
@click.option("--from-step", type=click.Choice(STEPS), help="Do this step and all later ones again.")
@JSON
@click.pass_obj
def daily(context: CliContext, as_of: datetime | None, from_step: StepName | None) -> None:
    """Validate, publish, score, export, send webhooks and monitor, each step once a day.

    A job that was stopped or failed goes on with the first step that is not done. Two jobs never overlap: the second
    one exits with 7. A step that fails stops the steps that need it; the job ends with the exit code of the first
    failure, and with 0 whatever the verdict of monitoring.

    \b
    Example: oarlock run daily
             oarlock run daily --as-of 2026-07-01 --from-step score
    """
    from cli.operations.daily_steps import daily_steps
    from configs.clock import now
    from configs.files import exclusive_lock
    from monitoring.daily.day_metrics import write_day_metrics
    from monitoring.daily.day_record import is_newest_day
    from monitoring.daily.day_runner import open_day, run_day
    from serving.ledger.database import exclusive_work

    # The file excludes processes of this machine, the database those of others.
    lock = exclusive_lock(context.state.daily_lock, f"running {JOB} in")
    with lock, exclusive_work(context.database, f"{JOB} of {context.settings.name}"):
        record = open_day(context.state, as_of or context.today, from_step)
        result = run_day(context.state, record, daily_steps(context), now)
        if is_newest_day(context.state, record.day):
            write_day_metrics(context.settings.daily.metrics or context.state.daily_metrics, result.record)
    _show(context, result)
    if result.error:
        raise result.error


def _show(context: CliContext, result: "DayResult") -> None:
    from monitoring.daily.day_record import describe_day

    if context.as_json:
        print_json({**describe_day(result.record), "ran": list(result.ran)})
        return
    table = OutputTable({"step": "id", "outcome": "text", "seconds": "number", "result": "text"}, _title(result.record))
    for name in STEPS:
        step = result.record.step(name)
        outcome = f"{step.outcome} before" if step.is_complete and name not in result.ran else step.outcome
        table.add(name, outcome, f"{step.seconds:.1f}", step.detail)
    table.print(context)


def _title(record: "DayRecord") -> str:
    return f"The daily job of {record.day:%Y-%m-%d}"
