"""Tracing: spans go to the collector that OpenTelemetry's standard variables name, and nowhere else."""

import sys

import pytest

from configs.errors import ConfigError
from serving.telemetry.tracing import NO_SPANS, tracing_options

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318/"}


def test_without_a_collector_no_span_is_made():
    assert tracing_options({}) == tracing_options({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}) == NO_SPANS


def test_a_collector_gets_the_share_of_requests_that_is_asked_for():
    told = tracing_options({**COLLECTOR, "OTEL_TRACES_SAMPLER_ARG": "0.1"})
    assert (told["sample_rate"], tracing_options(COLLECTOR)["sample_rate"]) == (0.1, 1.0)
    assert told["otlp"]["endpoint"] == "http://localhost:4318/v1/traces"


def test_without_what_sends_spans_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(ConfigError, match=r"nothing is installed that sends spans.*oarlock\[tracing\]"):
        tracing_options(COLLECTOR)


@pytest.mark.parametrize("share", ["", "all", "1.5", "-0.1", "nan"])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match=f"OTEL_TRACES_SAMPLER_ARG is {share!r}"):
        tracing_options({**COLLECTOR, "OTEL_TRACES_SAMPLER_ARG": share})
