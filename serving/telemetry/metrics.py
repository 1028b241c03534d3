"""The metrics, for Prometheus.

Each process keeps counters and histograms in files; the process that is scraped reads the files of all of them. The
files are in the state folder, apart for each service, and are mapped into memory: a write to a page that a full disk
cannot hold would kill the process. So their space is reserved first, and without space a process counts in memory.
Gauges that describe the state (ages, versions, bands) are collected when they are scraped.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client import values as metric_values
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from configs.background import TaskHealth
from serving.ledger.writer import LedgerWriter

LOG = logging.getLogger("oarlock.metrics")
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MULTIPROCESS_DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
FILE_PREFIXES = ("counter", "histogram", "gauge_livemax", "gauge_livesum")
RESERVED_BYTES = 1 << 20  # what prometheus_client maps at first, and some thousand time series
DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@dataclass(frozen=True)
class MetricFamily:
    """A gauge or counter that is read when it is scraped: its name, its description and the names of its labels."""

    name: str
    description: str
    label_names: tuple[str, ...] = ()
    is_counter: bool = False


@dataclass(frozen=True)
class Sample:
    """The values of a metric when it is scraped, by its labels."""

    family: MetricFamily
    values: Mapping[tuple[str, ...], float]


class TotalCounter:
    """A counter that follows totals which are counted elsewhere, by the value of its label if it has one."""

    def __init__(self, registry: CollectorRegistry, name: str, description: str, label: str = "") -> None:
        self._counter = Counter(name, description, [label] if label else [], registry=registry)
        self._has_label, self._counted = bool(label), dict[str, int]()

    def follow(self, totals: Mapping[str, int]) -> None:
        """Count what was added to the totals since the last call."""
        for value, total in dict(totals).items():
            counter = self._counter.labels(value) if self._has_label else self._counter
            counter.inc(total - self._counted.get(value, 0))
            self._counted[value] = total


class Metrics:
    """The metrics of one process, which can render those of all."""

    def __init__(self, collect_gauges: Callable[[], Iterable[Sample]]) -> None:
        self._in_files = _reserve_files()
        registry = self.registry = CollectorRegistry()
        self._collect_gauges = collect_gauges
        self.requests = Counter(
            "oarlock_http_requests", "Answered requests.", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "oarlock_http_request_duration_seconds",
            "Time from a request to its response.",
            ["method", "route"],
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self._add_totals(registry)
        self.lag = Gauge(
            "oarlock_ledger_lag_seconds",
            "How long the oldest response that the ledger's database does not hold has waited.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.backlog = Gauge(
            "oarlock_ledger_backlog_bytes",
            "Bytes in the write-ahead log that the ledger's database does not hold.",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def _add_totals(self, registry: CollectorRegistry) -> None:
        self._rows_written = TotalCounter(
            registry, "oarlock_ledger_rows_written", "Risks written to the ledger's database."
        )
        self._responses_refused = TotalCounter(
            registry, "oarlock_ledger_responses_refused", "Responses refused because no risk could be recorded."
        )
        self._corrupt_records = TotalCounter(
            registry,
            "oarlock_ledger_corrupt_records",
            "Parts of the write-ahead log that could not be read and were set aside.",
        )
        self._failures = TotalCounter(registry, "oarlock_background_failures", "Failures of background work.", "task")
        self._requests_refused = TotalCounter(
            registry, "oarlock_http_requests_refused", "Requests refused because of too much work.", "pool"
        )
        self._connections_closed = TotalCounter(
            registry, "oarlock_http_connections_closed", "Connections closed because they broke a limit.", "reason"
        )

    def update_ledger_metrics(self, writer: LedgerWriter) -> None:
        """Read how far behind the ledger of this process is."""
        self.lag.set(writer.lag_seconds)
        self.backlog.set(writer.backlog_bytes)
        self._rows_written.follow({"": writer.stored_rows})
        self._responses_refused.follow({"": writer.refused_responses})
        self._corrupt_records.follow({"": writer.corrupt_records})

    def update_background_metrics(self, tasks: Iterable[TaskHealth]) -> None:
        """Count the failures of this process's background work."""
        self._failures.follow({task.name: task.failures for task in tasks})

    def update_load_metrics(self, closed_connections: Mapping[str, int], refused_requests: Mapping[str, int]) -> None:
        """Count the connections that this process closed, by reason, and the requests it refused, by pool."""
        self._connections_closed.follow(closed_connections)
        self._requests_refused.follow(refused_requests)

    def render(self) -> bytes:
        """Every metric of every process in Prometheus' text format."""
        return self._render_processes() + render_samples(self._collect_gauges())

    def _render_processes(self) -> bytes:
        if not self._in_files:
            return generate_latest(self.registry)
        _delete_gauges_of_dead_processes(Path(os.environ[MULTIPROCESS_DIR_VARIABLE]))
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry)


def render_samples(samples: Iterable[Sample]) -> bytes:
    """The values in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_SampleCollector(samples))
    return generate_latest(registry)


def _reserve_files() -> bool:
    """Reserve the space of this process's files; False if it has to count in memory."""
    if MULTIPROCESS_DIR_VARIABLE not in os.environ:
        return False
    folder = Path(os.environ[MULTIPROCESS_DIR_VARIABLE])
    try:
        for name in FILE_PREFIXES:
            with (folder / f"{name}_{os.getpid()}.db").open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVED_BYTES)
    except OSError as error:
        LOG.error("this process counts its metrics in memory, and the other processes' are not shown: %s", error)
        # Chosen when prometheus_client is imported, before anybody knows whether there is space.
        metric_values.ValueClass = metric_values.MutexValue
        return False
    return True


class _SampleCollector(Collector):
    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterable[Metric]:
        for sample in self._samples:
            family = _to_prometheus(sample.family)
            for labels, value in sample.values.items():
                family.add_metric(labels, value)
            yield family


def _to_prometheus(family: MetricFamily) -> GaugeMetricFamily | CounterMetricFamily:
    metric = CounterMetricFamily if family.is_counter else GaugeMetricFamily
    return metric(family.name, family.description, labels=family.label_names)


def _delete_gauges_of_dead_processes(folder: Path) -> None:
    # A killed process leaves its gauges behind. Its counts stay: they did happen.
    for file in folder.glob("gauge_live*_*.db"):
        owner = re.search(r"_(\d+)\.db$", file.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            file.unlink(missing_ok=True)
