"""The command that says whether what is served can still be trusted."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from cli.context import DAY, JSON, CliContext
from cli.output import Columns, OutputTable, print_json

if TYPE_CHECKING:
    from monitoring.action import Action
    from monitoring.health import HealthReport
    from monitoring.verdicts.verdict import HealthDecision
    from serving.ledger.monitor_runs import MonitorRun, RunStore

MILLISECOND = timedelta(milliseconds=1)  # MLflow knows no shorter time


@click.command(short_help="Check whether the served risks can still be trusted.")
@click.option("--since", type=DAY, help="List the runs of the days from this one on instead.")
@click.option("--acknowledge", metavar="VERDICT", help="Say that this verdict, the last one, is known.")
@click.option("--until", type=DAY, help="The day until which it is known; required with --acknowledge.")
@click.option("--because", help="Why it is known; required with --acknowledge.")
@click.option("--log", is_flag=True, help="Then log new runs to MLflow, and statistics of the signals to Feast.")
@click.option("--act", is_flag=True, help="Then recalibrate, retrain or open a challenger by the verdict.")
@JSON
@click.pass_obj
def monitor(  # noqa: PLR0913 - a parameter per option
    context: CliContext,
    *,
    act: bool,
    log: bool,
    since: datetime | None,
    acknowledge: str | None,
    until: datetime | None,
    because: str | None,
) -> int:
    """Say if what is served can still be trusted: one verdict, with its cause and the command that acts.

    --act also does it, as far as it can be done without promoting: the champion stays. Run it again if it was stopped.

    \b
    exit code  verdict
    0          ok
    10         population moved
    11         cause changed: retrain
    12         cannot tell yet
    14         level moved: recalibrate
    15         mend a source
    16         plays work

    \b
    Example: oarlock monitor --json
             oarlock monitor --act --log
             oarlock monitor --since 2026-01-01
             oarlock monitor --acknowledge "population moved" --until 2026-09-01 --because "prices were raised"
    """
    if (since is not None) + act + bool(acknowledge or until or because) > 1:
        raise click.UsageError("--since lists runs, --act acts, --acknowledge answers: ask for one of them.")
    if since:
        return _list_runs(context, since)
    if acknowledge or until or because:
        return _acknowledge(context, acknowledge, until, because)
    code = _check(context, act=act)
    if log:
        _log_runs(context)
    return code


def _check(context: CliContext, *, act: bool) -> int:
    """Check what is served, store the run, and act if asked to."""
    from monitoring.verdicts.verdict import EXIT_CODES
    from serving.ledger.monitor_runs import RunStore

    report, run = check_and_store(context)
    if not context.as_json:
        for line in _lines(report):
            context.echo(line)
    action = _act(context, report.decision, run, RunStore(context.database)) if act else None
    if context.as_json:
        print_json({**asdict(report), "figures": run.figures, "action": action and asdict(action)})
    elif action:
        context.echo(f"- acted: {action.text}")
        context.echo(f"- next: {action.next_command}" if action.next_command else "- next: nothing")
    return EXIT_CODES[report.decision.verdict]


def check_and_store(context: CliContext) -> "tuple[HealthReport, MonitorRun]":
    """Check what is served, and store the run, and the report of the outcomes if there may be new ones."""
    from configs.clock import now
    from monitoring.health import check_health, run_of
    from serving.ledger.monitor_runs import RunStore
    from serving.ledger.served_outcomes import are_outcomes_recent, write_outcomes
    from training.labels.definition import label_hash

    settings, file, known_until = context.settings, context.state.outcomes, context.known_until
    with context.progress("monitor") as progress:
        report = check_health(settings, context.state, known_until, progress)
        ledger = context.recover_ledger()
        if report.has_new_answers or not are_outcomes_recent(file, label_hash(settings.label), known_until):
            from monitoring.outcomes.outcome_report import report_outcomes  # heavy, as all that reads the data set

            write_outcomes(file, report_outcomes(settings, context.state, ledger, known_until))
    run = run_of(report, now())
    RunStore(context.database).save(run)
    return report, run


def _log_runs(context: CliContext) -> None:
    """Log every run to MLflow that started after the last one that is logged, and Feast's statistics of the day.

    Both take seconds to import.
    """
    from serving.ledger.monitor_runs import RunStore
    from training.reports.monitoring_experiment import last_logged_at, log_monitoring

    logged_at = last_logged_at(context.registry)
    runs = RunStore(context.database).all()
    if logged_at is not None:
        runs = [run for run in runs if run.run_at - logged_at >= MILLISECOND]
    for run in runs:
        tags = {"verdict": run.verdict, "subject": run.subject, "version": str(run.version), "as_of": _day(run.as_of)}
        log_monitoring(context.registry, run.run_at, run.figures, tags)
    signals = _write_statistics(context)
    context.echo(f"- logged: {len(runs)} run{'s' * (len(runs) != 1)} to MLflow, {signals:,} signals to Feast")


def _write_statistics(context: CliContext) -> int:
    """Write Feast's statistics of the signals of the newest published day."""
    from features.own_signals.own_catalogue import open_catalogue
    from features.store.feast_store import open_history_store, write_feature_statistics
    from features.store.history import published_history

    state, settings = context.state, context.settings
    history, as_of = published_history(state, open_catalogue(settings, state).signals)
    return write_feature_statistics(open_history_store(state, history, settings.name), as_of)


