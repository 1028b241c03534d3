"""The verbs of the data: simulate a company, check its tables, list the signals, publish them."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cli.context import AS_JSON, AS_OF, DAY, Oarlock
from cli.output import new_table, print_json

COMPARED_ACCOUNTS = 1_000


@click.command()
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
    from features.simulator.model.parameters import Company
    from features.simulator.writer import write_company
    from features.tables.mapping import read_mapped

    mapped, folder = read_mapped(oarlock.settings.data)
    said = mapped.simulated.model_dump() if mapped.simulated else {}
    out = given.pop("out") or (folder if said else Path("company"))
    asked = {**said, **{name: value for name, value in given.items() if value is not None}}
    with oarlock.progress("simulate") as progress:
        workers = oarlock.settings.training.threads
        rows = write_company(Company(**asked), out, workers=workers, progress=lambda done, of: progress("accounts", done, of))
    oarlock.console.print(f"{out.resolve()}: {rows['accounts']:,} simulated accounts, {rows['usage']:,} rows of usage.")


@click.command()
@click.option(
    "--store",
    is_flag=True,
    help=f"Compare the online store with the history instead: every value of {COMPARED_ACCOUNTS:,} accounts drawn.",
)
@AS_JSON
@click.pass_obj
def check(oarlock: Oarlock, store: bool, as_json: bool) -> None:
    """Read every raw table and say what breaks the contract; the playbook too.

    \b
    Example: oarlock check
    """
    oarlock.speaks_json = as_json
    _check_playbook(oarlock)
    if store:
        _check_store(oarlock)
        return
    from features.publishing.pipeline import open_dataset

    with oarlock.progress("check"):
        opened = open_dataset(oarlock.settings, oarlock.state)
        rows = {name: raw.rows.count().to_pyarrow().as_py() for name, raw in opened.tables.items()}
    if as_json:
        print_json({"tables": rows, "set_aside": [vars(one) for one in opened.breaches]})
        return
    table = new_table("table", "rows")
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    oarlock.console.print(table)
    for breach in opened.breaches:
        oarlock.console.print(f"set aside: {breach}", markup=False)
    signals = len(opened.place.signals)
    oarlock.console.print(f"{signals} signals of {len(opened.place.families)} families can be computed.")


@click.command()
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
    from configs.files import atomic_write
    from features.reports.dictionary import as_html, as_markdown, entries
    from features.signals.registry import catalogue

    coverage = _coverage(oarlock)
    for file, written in ((html, as_html), (markdown, as_markdown)):
        if file:
            with atomic_write(file) as temporary:
                temporary.write_text(written(catalogue(), coverage), "utf-8")
            oarlock.console.print(f"{file.resolve()} holds {len(catalogue())} signals.", markup=False)
    found = entries(catalogue(), coverage)
    if as_json:
        print_json({family: [vars(one) for one in members] for family, members in found.items()})
    elif not (html or markdown):
        table = new_table("family", "signal", "what it says", "there")
        for family, members in found.items():
            for one in members:
                table.add_row(family, one.name, one.sentence, one.coverage)
        oarlock.console.print(table)


@click.command()
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
    from features.publishing.pipeline import Days
    from features.publishing.pipeline import publish as run

    days = Days(as_of or oarlock.today, first, last, reason)
    with oarlock.progress("publish") as progress:
        done = run(oarlock.settings, oarlock.state, days, progress)
    if force:
        oarlock.audit("overridden", f"publish {done.as_of:%Y-%m-%d}", reason=reason, faults=len(done.day.faults))
    if as_json:
        print_json({**vars(done), "day": vars(done.day), "breaches": [vars(one) for one in done.breaches]})
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


@click.group()
def history() -> None:
    """Look after the signals of past days on disk.

    \b
    Example: oarlock history prune --keep-days 90
    """


@history.command()
@click.option("--keep-days", type=click.IntRange(min=0), help="Days older than that go where no training needs them.")
@AS_JSON
@click.pass_obj
def prune(oarlock: Oarlock, keep_days: int | None, as_json: bool) -> None:
    """Take away histories of other signals or data than those published last, and old days of these.

    \b
    Example: oarlock history prune --keep-days 90
    """
    oarlock.speaks_json = as_json
    from features.publishing.retention import clear

    done = clear(oarlock.state, oarlock.settings.snapshots, keep_days)
    if as_json:
        print_json(vars(done))
        return
    what = f"{done.histories:,} other histories and {done.days:,} days"
    oarlock.console.print(f"{what} taken away, {done.bytes / 1e6:,.1f} MB.")


def _coverage(oarlock: Oarlock) -> dict[str, float] | None:
    """The share of the newest published snapshots that have each signal; None where nothing is published."""
    from configs.errors import NotReady
    from features.store.publication import published_edition

    try:
        place, as_of = published_edition(oarlock.state)
    except NotReady:
        return None
    from features.store.history import read_day

    return {name: 1 - share for name, share in read_day(place, as_of).missing.items()}


def _check_playbook(oarlock: Oarlock) -> None:
    from features.signals.registry import FAMILIES, catalogue
    from serving.accounts.playbook import read_playbook, refuse_gaps

    path = oarlock.settings.playbook
    refuse_gaps(read_playbook(path), path, FAMILIES, [one.name for one in catalogue()])


def _check_store(oarlock: Oarlock) -> None:
    from features.publishing.consistency_check import compare_stores, refuse_differences

    with oarlock.progress("check"):
        parity = compare_stores(oarlock.settings, oarlock.state, COMPARED_ACCOUNTS)
    if oarlock.speaks_json:
        print_json({**vars(parity), "differences": [vars(one) for one in parity.differences]})
    refuse_differences(parity)
    if not oarlock.speaks_json:
        day = f"{parity.accounts:,} accounts of {parity.as_of:%Y-%m-%d}"
        oarlock.console.print(f"{parity.values:,} values of {day} are the same online and in the history.")
