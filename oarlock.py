"""The front door: one command per verb, and the only place that prints, sets up logging and exits.

Exit codes: 0 done, 2 settings or mapping, 3 data, 4 nothing to learn, 5 not ready, 6 promotion refused; `monitor` exits
with 0 ok, 10 watch, 11 retrain.
"""

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from configs.settings import Settings
    from configs.state import State

QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
SHOWN_ACCOUNTS = 10
SHOWN_DRIVERS = 3
COMPARED_ACCOUNTS = 1_000

DAY = click.DateTime(["%Y-%m-%d"])
AS_OF = click.option("--as-of", type=DAY, help="The day to look at; today where left out.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")


class Oarlock:
    """One invocation: its settings and state, opened when first needed, and how it speaks."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.speaks_json = False

    @property
    def settings(self) -> "Settings":
        from configs.settings import read_settings

        return read_settings(self.config)

    @property
    def state(self) -> "State":
        from configs.state import open_state

        return open_state(self.settings)

    @property
    def today(self) -> datetime:
        from configs.clock import today
        from features.dataset import read_dataset

        return today(read_dataset(self.settings.data).observed_until)

    @property
    def known_until(self) -> datetime:
        from configs.clock import now
        from features.dataset import read_dataset

        return read_dataset(self.settings.data).observed_until or now()

    @property
    def console(self) -> "Console":
        from rich.console import Console

        return Console(stderr=self.speaks_json)

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[str, int, int], None]]:
        """A progress bar on standard error; silent where that is not a terminal."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what)
            yield lambda step, done, of: bar.update(task, description=f"{what}: {step}", completed=done, total=of)


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
@click.option("--accounts", type=int, help="How many accounts ever exist.")
@click.option("--months", type=int, help="For how many months.")
@click.option("--seed", type=int, help="Which company: the same seed gives the same bytes.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to; an empty folder.")
@click.pass_obj
def simulate(oarlock: Oarlock, **given: Any) -> None:
    """Write a simulated company, every table and the truth behind it; what is left out, the data set says.

    \b
    Example: oarlock simulate --accounts 5000 --months 24 --seed 1 --out company
    """
    from features.dataset import read_mapped
    from features.simulate.company import Company
    from features.simulate.folder import simulate as run

    mapped, folder = read_mapped(oarlock.settings.data)
    said = mapped.simulated.model_dump() if mapped.simulated else {}
    out = given.pop("out") or (folder if said else Path("company"))
    asked = {**said, **{name: value for name, value in given.items() if value is not None}}
    with oarlock.progress("simulate") as progress:
        workers = oarlock.settings.training.threads
        rows = run(Company(**asked), out, workers=workers, progress=lambda done, of: progress("accounts", done, of))
    oarlock.console.print(f"{out.resolve()}: {rows['accounts']:,} simulated accounts, {rows['usage']:,} rows of usage.")


@cli.command()
@click.option("--store", is_flag=True, help="Compare the online store with the history instead, value by value.")
@AS_JSON
@click.pass_obj
def check(oarlock: Oarlock, store: bool, as_json: bool) -> None:
    """Read every raw table and say what breaks the contract.

    \b
    Example: oarlock check
    """
    oarlock.speaks_json = as_json
    if store:
        _check_store(oarlock)
        return
    from features.publish import open_dataset

    with oarlock.progress("check"):
        opened = open_dataset(oarlock.settings, oarlock.state)
        rows = {name: raw.rows.count().to_pyarrow().as_py() for name, raw in opened.tables.items()}
    if as_json:
        _print_json({"tables": rows, "set_aside": [vars(one) for one in opened.breaches]})
        return
    table = _table("table", "rows")
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    oarlock.console.print(table)
    for breach in opened.breaches:
        oarlock.console.print(f"set aside: {breach}", markup=False)
    signals = len(opened.place.signals)
    oarlock.console.print(f"{signals} signals of {len(opened.place.families)} families can be computed.")