def _act(context: CliContext, decision: "HealthDecision", run: "MonitorRun", store: "RunStore") -> "Action":
    """Act on the verdict of a run, unless an earlier run of the same verdict registered a version."""
    from monitoring.action import act_on, find_earlier_action

    if earlier := find_earlier_action(run, store.acted()):
        return earlier
    with context.progress("act") as progress:
        action = act_on(decision, context.settings, context.state, context.known_until, progress)
    if action.version is not None and action.version != run.version:
        store.record_registered(run, action.version)
    if action.version is not None:
        context.record_audit("monitor_acted", decision.verdict, kind=action.kind, version=action.version)
    return action


def _list_runs(context: CliContext, since: datetime) -> int:
    from serving.ledger.monitor_runs import RunStore

    runs = RunStore(context.database).since(since)
    if context.as_json:
        print_json([asdict(run) for run in runs])
        return 0
    if not runs:
        context.echo(f"There is no run since {_day(since)}.")
        return 0
    columns: Columns = {"day": "id", "version": "number", "verdict": "text", "evidence": "number", "signals": "number"}
    table = OutputTable(columns)
    for run in runs:
        evidence, signals = run.figures["outcome_evidence"], run.figures["drifted_signals"]
        table.add(_day(run.as_of), str(run.version), run.verdict, f"{evidence:.3g}", f"{signals:.0f}")
    table.print(context)
    _show_trends(context, runs)
    return 0


def _show_trends(context: CliContext, runs: Sequence["MonitorRun"]) -> None:
    """Each figure of the newest run with its course over the runs."""
    columns: Columns = {
        "figure": "text",
        "first": "number",
        "lowest": "number",
        "highest": "number",
        "newest": "number",
    }
    table = OutputTable(columns, f"figures over {len(runs):,} runs")
    for name in runs[-1].figures:
        values = [run.figures[name] for run in runs if name in run.figures]
        shown = values[0], min(values), max(values), values[-1]
        table.add(name.replace("_", " "), *(f"{value:.4g}" for value in shown))
    table.print(context)


def _acknowledge(context: CliContext, verdict: str | None, until: datetime | None, because: str | None) -> int:
    from configs.clock import now
    from configs.errors import NotReady, RequestError
    from monitoring.verdicts.verdict import ALARMS
    from serving.ledger.monitor_runs import RunStore

    if not verdict or until is None or not because:
        raise RequestError(
            "An acknowledgement needs a verdict, a day and a reason.",
            "Use --acknowledge VERDICT --until DAY --because TEXT.",
        )
    store = RunStore(context.database)
    run = store.last()
    if run is None:
        raise NotReady("There is no verdict to acknowledge yet.", "Run `oarlock monitor` first.")
    if run.verdict != verdict or run.verdict not in ALARMS:
        raise RequestError(
            f"The last verdict is {run.verdict!r}, not an alarm {verdict!r}.",
            "Acknowledge only an alarm of the last run.",
        )
    if until <= run.as_of:
        raise RequestError(
            f"{_day(until)} is not after {_day(run.as_of)}, the day of the verdict.", "Name a later day."
        )
    store.acknowledge(run, until, because, at=now())
    context.record_audit("monitor_acknowledged", run.verdict, until=_day(until), because=because)
    context.echo(f"{run.verdict} ({run.subject}) is known until {_day(until)}: {because}")
    return 0


def _lines(report: "HealthReport") -> Iterator[str]:
    """The report in at most twenty lines."""
    from monitoring.health import describe_checks

    yield f"Version {report.version.number} on {report.checks.as_of:%Y-%m-%d}: {report.decision.verdict}"
    yield from _decision_lines(report.decision)
    for check, text in describe_checks(report).items():
        yield f"- {check}: {text}"


def _decision_lines(decision: "HealthDecision") -> Iterator[str]:
    yield f"- cause: {decision.cause}"
    if decision.began_after and decision.began_before:
        yield f"- began: after {_day(decision.began_after)}, by {_day(decision.began_before)}"
    if decision.waiting:
        yield f"- waiting costs: {decision.waiting}"
    if decision.command:
        yield f"- do: {decision.command}"
    if decision.verdict == "cannot tell yet":
        expected = f"from {_day(decision.tells_from)} on" if decision.tells_from else "once risks are served and known"
        yield f"- a verdict is expected {expected}"


def _day(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d}"
