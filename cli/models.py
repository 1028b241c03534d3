"""Commands for model versions: list, export and adopt, promote and roll back, show the model card, set bands."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.context import FILE, JSON, CliContext
from cli.output import Columns, OutputTable, format_percent, format_verdict, print_json, print_markdown
from cli.train import show_training

if TYPE_CHECKING:
    from training.registry.version_list import VersionSummary

Interval = tuple[float, float, float]
VERSION_COLUMNS: Columns = {
    "version": "number",
    "alias": "id",
    "days old": "number",
    "origin": "text",
    "churned": "number",
    "AUC": "number",
    "log loss": "number",
    "last comparison": "text",
}


@click.group(short_help="List the model versions.")
def models() -> None:
    """List the model versions.

    \b
    Example: oarlock models list
    """


@models.command("list")
@JSON
@click.pass_obj
def list_models(context: CliContext) -> None:
    """List all versions: alias, age, main metrics, last comparison, and how each became champion.

    \b
    Example: oarlock models list
    """
    from configs.clock import now
    from training.registry.version_list import list_versions

    versions = list_versions(context.registry, now())
    if context.as_json:
        print_json({"versions": [asdict(version) for version in versions]})
    else:
        _show_versions(context, versions)


@models.command("export")
@click.argument("version", type=int, required=False)
@click.option("--output", type=FILE, required=True, help="The folder to write; it must be new or empty.")
@click.pass_obj
def export_version(context: CliContext, version: int | None, output: Path) -> None:
    """Write a version, by default the champion, to a folder that another company can adopt.

    The folder names no account. It has the names of categories that the model reads, such as plans.

    \b
    Example: oarlock models export 3 --output shared-model
    """
    from features.tables.mapping import read_mapping
    from training.pipelines.exported_model import export_model

    registry = context.registry
    chosen = registry.champion() if version is None else registry.get(version)
    export_model(registry, chosen, read_mapping(context.settings.data)[0].name, output)
    context.echo(f"{output.resolve()}: version {chosen.number} of {chosen.name}, to be adopted by another company.")


@models.command("adopt")
@click.argument("folder", type=FILE)
@JSON
@click.pass_obj
def adopt_version(context: CliContext, folder: Path) -> None:
    """Register another company's exported model here, fitted to the signals and calibrated to the departures here.

    It is for a company with too few departures to train a model of its own.

    \b
    Example: oarlock models adopt shared-model
    """
    from training.pipelines.adopt import adopt
    from training.pipelines.exported_model import read_exported_model

    source = read_exported_model(folder)
    with context.progress("adopt") as progress:
        adoption = adopt(context.settings, context.state, source, context.known_until, progress)
    shared, variance = adoption.shared_signals, adoption.shared_variance
    if not context.as_json:
        context.echo(f"{source.label} reads {len(source.model.inputs)} signals; {shared} are known here.")
        context.echo(f"The trees fitted to its margins share {format_percent(variance)} of their variance.")
    more = {"shared_signals": shared, "missing_signals": adoption.missing_signals, "shared_variance": variance}
    show_training(context, adoption.result, more)


@click.command("model-card", short_help="Show the model card of a version.")
@click.argument("version", type=int, required=False)
@click.option("--html", type=FILE, help="Write it as a page with plots to this file.")
@JSON
@click.pass_obj
def model_card(context: CliContext, version: int | None, html: Path | None) -> None:
    """Show the model card of a version, by default the newest.

    \b
    Example: oarlock model-card 3 --html card.html
    """
    from training.reports.model_card import model_card as render_card

    registry = context.registry
    chosen = registry.newest() if version is None else registry.get(version)
    if html:
        _write_card_page(context, chosen.number, html)
    if context.as_json:
        print_json(registry.evaluation(chosen).to_json())
    elif not html:
        print_markdown(context, render_card(registry.evaluation(chosen)))


@click.command(short_help="Make a version the champion.")
@click.argument("version", type=int, required=False)
@click.option("--force", is_flag=True, help="Promote a version that is refused; needs --reason.")
@click.option("--reason", default="", help="Why; stored with the promotion.")
@click.pass_obj
def promote(context: CliContext, version: int | None, force: bool, reason: str) -> None:
    """Make a version, by default the newest, the champion: the model that answers from now on.

    \b
    Example: oarlock promote 3
    """
    from configs.clock import now
    from serving.scoring.champion_pointer import make_champion, rewrite_champion
    from training.registry.promotion import FORCED, Decision, approve_promotion

    if force and not reason:
        raise click.UsageError("--force needs --reason.")
    registry = context.registry
    chosen = registry.newest() if version is None else registry.get(version)
    event = approve_promotion(registry, chosen, Decision(now(), reason, force))
    if event is None:
        rewrite_champion(context.state, registry)
        context.echo(f"Version {chosen.number} of {chosen.name} is already the champion.")
        return
    promoted = make_champion(context.state, registry, event)
    context.record_audit(
        "forced" if event.action == FORCED else "promoted", f"{promoted.name} {promoted.number}", reason=reason
    )
    context.echo(f"Version {promoted.number} of {promoted.name} is the champion.")


@click.command(short_help="Restore the previous champion.")
@click.option("--reason", default="", help="Why; stored with the rollback.")
@click.pass_obj
def rollback(context: CliContext, reason: str) -> None:
    """Roll back to the previous champion; repeat to go further back.

    Each rollback undoes one promotion. To restore a rolled-back version, promote it again.

    \b
    Example: oarlock rollback --reason "complaints about the drivers"
    """
    from configs.clock import now
    from serving.scoring.champion_pointer import make_champion
    from training.registry.promotion import Decision, plan_rollback

    former = context.registry.champion()
    event = plan_rollback(context.registry, Decision(now(), reason))
    champion = make_champion(context.state, context.registry, event)
    context.record_audit("rolled_back", f"{champion.name} {champion.number}", reason=reason, former=former.number)
    context.echo(f"Version {champion.number} is the champion again, in place of version {former.number}.")


@click.command("set-bands", short_help="Register a version with other bands.")
@click.argument("version", type=int, required=False)
@click.option("--thresholds", type=(float, float, float), help="The risks at which watch, high and critical begin.")
@click.option("--sizes", type=(int, int, int), help="How many accounts reach watch, high and critical.")
@click.pass_obj
def set_bands(
    context: CliContext,
    version: int | None,
    thresholds: tuple[float, float, float] | None,
    sizes: tuple[int, int, int] | None,
) -> None:
    """Register a copy of a version, by default the champion, with bands of its own; no risk changes.

    \b
    Example: oarlock set-bands --sizes 400 150 50
    """
    from training.pipelines.set_bands import bands_from_sizes, bands_from_thresholds
    from training.pipelines.set_bands import set_bands as register_with_bands

    if bool(thresholds) == bool(sizes):
        raise click.UsageError("Pass either --thresholds or --sizes.")
    registry = context.registry
    parent = registry.champion() if version is None else registry.get(version)
    if thresholds:
        bands = bands_from_thresholds(thresholds)
    else:
        assert sizes is not None
        bands = bands_from_sizes(context.settings, context.state, parent, sizes)
    registered = register_with_bands(context.settings, context.state, parent, bands)
    limits = ", ".join(f"{band} from {format_percent(threshold, 2)}" for band, threshold in bands.model_dump().items())
    context.echo(f"Version {registered.number} has the risks of version {parent.number} and these bands: {limits}.")


def _write_card_page(context: CliContext, number: int, file: Path) -> None:
    from configs.files import atomic_write
    from training.reports.model_card_html import read_plots, render_card_page

    registry = context.registry
    version = registry.get(number)
    with atomic_write(file) as temporary, registry.download_report(version) as folder:
        page = render_card_page(registry.evaluation(version), read_plots(folder), registry.last_comparison(version))
        temporary.write_text(page, "utf-8")
    context.echo(f"{file.resolve()}: the model card of version {number}.")


def _show_versions(context: CliContext, versions: "Sequence[VersionSummary]") -> None:
    table = OutputTable(VERSION_COLUMNS)
    for version in versions:
        metrics = [_format_interval(interval) for interval in version.metrics.values()]
        size = f"{version.churned:,} of {version.snapshots:,}"
        comparison = (
            f"{format_verdict(version.comparison['verdict'])} to {version.comparison['compared_with']}"
            if version.comparison
            else ""
        )
        cells = [str(version.number), version.alias or "", str(version.age_days), version.origin, size, *metrics]
        table.add(*cells, comparison, style="bold" if version.alias else "")
    table.print(context)
    events = [event for version in versions for event in version.champion_events]
    for event in sorted(events, key=lambda event: event.at):
        context.echo(f"{event.at[:16]}  version {event.version} {event.action}: {event.reason}")


def _format_interval(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f} [{interval[1]:.3f}, {interval[2]:.3f}]"
