"""The metrics of the daily job, as a text file for node_exporter: a job that has ended answers no scrape."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from configs.files import atomic_write
from monitoring.daily.day_record import OUTCOMES, DayRecord
from monitoring.daily.step_names import STEPS
from serving.telemetry.metrics import MetricFamily, Sample, render_samples

DAY = MetricFamily("oarlock_daily_day_timestamp_seconds", "The day of the newest daily job.")
OUTCOME = MetricFamily("oarlock_daily_outcome", "1 for how each step of the day ended, else 0.", ("step", "outcome"))
DURATION = MetricFamily("oarlock_daily_duration_seconds", "How long each step of the day took.", ("step",))
LAST_DONE = MetricFamily("oarlock_daily_last_done_timestamp_seconds", "When each step was last done.", ("step",))
DAILY_METRICS = (DAY, OUTCOME, DURATION, LAST_DONE)
PUBLIC_FILE = 0o644  # it names no account, and node_exporter runs as another user


def write_day_metrics(file: Path, record: DayRecord) -> None:
    """Replace the file with the metrics of a day."""
    with atomic_write(file) as temporary:
        temporary.write_bytes(render_samples(day_values(record)))
        temporary.chmod(PUBLIC_FILE)


def day_values(record: DayRecord) -> list[Sample]:
    """The metrics of a day."""
    return [
        Sample(DAY, {(): _seconds(record.day)}),
        Sample(OUTCOME, _outcomes(record)),
        Sample(DURATION, {(name,): record.step(name).seconds for name in STEPS}),
        Sample(LAST_DONE, {(name,): _seconds(at) for name, at in record.last_done.items()}),
    ]


def _outcomes(record: DayRecord) -> Mapping[tuple[str, ...], float]:
    return {(name, outcome): float(record.step(name).outcome == outcome) for name in STEPS for outcome in OUTCOMES}


def _seconds(instant: datetime) -> float:
    return instant.replace(tzinfo=UTC).timestamp()
