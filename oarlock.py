"""The front door: the one place that sets up logging and exits; its verbs stand in `commands/`.

Exit codes: 0 done, 2 settings or mapping, 3 data, 4 nothing to learn, 5 not ready, 6 promotion refused, 7 another
process is at the same work, 8 not reproduced, 9 what was asked cannot be answered, 130 stopped by Ctrl-C; `monitor`
exits with 0 ok, 10 watch, 11 retrain.
"""

import logging
import os
import sys
from pathlib import Path

import click

from cli.context import Oarlock
from cli.data import check, history, publish, signals, simulate
from cli.keys import audit, keys
from cli.ledger import forget, ledger
from cli.models import card, models, promote, rebands, rollback
from cli.monitor import monitor
from cli.score import explain, outcomes, score
from cli.serve import serve
from cli.train import duel, recalibrate, reproduce, train
from cli.webhooks import webhooks

QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
STOPPED = 130
VERBS = (
    *(simulate, check, signals, publish, history),
    *(train, duel, promote, rollback, models, card, reproduce, recalibrate, rebands, monitor),
    *(score, explain, outcomes),
    *(serve, ledger, forget, webhooks, keys, audit),
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("configs/oarlock.toml"),
    envvar="OARLOCK_CONFIG",
    show_default=True,
    help="The settings file.",
)
@click.pass_context
def cli(context: click.Context, config: Path) -> None:
    """Churn risk per account, with drivers that add up exactly to the risk."""
    os.environ.update(QUIET)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # The frameworks warn of each other's deprecated names, and reset any filter set before they are imported.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
    context.obj = Oarlock(config)


@cli.command()
@click.pass_context
def demo(context: click.Context) -> None:
    """Do the whole line once: simulate where the data set is simulated, check, publish, train, promote, score.

    \b
    Example: oarlock demo
    """
    from features.tables.mapping import read_mapped

    oarlock: Oarlock = context.obj
    steps = (check, publish, train, promote)
    if read_mapped(oarlock.settings.data)[0].simulated:
        steps = (simulate, *steps)
    for command in steps:
        oarlock.console.rule(f"oarlock {command.name}")
        context.invoke(command)
    oarlock.console.rule("oarlock score --all")
    context.invoke(score, everyone=True)
    config = "" if oarlock.config == Path("configs/oarlock.toml") else f" --config {oarlock.config}"
    oarlock.console.print(f"\nAsk why:            .venv/bin/oarlock{config} explain ACCOUNT")
    oarlock.console.print(f"Start the service:  .venv/bin/oarlock{config} serve")


for verb in VERBS:
    cli.add_command(verb)


def main(words: list[str] | None = None) -> None:
    """Run a command; a refusal is one sentence on standard error and its documented exit code."""
    from configs.errors import OarlockError

    try:
        sys.exit(cli(words, prog_name="oarlock", standalone_mode=False))
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except OarlockError as problem:
        click.echo(f"oarlock: {problem}", err=True)
        sys.exit(problem.exit_code)
    except click.Abort:
        _stop()
    except RuntimeError as problem:  # DuckDB makes one of a Ctrl-C that finds it in a query
        if not isinstance(problem.__cause__, KeyboardInterrupt):
            raise
        _stop()


def _stop() -> None:
    click.echo("oarlock: Stopped. Nothing is half-written: run the command again.", err=True)
    sys.exit(STOPPED)


if __name__ == "__main__":
    main()
