"""Commands for the data: simulate a company, validate its tables, list the signals, publish them, prune the history."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import DAY, FILE, JSON, CliContext
from cli.output import OutputTable, format_count, format_percent, print_json, printable
from cli.shadow import record_shadow

if TYPE_CHECKING:
    from configs.files import JsonObject
    from features.compute.availability import MissingInput
    from features.ingestion.conversion import SourceReading
    from features.ingestion.validation import RuleViolation
    from features.publishing.data_span import DataSpan
    from features.publishing.open_dataset import OpenDataset
    from features.publishing.pipeline import PublishResult
    from features.tables.periods import PeriodCounts

MAX_COMPARED_ACCOUNTS = 1_000


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

    The data set of the settings gives the default of each option.

    \b
    Example: oarlock simulate --accounts 5000 --months 24 --seed 1 --output company
    """
    from features.simulator.model.parameters import Company
    from features.simulator.writer import write_company
    from features.tables.mapping import read_mapping

    mapping, folder = read_mapping(context.settings.data)
    defaults = mapping.simulated.model_dump() if mapping.simulated else {}
    chosen = {"accounts": accounts, "months": months, "seed": seed}
    parameters: JsonObject = defaults | {name: value for name, value in chosen.items() if value is not None}
    output = output or (folder if defaults else Path("company"))
    with context.progress("simulate") as progress:
        workers = context.settings.training.threads
        rows = write_company(
            Company(**parameters), output, workers=workers, progress=lambda done, of: progress("shards", done, of)
        )
    context.echo(f"{output.resolve()}: {rows['accounts']:,} simulated accounts, {rows['usage']:,} rows of usage.")


@click.command(short_help="Check the raw tables, the mapping and the playbook.")
@click.option(
    "--online-store",
    is_flag=True,
    help=f"Compare the online store with the history instead: every value of {MAX_COMPARED_ACCOUNTS:,} accounts.",
)
@JSON
@click.pass_obj
def validate(context: CliContext, online_store: bool) -> None:
    """Check that the raw tables keep to the contract, and that the playbook has no gap.

    It lists every kind of invalid row at once, and what the data set lacks for further signals.

    \b
    Example: oarlock validate
    """
    check_playbook(context)
    if online_store:
        _validate_online_store(context)
    else:
        _validate_tables(context)


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
@JSON
@click.pass_obj
def test(context: CliContext) -> None:
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
        result = try_signals(*own_signals_of(open_catalogue(settings, context.state)), contract)
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


@click.command(short_help="Compute a day's signals and fill the online store.")
@click.option("--as-of", type=DAY, help="The day; today by default, or the last day of a finished data set.")
@click.option("--backfill-from", type=DAY, help="Also recompute past days from this one on, after raw rows changed.")
@click.option("--backfill-to", type=DAY, help="The last day to recompute; the published day by default.")
@click.option("--force", is_flag=True, help="Publish a day that fails the quality gate; needs --reason.")
@click.option("--reason", default="", help="Why it is forced; stored with the day.")
@click.option("--online", is_flag=True, help="Put the day online even if a later day is online.")
@JSON
@click.pass_obj
def publish(  # noqa: PLR0913, PLR0917 - a parameter per option
    context: CliContext,
    as_of: datetime | None,
    backfill_from: datetime | None,
    backfill_to: datetime | None,
    force: bool,
    reason: str,
    online: bool,
) -> None:
    """Compute the signals of a day, and of every training day still missing, and fill the online store.

    \b
    Example: oarlock publish --as-of 2023-07-01
    Example: oarlock publish --backfill-from 2023-05-01 --backfill-to 2023-06-01
    """
    from features.publishing.pipeline import PublishRequest
    from features.publishing.pipeline import publish as publish_days

    if force != bool(reason):
        raise click.UsageError("--force and --reason go together.")
    if backfill_to and not (backfill_from and backfill_from <= backfill_to):
        raise click.UsageError("--backfill-to needs a --backfill-from that is not after it.")
    request = PublishRequest(as_of or context.today, backfill_from, backfill_to, reason, online)
    with context.progress("publish") as progress:
        result = publish_days(context.settings, context.state, request, progress)
    if force:
        faults = len(result.day.faults)
        context.record_audit("forced", f"publish {result.as_of:%Y-%m-%d}", reason=reason, faults=faults)
    record_shadow(context)
    if context.as_json:
        print_json(asdict(result))
    else:
        _show_published(context, result)


