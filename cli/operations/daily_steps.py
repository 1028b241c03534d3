"""The steps of the daily job: each does what the command of its name does, and returns its result in a few words."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from cli.context import CliContext
from cli.data.validate import check_playbook
from cli.export import ExportOptions, write_scores
from cli.monitoring.monitor import check_and_store
from cli.monitoring.webhooks import enqueue_events
from cli.output import format_count
from cli.shadow import record_shadow
from monitoring.daily.day_record import DayRecord
from monitoring.daily.day_runner import DayStep, StepSkipped
from monitoring.daily.step_names import StepName

NEEDS: dict[StepName, tuple[StepName, ...]] = {
    "validate": (),
    "publish": ("validate",),
    "score": ("publish",),
    "export": ("score",),
    "webhooks": ("score",),
    "monitor": ("score",),
}


def daily_steps(context: CliContext) -> list[DayStep]:
    """The steps in their order."""
    work: dict[StepName, Callable[[CliContext, DayRecord], str]] = {
        "validate": _validate,
        "publish": _publish,
        "score": _score,
        "export": _export,
        "webhooks": _send_webhooks,
        "monitor": _monitor,
    }
    return [DayStep(name, partial(run, context), NEEDS[name]) for name, run in work.items()]


def _validate(context: CliContext, _: DayRecord) -> str:
    from features.publishing.open_dataset import open_dataset

    check_playbook(context)
    with context.progress("validate") as progress:
        progress("reading", 0, 1)
        dataset = open_dataset(context.settings, context.state)
    quarantined = sum(violation.rows for violation in dataset.violations)
    text = f"{format_count(len(dataset.tables), 'table')}, {len(dataset.history.signals)} signals"
    return f"{text}, {format_count(quarantined, 'row')} quarantined" if quarantined else text


def _publish(context: CliContext, record: DayRecord) -> str:
    from features.publishing.pipeline import PublishRequest, publish

    with context.progress("publish") as progress:
        result = publish(context.settings, context.state, PublishRequest(record.day), progress)
    record_shadow(context)
    return f"{format_count(result.day.snapshots, 'account')}, {format_count(result.computed, 'day')} computed"


def _score(context: CliContext, record: DayRecord) -> str:
    """Each account once: what an attempt that was killed has recorded is not recorded again."""
    from serving.gc_tuning import tune_garbage_collector
    from serving.scoring.batch import open_batch

    _require_online(context, record.day)
    batch = open_batch(context.state, context.open_scorer(), [], None)
    request_id = _request_id(record, "score", batch.scorer.champions.champion().version.number)
    batch = batch.continued(request_id, context.ledger.served_accounts(request_id, record.day))
    tune_garbage_collector()
    count = len(batch.account_ids)
    with context.progress("score") as progress:
        batch.score_all(0, max_accounts=0, on_progress=lambda done: progress("accounts", done, count))
    return format_count(len(context.ledger.served_accounts(request_id, record.day)), "account")


def _export(context: CliContext, record: DayRecord) -> str:
    _require_online(context, record.day)
    exports = context.settings.daily.exports
    if not exports:
        raise StepSkipped("no export is declared in [daily]")
    written = list[str]()
    for number, export in enumerate(exports):
        request_id = _request_id(record, "export", number)
        options = ExportOptions(export.output, export.field_map, False, None, export.drivers, request_id)
        exported = write_scores(context, options)
        written.append(f"{exported.target}: {format_count(exported.accounts, 'account')}")
    return "; ".join(written)


def _send_webhooks(context: CliContext, record: DayRecord) -> str:
    _require_online(context, record.day)
    if not context.settings.webhooks.endpoints:
        raise StepSkipped("no endpoint is declared in [webhooks]")
    return _send(context)


def _monitor(context: CliContext, record: DayRecord) -> str:
    """Check what is served; a changed verdict is sent at once."""
    _require_online(context, record.day)
    report, _ = check_and_store(context)
    sent = _send(context) if context.settings.webhooks.endpoints else ""
    return "; ".join(filter(None, (report.decision.verdict, report.decision.command, sent)))


def _send(context: CliContext) -> str:
    from configs.clock import now
    from monitoring.alerts.webhooks import send_due_deliveries

    context.recover_ledger()
    queued = enqueue_events(context)
    results = send_due_deliveries(context.database, context.settings.webhooks, now)
    return f"{queued:,} queued, {results['sent']:,} sent, {results['pending']:,} to be tried again"


def _require_online(context: CliContext, day: datetime) -> None:
    """Raise StepSkipped if another day is online: what is sent, served and judged is always the newest day."""
    from features.store.publication import published_as_of

    online = published_as_of(context.state)
    if online != day:
        raise StepSkipped(f"{online:%Y-%m-%d} is online")


def _request_id(record: DayRecord, step: StepName, number: int) -> str:
    return f"daily-{record.day:%Y%m%d}-{record.attempt}-{step}-{number}"
