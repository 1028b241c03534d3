"""The metrics, for Prometheus.

Each process keeps counters and histograms in files; the process that is scraped reads the files of all of them. Gauges
that describe the state (ages, versions, bands) are collected when they are scraped.
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from configs.background import TaskHealth
from serving.ledger.writer import LedgerWriter

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MULTIPROCESS_DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@dataclass(frozen=True)
class GaugeSample:
    """A gauge when it is scraped: its name, its description, the names of its labels, and a value per labels."""

    name: str
    description: str
    label_names: tuple[str, ...]
    values: dict[tuple[str, ...], float]


class Metrics:
    """The metrics of one process, which can render those of all."""

    def __init__(self, collect_gauges: Callable[[], Iterable[GaugeSample]]) -> None:
        self.registry = CollectorRegistry()
        self._collect_gauges = collect_gauges
        self._counted_rows = self._counted_refusals = self._counted_corrupt = 0
        self._counted_failures: dict[str, int] = {}
        self.requests = Counter(
            "oarlock_http_requests", "Answered requests.", ["method", "route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "oarlock_http_request_duration_seconds",
            "Time from a request to its response.",
            ["method", "route"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self.rows_written = Counter(
            "oarlock_ledger_rows_written", "Risks written to the ledger's database.", registry=self.registry
        )
        self.responses_refused = Counter(
            "oarlock_ledger_responses_refused",
            "Responses refused because no risk could be recorded.",
            registry=self.registry,
        )
        self.corrupt_records = Counter(
            "oarlock_ledger_corrupt_records",
            "Parts of the write-ahead log that could not be read and were set aside.",
            registry=self.registry,
        )
        self.background_failures = Counter(
            "oarlock_background_failures", "Failures of background work.", ["task"], registry=self.registry
        )
        self.lag = Gauge(
            "oarlock_ledger_lag_seconds",
            "How long the oldest response that the ledger's database does not hold has waited.",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self.backlog = Gauge(
            "oarlock_ledger_backlog_bytes",
            "Bytes in the write-ahead log that the ledger's database does not hold.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )

    def update_ledger_metrics(self, writer: LedgerWriter) -> None:
        """Read how far behind the ledger of this process is."""
        self.lag.set(writer.lag_seconds)
        self.backlog.set(writer.backlog_bytes)
        rows, refusals = writer.stored_rows, writer.refused_responses
        self.rows_written.inc(rows - self._counted_rows)
        self.responses_refused.inc(refusals - self._counted_refusals)
        self._counted_rows, self._counted_refusals = rows, refusals
        self.corrupt_records.inc(writer.corrupt_records - self._counted_corrupt)
        self._counted_corrupt = writer.corrupt_records

    def update_background_metrics(self, tasks: Iterable[TaskHealth]) -> None:
        """Count the failures of this process's background work."""
        for task in tasks:
            failures = task.failures
            self.background_failures.labels(task.name).inc(failures - self._counted_failures.get(task.name, 0))
            self._counted_failures[task.name] = failures

    def render(self) -> bytes:
        """Every metric of every process in Prometheus' text format."""
        registry = CollectorRegistry()
        registry.register(_SampleCollector(self._collect_gauges()))
        return self._render_processes() + generate_latest(registry)

    def _render_processes(self) -> bytes:
        if MULTIPROCESS_DIR_VARIABLE not in os.environ:
            return generate_latest(self.registry)
        _delete_gauges_of_dead_processes(Path(os.environ[MULTIPROCESS_DIR_VARIABLE]))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry)


class _SampleCollector(Collector):
    def __init__(self, samples: Iterable[GaugeSample]) -> None:
        self._samples = samples

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for sample in self._samples:
            family = GaugeMetricFamily(sample.name, sample.description, labels=sample.label_names)
            for labels, value in sample.values.items():
                family.add_metric(labels, value)
            yield family


def _delete_gauges_of_dead_processes(folder: Path) -> None:
    # A killed process leaves its gauges behind. Its counts stay: they did happen.
    for file in folder.glob("gauge_live*_*.db"):
        owner = re.search(r"_(\d+)\.db$", file.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            file.unlink(missing_ok=True)