@click.group(short_help="Remove signals of past days from disk.")
def history() -> None:
    """Manage the signals of past days on disk.

    \b
    Example: oarlock history prune --keep-days 90
    """


@history.command()
@click.option("--keep-days", type=click.IntRange(min=0), help="Remove older days that no training needs.")
@JSON
@click.pass_obj
def prune(context: CliContext, keep_days: int | None) -> None:
    """Remove histories of other signals or data than the published ones, and old days of the published history.

    \b
    Example: oarlock history prune --keep-days 90
    """
    from features.publishing.retention import prune_history

    removed = prune_history(context.settings, context.state, keep_days)
    if context.as_json:
        print_json(asdict(removed))
    else:
        size = f"{removed.bytes / 1e6:,.1f} MB"
        context.echo(f"Removed {removed.histories:,} other histories and {removed.days:,} days: {size}.")


def check_playbook(context: CliContext) -> None:
    """Raise ConfigError if the playbook cannot be read or has no play for a family."""
    from features.own_signals.own_catalogue import open_catalogue
    from serving.accounts.playbook import read_playbook, validate_playbook

    path = context.settings.playbook
    declared = open_catalogue(context.settings, context.state)
    validate_playbook(read_playbook(path), path, declared.families, [signal.name for signal in declared.signals])


def _validate_online_store(context: CliContext) -> None:
    from features.publishing.consistency_check import compare_stores, raise_for_differences

    with context.progress("validate") as progress:
        progress("comparing", 0, 1)
        report = compare_stores(context.settings, context.state, MAX_COMPARED_ACCOUNTS)
    if context.as_json:
        print_json(asdict(report))
    raise_for_differences(report)
    if not context.as_json:
        accounts = f"{report.accounts:,} accounts on {report.as_of:%Y-%m-%d}"
        context.echo(f"{report.values:,} values of {accounts} are equal in the online store and in the history.")


def _validate_tables(context: CliContext) -> None:
    from configs.clock import now
    from features.publishing.data_span import is_monthly

    with context.progress("validate") as progress:
        progress("reading", 0, 1)
        dataset = _open_valid_dataset(context)
        written = dataset.tables_as_written()
        rows = {name: table.rows.count().to_pyarrow().as_py() for name, table in written.items()}
        periods, span, equal_rows = dataset.count_periods(), dataset.find_span(now()), dataset.count_equal_rows()
        is_monthly_usage = "usage" in written and is_monthly(written["usage"], now())
    ignored = [str(file) for files in dataset.dataset.ignored.values() for file in files]
    if context.as_json:
        report = {
            "tables": rows,
            "sources": [asdict(reading) for reading in dataset.conversion.readings],
            "ignored_files": ignored,
            "quarantined": [asdict(violation) for violation in dataset.violations],
            "equal_rows": equal_rows,
            "periods": periods and asdict(periods),
            "span": span and asdict(span),
            "is_monthly_usage": is_monthly_usage,
            "missing_inputs": [asdict(missing) for missing in dataset.missing_inputs()],
        }
        print_json(report)
        return
    table = OutputTable({"table": "id", "rows": "number"})
    for name, count in rows.items():
        table.add(name, f"{count:,}")
    table.print(context)
    _show_readings(context, dataset.conversion.readings)
    for file in ignored:
        context.echo(f"Ignored: {file}, which an operating system or an editor wrote.")
    if dataset.violations:
        context.echo("Quarantined rows:")
        _show_violations(context, dataset.violations)
    for name, count in equal_rows.items():
        counted = "once" if dataset.dataset.mapping.equal_rows == "once" else "each"
        context.echo(f"{name}: {count:,} rows are equal to another one in every column; equal rows count {counted}.")
    if span:
        _show_span(context, span)
    if is_monthly_usage:
        context.echo(
            "usage: nearly all rows are of the first of a month, as if they were known before the month was over, and"
            " windows of 28 days miss some of them. Date each row on the last day of its month in the mapping."
        )
    if periods:
        _show_periods(context, periods)
    context.echo(f"{len(dataset.history.signals)} signals of {len(dataset.history.families)} families can be computed.")
    _show_missing_inputs(context, dataset.missing_inputs())


