"""The metrics, in Prometheus' format and under conventional names.

Counters and histograms are kept by each process in files that whichever process is asked reads together; what can be
read off the state (ages, versions, bands) is read when it is asked for.
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

from serving.ledger.writer import LedgerWriter

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MULTIPROCESS_DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@dataclass(frozen=True)
class GaugeSample:
    """One figure read when it is asked for: its name, what it is, its labels' names, and a value per labels."""

    name: str
    description: str
    label_names: tuple[str, ...]
    values: dict[tuple[str, ...], float]


class Metrics:
    """The metrics of one process, and of all of them when asked; `readings` reads the state."""

    def __init__(self, readings: Callable[[], Iterable[GaugeSample]]) -> None:
        self.registry = CollectorRegistry()
        self._readings = readings
        self._told = (0, 0)
        self.requests = Counter(
            "oarlock_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "oarlock_request_seconds",
            "Seconds from a request to its reply.",
            ["method", "route"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self.written = Counter("oarlock_ledger_written", "Risks the ledger's database took.", registry=self.registry)
        self.refused = Counter(
            "oarlock_ledger_refused", "Replies refused because no risk could be recorded.", registry=self.registry
        )
        self.lag = Gauge(
            "oarlock_ledger_lag_seconds",
            "How long the oldest reply that the ledger's database does not hold has waited.",
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self.waiting = Gauge(
            "oarlock_ledger_waiting_bytes",
            "Bytes in the journal that the ledger's database does not hold.",
            registry=self.registry,
            multiprocess_mode="livesum",
        )

    def update_ledger_metrics(self, writer: LedgerWriter) -> None:
        """Take over how far behind the ledger of this process is."""
        self.lag.set(writer.lag_seconds)
        self.waiting.set(writer.backlog_bytes)
        self.written.inc(writer.stored_rows - self._told[0])
        self.refused.inc(writer.refused_responses - self._told[1])
        self._told = (writer.stored_rows, writer.refused_responses)

    def render(self) -> bytes:
        """Every metric of every process, as Prometheus reads it."""
        now = CollectorRegistry()
        now.register(_Read(self._readings()))
        return self._counted() + generate_latest(now)

    def _counted(self) -> bytes:
        if MULTIPROCESS_DIR_VARIABLE not in os.environ:
            return generate_latest(self.registry)
        _forget_the_dead(Path(os.environ[MULTIPROCESS_DIR_VARIABLE]))
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return generate_latest(together)


class _Read(Collector):
    def __init__(self, readings: Iterable[GaugeSample]) -> None:
        self._readings = readings

    def collect(self) -> Iterable[GaugeMetricFamily]:
        for one in self._readings:
            family = GaugeMetricFamily(one.name, one.description, labels=one.label_names)
            for labels, value in one.values.items():
                family.add_metric(labels, value)
            yield family


def _forget_the_dead(folder: Path) -> None:
    # A process that was killed leaves its gauges behind; its counts stay, they did happen.
    for file in folder.glob("gauge_live*_*.db"):
        owner = re.search(r"_(\d+)\.db$", file.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            file.unlink(missing_ok=True)
