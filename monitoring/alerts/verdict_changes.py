"""Changes of the verdict of `oarlock monitor`: which runs are reported, and what is said of them."""

from collections.abc import Iterator, Sequence

from monitoring.alerts.rules import AlertEvent, EventValue
from monitoring.verdicts.verdict import ALARMS
from serving.ledger.monitor_runs import MonitorRun


def verdict_events(before: MonitorRun | None, runs: Sequence[MonitorRun]) -> Iterator[AlertEvent]:
    """An event for each run whose verdict, or what it is about, is not that of the run before; oldest first.

    `before` is the run before `runs`; without it the first run is reported only if it is an alarm.
    """
    for earlier, run in zip([before, *runs], runs, strict=False):
        if _is_changed(earlier, run):
            subject = f"{run.verdict} {run.subject} {run.run_at.isoformat()}"
            previous = {} if earlier is None else _describe(earlier)
            yield AlertEvent("verdict_changed", subject, previous, _describe(run))


def _is_changed(before: MonitorRun | None, run: MonitorRun) -> bool:
    if before is None:
        return run.verdict in ALARMS
    return (before.verdict, before.subject) != (run.verdict, run.subject)


def _describe(run: MonitorRun) -> dict[str, EventValue]:
    """What a run says; what it does not know is absent."""
    described: dict[str, EventValue] = {"verdict": run.verdict, "as_of": run.as_of, "version": run.version}
    described["cause"] = run.cause
    optional = {
        "subject": run.subject,
        "began_after": run.began_after,
        "began_before": run.began_before,
        "waiting": run.waiting,
        "command": run.command,
    }
    return described | {name: value for name, value in optional.items() if value}