def _open_valid_dataset(context: CliContext) -> "OpenDataset":
    """The data set; if its rows are refused, every kind of invalid row is printed first."""
    from features.ingestion.validation import InvalidRows
    from features.publishing.open_dataset import open_dataset

    try:
        return open_dataset(context.settings, context.state)
    except InvalidRows as error:
        if context.as_json:
            print_json(_describe_files(context) | {"invalid": [asdict(violation) for violation in error.violations]})
        else:
            _show_violations(context, error.violations)
        raise


def _describe_files(context: CliContext) -> "JsonObject":
    """The rows of each table before anything is set aside, how its files were read, and which were ignored."""
    from features.ingestion.reader import open_tables
    from features.tables.mapping import read_dataset

    dataset = read_dataset(context.settings.data, context.settings.signals)
    opened = open_tables(context.settings.engine, dataset, context.state.converted)
    return {
        "tables": {name: table.rows.count().to_pyarrow().as_py() for name, table in opened.tables.items()},
        "sources": [asdict(reading) for reading in opened.conversion.readings],
        "ignored_files": [str(file) for files in dataset.ignored.values() for file in files],
    }


def _show_violations(context: CliContext, violations: "tuple[RuleViolation, ...]") -> None:
    table = OutputTable(
        {"table": "id", "files": "text", "rule": "text", "rows": "number", "of table": "number", "first": "text"}
    )
    for violation in violations:
        rows, share = f"{violation.rows:,}", violation.share_text
        table.add(violation.table, ", ".join(violation.files), violation.rule, rows, share, violation.example)
    table.print(context)
    for violation in violations:
        if violation.unknown_ids:
            context.echo(f"{violation.table}: {printable(violation.unknown_text)}.")


def _show_missing_inputs(context: CliContext, missing: "tuple[MissingInput, ...]") -> None:
    if missing:
        table = OutputTable({"further signals": "number", "need": "text"})
        for needed in missing:
            table.add(f"{len(needed.signals):,}", ", ".join(needed.inputs))
        table.print(context)


def _show_span(context: CliContext, span: "DataSpan") -> None:
    days = f"{span.begins:%Y-%m-%d} to {span.last_day:%Y-%m-%d}"
    if span.is_declared:
        context.echo(f"The data are of {days}, until observed_until as declared.")
        return
    aside = f", without {span.strays:,} rows far from all others" if span.strays else ""
    context.echo(
        f"The data are of {days}: the first and last day with events{aside}. Labels use nothing later. Confirm the end"
        f" in {context.settings.data.dataset.name}: observed_until = {span.until:%Y-%m-%d}."
    )


def _show_periods(context: CliContext, periods: "PeriodCounts") -> None:
    hours = context.settings.label.joins_within_hours
    moved = f"{format_count(periods.joined, 'end')} {'was' if periods.joined == 1 else 'were'} moved"
    left = f"{format_count(periods.gaps, 'gap')} and {format_count(periods.overlaps, 'overlap')}"
    verb = "remains" if periods.gaps + periods.overlaps == 1 else "remain"
    context.echo(
        f"Periods of subscriptions: {moved} to the start of the next period, at most {hours} hours away; then"
        f" {left} {verb}."
    )


def _show_readings(context: CliContext, readings: "tuple[SourceReading, ...]") -> None:
    for reading in readings:
        context.echo(f"Read {reading}.")
        for column, files in reading.missing.items():
            context.echo(f"{reading.source}: '{column}' is empty for {', '.join(files)}, which lack the column.")


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


def _show_published(context: CliContext, result: "PublishResult") -> None:
    from features.signals.base import family_label

    for violation in result.violations:
        context.echo(f"Quarantined: {violation}")
    days = f"{result.computed} days computed, {result.reused} reused"
    checks = "; the raw files have not changed since they were last validated" if result.validation_reused else ""
    context.echo(f"Published {result.day.snapshots:,} accounts for {result.as_of:%Y-%m-%d} ({days}{checks}).")
    if result.span and not result.span.is_declared:
        _show_span(context, result.span)
    if result.skipped:
        context.echo(f"Skipped, because no account was at risk: {', '.join(result.skipped)}.")
    if result.online != result.as_of:
        context.echo(
            f"Online stays {result.online:%Y-%m-%d}, a later day. To put {result.as_of:%Y-%m-%d} online, publish it"
            " again with --online."
        )
    coverage = [f"{family_label(family)} {format_percent(share)}" for family, share in result.day.coverage.items()]
    context.echo(f"Filled in: {', '.join(coverage)}.")
    for fault in result.day.faults:
        context.echo(f"Forced ({result.day.forced_because}): {fault}")
