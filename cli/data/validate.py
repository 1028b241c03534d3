"""The command that checks the raw tables, the mapping and the playbook."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli.context import JSON, CliContext
from cli.output import OutputTable, format_count, print_json, printable

if TYPE_CHECKING:
    from configs.files import JsonObject
    from features.compute.availability import MissingInput
    from features.ingestion.conversion import SourceReading
    from features.ingestion.validation import RuleViolation
    from features.publishing.data_span import DataSpan
    from features.publishing.open_dataset import OpenDataset
    from features.tables.subscriptions.at_risk import AtRiskCounts
    from features.tables.subscriptions.periods import PeriodCounts

MAX_COMPARED_ACCOUNTS = 1_000
MONTHLY_USAGE = (
    "usage: nearly all rows are of the first of a month, as if they were known before the month was over, and windows"
    " of 28 days miss some of them. Date each row on the last day of its month in the mapping."
)


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
        rows = dataset.count_rows()
        at_risk, periods = dataset.count_at_risk(), dataset.count_periods()
        span, equal_rows = dataset.find_span(now()), dataset.count_equal_rows()
        is_monthly_usage = "usage" in written and is_monthly(written["usage"], now())
    ignored = [str(file) for files in dataset.dataset.ignored.values() for file in files]
    if context.as_json:
        report = {
            "tables": rows,
            "sources": [asdict(reading) for reading in dataset.conversion.readings],
            "ignored_files": ignored,
            "quarantined": [asdict(violation) for violation in dataset.violations],
            "equal_rows": equal_rows,
            "at_risk": at_risk and asdict(at_risk),
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
        show_span(context, span)
    if is_monthly_usage:
        context.echo(MONTHLY_USAGE)
    _show_subscriptions(context, at_risk, periods)
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
    from features.tables.dataset import read_dataset

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


def show_span(context: CliContext, span: "DataSpan") -> None:
    days = f"{span.begins:%Y-%m-%d} to {span.last_day:%Y-%m-%d}"
    if span.is_declared:
        context.echo(f"The data are of {days}, until observed_until as declared.")
        return
    aside = f", without {span.strays:,} rows far from all others" if span.strays else ""
    context.echo(
        f"The data are of {days}: the first and last day with events{aside}. Labels use nothing later. Confirm the end"
        f" in {context.settings.data.dataset.name}: observed_until = {span.until:%Y-%m-%d}."
    )


def _show_subscriptions(context: CliContext, at_risk: "AtRiskCounts | None", periods: "PeriodCounts | None") -> None:
    if at_risk:
        _show_at_risk(context, at_risk)
    if periods:
        _show_periods(context, periods)


def _show_at_risk(context: CliContext, counts: "AtRiskCounts") -> None:
    for name, count in asdict(counts).items():
        if count:
            value = getattr(context.settings.label, f"{name}_at_risk")
            words, verb = name.replace("_", " "), "are" if value else "are not"
            context.echo(f"Subscriptions with {words}: {count:,}. These {words} {verb} at risk (label.{name}_at_risk).")


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
