"""Tracing: spans go to the collector that OpenTelemetry's standard variables name, and nowhere else."""

import sys

import pytest

from configs.errors import ConfigError
from serving.telemetry.tracing import NO_SPANS, tracing_options

COLLECTOR = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318/"}


def test_no_spans_are_made_without_a_collector():
    assert tracing_options({}) == tracing_options({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}) == NO_SPANS


@pytest.mark.parametrize(("sampler", "sample_rate"), [({}, 1.0), ({"OTEL_TRACES_SAMPLER_ARG": "0.1"}, 0.1)])
def test_a_collector_gets_its_share_of_the_requests(sampler, sample_rate):
    otlp = {"protocol": "http", "endpoint": "http://localhost:4318/v1/traces"}
    expected = {"exporter_type": "otlp", "sample_rate": sample_rate, "otlp": otlp}
    assert tracing_options({**COLLECTOR, **sampler}) == expected


def test_a_missing_exporter_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(ConfigError, match=r"no exporter of spans is installed.*pip install '\.\[tracing\]'"):
        tracing_options(COLLECTOR)


@pytest.mark.parametrize("share", ["", "all", "1.5", "-0.1", "nan"])
def test_an_invalid_sample_rate_is_refused(share):
    with pytest.raises(ConfigError, match=f"OTEL_TRACES_SAMPLER_ARG is {share!r}"):
        tracing_options({**COLLECTOR, "OTEL_TRACES_SAMPLER_ARG": share})
