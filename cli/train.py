"""Commands that make model versions and compare them: train, compare, recalibrate, reproduce."""

import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from cli.context import JSON, CliContext
from cli.output import Columns, OutputTable, format_verdict, print_json
from cli.shadow import find_shadow_report, show_shadow_report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from configs.progress import Progress
    from training.pipelines.reproduce import ReproductionResult
    from training.pipelines.train import TrainingResult
    from training.pipelines.tuning import SearchBudget
    from training.registry.comparison_record import ComparisonRecord, PairedMetricRecord

DEFAULT_TRIALS = 30
MAX_TRIALS = 1_000
NOT_REPRODUCED = 8


@click.command(short_help="Fit, calibrate, evaluate and register a model.")
@click.option("--tune", is_flag=True, help="First search for better LightGBM parameters.")
@click.option("--trials", type=click.IntRange(1), help=f"How many trials; {DEFAULT_TRIALS} without --timeout.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="How many minutes to search.")
@JSON
@click.pass_obj
def train(context: CliContext, tune: bool, trials: int | None, timeout: float | None) -> None:
    """Fit, calibrate, evaluate and register a model on every mature snapshot.

    --tune searches on days before the test days. A search that was stopped continues where it was.

    \b
    Example: oarlock train
    Example: oarlock train --tune --trials 30 --timeout 10
    """
    from training.pipelines.train import train as train_model

    if (trials or timeout) and not tune:
        raise click.UsageError("--trials and --timeout need --tune.")
    with context.progress("train") as progress:
        budget = _search_budget(trials, timeout, progress) if tune else None
        result = train_model(context.settings, context.state, context.known_until, progress, budget=budget)
    show_training(context, result)


@click.command(short_help="Test a version against the champion.")
@click.argument("challenger", type=int, required=False)
@click.option("--with", "other", type=int, help="The version to compare with; the champion by default.")
@JSON
@click.pass_obj
def compare(context: CliContext, challenger: int | None, other: int | None) -> None:
    """Test whether a version, by default the newest, is at least as good as the champion, on the same past days.

    \b
    Example: oarlock compare 4 --with 2
    """
    from configs.errors import RequestError
    from training.comparison.compare_versions import compare_versions

    registry = context.registry
    candidate = registry.newest() if challenger is None else registry.get(challenger)
    champion = registry.champion() if other is None else registry.get(other)
    if candidate.number == champion.number:
        hint = "Name another version, or run `oarlock train` first."
        raise RequestError(f"Version {candidate.number} cannot be compared with itself.", hint)
    with context.progress("compare") as progress:
        versions = candidate, champion
        record = compare_versions(context.settings, context.state, versions, context.known_until, progress)
    in_shadow = find_shadow_report(context, candidate.number, champion.number)
    if context.as_json:
        print_json({**record, "shadow": in_shadow and in_shadow.to_json()})
        return
    _show_comparison(context, record)
    if in_shadow:
        show_shadow_report(context, in_shadow)


@click.command(short_help="Recalibrate a version on recent labels.")
@click.argument("version", type=int, required=False)
@JSON
@click.pass_obj
def recalibrate(context: CliContext, version: int | None) -> None:
    """Register a copy of a version, by default the champion, recalibrated on recent labels; its trees stay.

    \b
    Example: oarlock recalibrate
    """
    from training.pipelines.recalibrate import recalibrate as register_recalibrated

    registry = context.registry
    parent = registry.champion() if version is None else registry.get(version)
    with context.progress("recalibrate") as progress:
        registered, comparison = register_recalibrated(
            context.settings, context.state, parent, context.known_until, progress
        )
    if context.as_json:
        print_json({"version": asdict(registered), "parent": parent.number, "comparison": comparison})
        return
    if comparison:
        _show_comparison(context, comparison)
    context.echo(f"Version {registered.number} has the trees of version {parent.number} and a new calibration.")


@click.command(short_help="Retrain a version and check that it is the same.")
@click.argument("version")
@JSON
@click.pass_obj
def reproduce(context: CliContext, version: str) -> int:
    """Retrain a version (a number or a run id), and say if it is the same to the byte, or what has changed.

    \b
    Example: oarlock reproduce 3
    """
    from training.pipelines.reproduce import reproduce as retrain

    registry = context.registry
    chosen = registry.get(int(version)) if version.isdigit() else registry.version_of_run(version)
    with context.progress("reproduce") as progress:
        result = retrain(context.settings, context.state, chosen, progress)
    if context.as_json:
        print_json(asdict(result) | {"is_same": result.is_same})
    else:
        _show_reproduction(context, result)
    return 0 if result.is_same else NOT_REPRODUCED


def show_training(
    context: CliContext, result: "TrainingResult", more: "Mapping[str, int | float] | None" = None
) -> None:
    """Print a new version, or the one that was found; `more` stands in its JSON, too."""
    from training.reports.model_card import model_summary

    if context.as_json:
        identity = {"version": asdict(result.version), "reused": result.reused, "comparison": result.comparison}
        print_json(identity | dict(more or {}) | result.evaluation.to_json())
        return
    context.echo(model_summary(result.evaluation))
    if result.comparison:
        _show_comparison(context, result.comparison)
    status = "exists already: the same data, settings and code made it" if result.reused else "is registered"
    number = result.version.number
    context.echo(f"Version {number} of {result.version.name} {status}. `oarlock model-card {number}` shows its card.")


def _search_budget(trials: int | None, minutes: float | None, progress: "Progress") -> "SearchBudget":
    from training.pipelines.tuning import SearchBudget

    deadline = time.monotonic() + 60 * minutes if minutes else math.inf
    return SearchBudget(
        trials or (MAX_TRIALS if minutes else DEFAULT_TRIALS), lambda: time.monotonic() >= deadline, progress
    )


def _show_comparison(context: CliContext, record: "ComparisonRecord") -> None:
    challenger, champion = f"version {record['challenger']}", f"version {record['champion']}"
    verdict = click.style(format_verdict(record["verdict"]), bold=True)
    context.echo(f"\nV{challenger[1:]} compared with {champion}: {verdict}")
    for reason in record["reasons"]:
        context.echo(f"- {reason}")
    if not record["metrics"]:
        return
    title = f"{record['snapshots']:,} snapshots of the same past days, {record['churned']:,} churned"
    columns: Columns = {"metric": "text", challenger: "number", champion: "number", "difference": "number"}
    table = OutputTable(columns, title)
    for name, metric in record["metrics"].items():
        table.add(name.replace("_", " ").replace("auc", "AUC"), *_format_paired(metric))
    for name, segment in (record["segments"] or {}).items():
        size = f"{name}: {segment['churned']:,} of {segment['snapshots']:,} churned"
        too_few = "" if segment["tested"] else ", too few to test"
        table.add(f"log loss, {size}{too_few}", *_format_paired(segment["log_loss"]))
    table.print(context)
    if flips := record["explanation_flips"]:
        accounts = f"{flips['flipped']} of {flips['accounts']} accounts worth a call on {flips['as_of']}"
        context.echo(f"{accounts} have another main family.")


def _format_paired(metric: "PairedMetricRecord") -> tuple[str, str, str]:
    difference = metric["difference"]
    interval = f"[{difference['low']:+.4f}, {difference['high']:+.4f}]"
    return f"{metric['challenger']:.4f}", f"{metric['champion']:.4f}", f"{difference['value']:+.4f} {interval}"


def _show_reproduction(context: CliContext, result: "ReproductionResult") -> None:
    if result.failure:
        context.echo(f"Version {result.version} cannot be retrained: {result.failure}")
    else:
        sameness = {True: "the same to the byte", False: "not the same"}
        risks = f"risks on {result.snapshots:,} snapshots {sameness[result.same_risks]}"
        context.echo(f"Version {result.version} retrained: booster {sameness[result.same_booster]}, {risks}.")
    for difference in result.differences:
        context.echo(f"- {difference}")
    if any(difference.kind == "setting" for difference in result.differences):
        context.echo("It was retrained with the settings that its run recorded.")
