"""The command line: `oarlock COMMAND`. The commands are in `cli/`; here logging is set up and errors become exit codes.

Exit codes: 0 done, 2 settings, mapping or command line, 3 data, 4 nothing to learn from, 5 not ready, 6 promotion
refused, 7 another process does the same work, 8 not the same, 9 request that cannot be answered, 13 disk full,
19 and 20 warnings and faults of `doctor`, 130 stopped by Ctrl-C. `monitor` exits with 0 for ok, and with 10, 11, 12,
14, 15 or 16 by verdict.
"""

import gc
import logging
import os
import sys
from pathlib import Path

import click

from cli.context import CliContext
from cli.data.publish import history, publish
from cli.data.signals import signals
from cli.data.simulate import simulate
from cli.data.validate import validate
from cli.export import export_outcomes, export_targets
from cli.health_score import health_score
from cli.keys import keys
from cli.ledger import erase, ledger
from cli.models import model_card, models, promote, rollback, set_bands
from cli.monitoring.monitor import monitor
from cli.monitoring.webhooks import webhooks
from cli.operations.audit import audit
from cli.operations.backup import backup, restore
from cli.operations.doctor import doctor
from cli.operations.run import run
from cli.operations.upgrade import upgrade
from cli.output import printable
from cli.reports.report import report
from cli.reports.verify import verify
from cli.score import explain, score
from cli.serve import serve
from cli.setup.init import init
from cli.setup.quickstart import quickstart
from cli.shadow import shadow
from cli.train import compare, recalibrate, reproduce, train

DEFAULT_CONFIG = Path("configs/oarlock.toml")
UMASK = 0o077
PAGES = "http://127.0.0.1:3000"
INTERRUPTED = 130
GARBAGE_THRESHOLD = 50_000  # objects: looking for garbage while modules are imported is a sixth of a short command
NO_TELEMETRY = {
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class CommandGroup(click.Group):
    """The commands; an error of the file system, or of a library that reads files or asks servers, is explained."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; raises OarlockError for a full disk, and for a file or a server that cannot be used."""
        from configs.servers.faults import explain_server_error
        from configs.stored_files import explain_storage_error, storage_error_types

        try:
            return super().invoke(ctx)
        except storage_error_types() as error:
            context: CliContext = ctx.obj
            explained = explain_storage_error(error) or explain_server_error(error) or context.find_unreadable_file()
            if explained is None:
                raise
            raise explained from error


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=DEFAULT_CONFIG,
    envvar="OARLOCK_CONFIG",
    show_default=True,
    help="The settings file.",
)
@click.version_option(package_name="oarlock", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, config: Path) -> None:
    """Churn risk per account, with drivers that add up exactly to the risk."""
    os.environ.update(NO_TELEMETRY)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # The frameworks warn of each other's deprecated names, and reset any filter set before they are imported.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.ERROR)
    context.obj = CliContext(config)


@click.command(short_help="Run everything once: simulate, publish, train, score.")
@click.pass_context
def demo(context: click.Context) -> None:
    """Run everything once: simulate a company (if the data set is simulated), validate, publish, train, promote, score.

    \b
    Example: oarlock demo
    """
    from features.tables.mapping import read_mapping

    oarlock: CliContext = context.obj
    steps = (validate, publish, train, promote)
    if read_mapping(oarlock.settings.data)[0].simulated:
        steps = (simulate, *steps)
    for command in steps:
        oarlock.echo(click.style(f"\n$ oarlock {command.name}", bold=True))
        context.invoke(command)
    oarlock.echo(click.style("\n$ oarlock score --all", bold=True))
    context.invoke(score, score_all=True)
    config = "" if oarlock.config == DEFAULT_CONFIG else f" --config {oarlock.config}"
    oarlock.echo(f"\nExplain an account:  oarlock{config} explain ACCOUNT")
    oarlock.echo(f"Start the service:   oarlock{config} serve, with pages at {PAGES}")


COMMANDS = (
    *(init, quickstart, demo, simulate, validate, signals, publish, history, health_score),
    *(train, compare, promote, rollback, models, model_card, reproduce, recalibrate, set_bands, monitor, shadow),
    *(score, explain, report, verify, export_outcomes, export_targets),
    *(run, doctor, backup, restore, upgrade, serve, ledger, erase, webhooks, keys, audit),
)


def _use_config(context: click.Context, _: click.Parameter, config: Path | None) -> None:
    if config is not None:
        context.obj.config = config


def _accept_config(command: click.Command) -> None:
    """Let `--config` stand after the command as well as before it."""
    for subcommand in command.commands.values() if isinstance(command, click.Group) else ():
        _accept_config(subcommand)
    option = click.Option(
        ["--config"], type=click.Path(path_type=Path), expose_value=False, callback=_use_config, hidden=True
    )
    command.params.append(option)


for command in COMMANDS:
    _accept_config(command)
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; an error is one sentence on standard error and its exit code."""
    from configs.errors import OarlockError

    gc.set_threshold(GARBAGE_THRESHOLD)
    os.umask(UMASK)  # what is written holds accounts, also what the frameworks write
    try:
        sys.exit(cli(arguments, prog_name="oarlock", standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OarlockError as error:
        click.echo(f"oarlock: {printable(str(error))}", err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        _exit_interrupted()
    except RuntimeError as error:  # DuckDB raises one for a Ctrl-C that arrives during a query
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        _exit_interrupted()


def _exit_interrupted() -> None:
    click.echo("oarlock: Stopped. Nothing is half-written: run the command again.", err=True)
    sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