@cli.command()
@click.option("--html", type=click.Path(path_type=Path), help="Write a page to browse to this file.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the dictionary as Markdown to this file.")
@AS_JSON
@click.pass_obj
def signals(oarlock: Oarlock, html: Path | None, markdown: Path | None, as_json: bool) -> None:
    """List every signal: its family, its sentence, and for how many accounts it is there.

    \b
    Example: oarlock signals --html signals.html
    """
    oarlock.speaks_json = as_json
    from configs.state import replacing
    from features.catalogue import catalogue
    from features.dictionary import as_html, as_markdown, entries

    coverage = _coverage(oarlock)
    for file, written in ((html, as_html), (markdown, as_markdown)):
        if file:
            with replacing(file) as temporary:
                temporary.write_text(written(catalogue(), coverage), "utf-8")
            oarlock.console.print(f"{file.resolve()} holds {len(catalogue())} signals.", markup=False)
    found = entries(catalogue(), coverage)
    if as_json:
        _print_json({family: [vars(one) for one in members] for family, members in found.items()})
    elif not (html or markdown):
        table = _table("family", "signal", "what it says", "there")
        for family, members in found.items():
            for one in members:
                table.add_row(family, one.name, one.sentence, one.coverage)
        oarlock.console.print(table)


@cli.command()
@AS_OF
@click.option("--from", "first", type=DAY, help="Compute the days from here on again, after a correction of raw rows.")
@click.option("--to", "last", type=DAY, help="The last day to compute again; the published one where left out.")
@click.option("--force", is_flag=True, help="Publish a day that does not look like those before it; needs --reason.")
@click.option("--reason", default="", help="Why it is forced; kept with the day.")
@AS_JSON
@click.pass_obj
def publish(  # noqa: PLR0913, PLR0917 - a parameter per option
    oarlock: Oarlock,
    as_of: datetime | None,
    first: datetime | None,
    last: datetime | None,
    force: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Compute the signals of a day, and of every training day still missing, and fill the online store.

    \b
    Example: oarlock publish --as-of 2023-07-01
    Example: oarlock publish --from 2023-05-01 --to 2023-06-01
    """
    oarlock.speaks_json = as_json
    if force != bool(reason):
        raise click.UsageError("--force and --reason go together.")
    if last and not (first and first <= last):
        raise click.UsageError("--to needs a --from that is not after it.")
    from features.publish import Days
    from features.publish import publish as run

    days = Days(as_of or oarlock.today, first, last, reason)
    with oarlock.progress("publish") as progress:
        done = run(oarlock.settings, oarlock.state, days, progress)
    if as_json:
        _print_json({**vars(done), "day": vars(done.day), "breaches": [vars(one) for one in done.breaches]})
        return
    for breach in done.breaches:
        oarlock.console.print(f"set aside: {breach}", markup=False)
    coverage = ", ".join(f"{family} {share:.0%}" for family, share in done.day.coverage.items())
    day = f"{done.day.snapshots:,} snapshots of {done.as_of:%Y-%m-%d}"
    checks = ", checks of unchanged files skipped" if done.checks_reused else ""
    oarlock.console.print(f"Published {day}; days: {done.computed} computed, {done.reused} reused{checks}.")
    oarlock.console.print(f"Values that are there: {coverage}.")
    for fault in done.day.faults:
        oarlock.console.print(f"forced ({done.day.forced_because}): {fault}", markup=False)


@cli.command()
@AS_JSON
@click.pass_obj
def train(oarlock: Oarlock, as_json: bool) -> None:
    """Fit, calibrate, evaluate and register a model on every mature snapshot.

    \b
    Example: oarlock train
    """
    oarlock.speaks_json = as_json
    from training.card import model_card
    from training.train import train as run

    with oarlock.progress("train") as progress:
        done = run(oarlock.settings, oarlock.state, oarlock.known_until, progress)
    if as_json:
        _print_json({"version": vars(done.version), "reused": done.reused, **done.evaluation})
        return
    from rich.markdown import Markdown

    oarlock.console.print(Markdown(model_card(done.evaluation)))
    made = "was there already, made from exactly the same" if done.reused else "is registered"
    oarlock.console.print(f"\nVersion {done.version.number} of {done.version.name} {made}.")


@cli.command()
@click.argument("version", type=int, required=False)
@click.option("--force", is_flag=True, help="Promote a model that has not earned it; needs --reason.")
@click.option("--reason", default="", help="Why it is forced; kept on the version.")
@click.pass_obj
def promote(oarlock: Oarlock, version: int | None, force: bool, reason: str) -> None:
    """Make a version (the newest where none is named) the champion that answers from now on.

    \b
    Example: oarlock promote 3
    """
    from training.registry import open_registry
    from training.train import promote as run

    if force and not reason:
        raise click.UsageError("--force needs --reason.")
    registry = open_registry(oarlock.state, oarlock.settings.name)
    chosen = registry.newest() if version is None else registry.get(version)
    promoted = run(registry, chosen, reason if force else "")
    oarlock.console.print(f"Version {promoted.number} of {promoted.name} is champion.")


@cli.command()
@click.argument("accounts", nargs=-1)
@click.option("--all", "everyone", is_flag=True, help="Every account published.")
@click.option("--drivers", default=SHOWN_DRIVERS, show_default=True, help="How many drivers to name in each direction.")
@AS_OF
@AS_JSON
@click.pass_obj
def score(  # noqa: PLR0913, PLR0917 - a parameter per option
    oarlock: Oarlock, accounts: tuple[str, ...], everyone: bool, drivers: int, as_of: datetime | None, as_json: bool
) -> None:
    """Give the risk of accounts, riskiest first, and write each to the ledger.

    \b
    Example: oarlock score --all --json
    """
    oarlock.speaks_json = as_json
    if bool(accounts) == everyone:
        raise click.UsageError("Name accounts, or say --all.")
    reply = _reply(oarlock, list(accounts), as_of, drivers)
    if as_json:
        _print_json(reply)
    else:
        _show_scores(oarlock, reply, len(accounts) or SHOWN_ACCOUNTS)


@cli.command()
@click.argument("account")
@AS_OF
@AS_JSON
@click.pass_obj
def explain(oarlock: Oarlock, account: str, as_of: datetime | None, as_json: bool) -> None:
    """Show every family and signal that one account's risk is made of.

    \b
    Example: oarlock explain 1024
    """
    oarlock.speaks_json = as_json
    reply = _reply(oarlock, [account], as_of, None)
    if as_json:
        _print_json(reply)
    elif reply["not_scored"]:
        oarlock.console.print(f"{account} has no risk: {reply['not_scored'][0]['reason']}.")
    else:
        _show_explained(oarlock, reply["scores"][0])


@cli.command()
@click.option("--host", help="Where to listen; the settings' serving.host where left out.")
@click.option("--port", type=int, help="On which port; the settings' serving.port where left out.")
@click.pass_obj
def serve(oarlock: Oarlock, host: str | None, port: int | None) -> None:
    """Answer over HTTP until stopped; a promotion is taken up while it runs.

    \b
    Example: oarlock serve --port 3000
    """
    serving = oarlock.settings.serving
    where = [f"--host={host or serving.host}", f"--port={port or serving.port}", f"--api-workers={serving.workers}"]
    command = [sys.executable, "-m", "bentoml", "serve", "serving.service:Oarlock", *where]
    os.environ["OARLOCK_CONFIG"] = str(oarlock.config.resolve())
    os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    oarlock.console.print(f"POST http://{host or serving.host}:{port or serving.port}/v1/score")
    os.execv(sys.executable, command)


@cli.command()
@AS_JSON
@click.pass_context
def monitor(context: click.Context, as_json: bool) -> None:
    """Say whether the champion can still be trusted: ok, watch or retrain, and why.

    \b
    Example: oarlock monitor --json
    """
    from monitoring.health import EXIT_CODES, check_health

    oarlock: Oarlock = context.obj
    oarlock.speaks_json = as_json
    with oarlock.progress("monitor") as progress:
        health = check_health(oarlock.settings, oarlock.state, oarlock.known_until, progress)
    if as_json:
        drift = {**vars(health.drift), "moved": [vars(one) for one in health.drift.moved]}
        _print_json({**vars(health), "version": vars(health.version), "drift": drift, "outcome": vars(health.outcome)})
    else:
        oarlock.console.print(f"Version {health.version.number} on {health.as_of:%Y-%m-%d}: {health.verdict}")
        for reason in health.reasons:
            oarlock.console.print(f"- {reason}", markup=False)
    context.exit(EXIT_CODES[health.verdict])


@cli.command()
@click.pass_context
def demo(context: click.Context) -> None:
    """Do the whole line once: simulate where the data set is simulated, check, publish, train, promote, score.

    \b
    Example: oarlock demo
    """
    from features.dataset import read_mapped

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


def main(words: list[str] | None = None) -> None:
    """Run a command; a refusal is one sentence on standard error and its documented exit code."""
    from configs.errors import OarlockError

    try:
        cli(words, prog_name="oarlock")
    except OarlockError as problem:
        click.echo(f"oarlock: {problem}", err=True)
        sys.exit(problem.exit_code)


def _reply(oarlock: Oarlock, accounts: list[str], as_of: datetime | None, drivers: int | None) -> dict[str, Any]:
    from configs.clock import now
    from serving.batch import score_day
    from serving.engine import Engine

    until = oarlock.known_until
    with oarlock.progress("score") as progress:
        progress("opening", 0, 1)
        engine = Engine(oarlock.settings, oarlock.state, lambda: min(until, now()))
        return score_day(engine, accounts, as_of, drivers)


def _show_scores(oarlock: Oarlock, reply: dict[str, Any], most: int) -> None:
    model, scores = reply["model"], reply["scores"]
    seen = f"seen from {reply['as_of'][:10]} (n = {len(scores):,})"
    title = f"risk of leaving within {model['horizon_days']} days, {seen}"
    table = _table("account", "risk", "band", "MRR", "at risk", "main drivers (points)", title=title)
    for one in scores[:most]:
        lines = [f"{_points(driver['points'])} {driver['text']}" for driver in one["drivers"]]
        revenue = [_money(one["revenue"][key]) for key in ("mrr", "at_risk")]
        cells = [one["account_id"], f"{one['risk']:.1%}", one["band"], *revenue, "\n".join(lines)]
        table.add_row(*cells, end_section=True)
    oarlock.console.print(table)
    for one in reply["not_scored"][:most]:
        oarlock.console.print(f"{one['account_id']} has no risk: {one['reason']}.", markup=False)
    oarlock.console.print(f"Base {scores[0]['base']:.1%}; base and all points add up to the risk." if scores else "")
    oarlock.console.print("Not causal: drivers say what a risk is made of, not what would change it.")


def _show_explained(oarlock: Oarlock, one: dict[str, Any]) -> None:
    title = f"{one['account_id']}: risk {one['risk']:.1%} = base {one['base']:.1%} and these points ({one['status']})"
    table = _table("points", "family", "signal", "value", "typical", title=title)
    from serving.scoring import shown

    for driver in [*one["drivers"], *one["protective"]]:
        table.add_row(_points(driver["points"]), driver["family"], "", "", "", style="bold")
        for signal in driver["signals"]:
            values = [shown(signal[key], signal["unit"]) for key in ("value", "typical")]
            table.add_row(_points(signal["points"]), "", signal["label"], *values)
    oarlock.console.print(table)


def _coverage(oarlock: Oarlock) -> dict[str, float] | None:
    """The share of the newest published snapshots that have each signal; None where nothing is published."""
    from configs.errors import NotReady
    from features.publish import published_edition

    try:
        place, as_of = published_edition(oarlock.state)
    except NotReady:
        return None
    from features.history import read_day

    return {name: 1 - share for name, share in read_day(place, as_of).missing.items()}


def _check_store(oarlock: Oarlock) -> None:
    from features.parity import compare_stores, refuse_differences

    with oarlock.progress("check"):
        parity = compare_stores(oarlock.settings, oarlock.state, COMPARED_ACCOUNTS)
    if oarlock.speaks_json:
        _print_json({**vars(parity), "differences": [vars(one) for one in parity.differences]})
    refuse_differences(parity)
    if not oarlock.speaks_json:
        day = f"{parity.accounts:,} accounts of {parity.as_of:%Y-%m-%d}"
        oarlock.console.print(f"{parity.values:,} values of {day} are the same online and in the history.")


def _table(*columns: str, title: str | None = None) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _points(points: float) -> str:
    return f"{points * 100:+.2f}"


def _money(amount: float | None) -> str:
    return "" if amount is None else f"{amount:,.0f}"


def _print_json(content: Any) -> None:
    click.echo(json.dumps(content, indent=1, default=str))


if __name__ == "__main__":
    main()
