"""Tracing: BentoML's own spans, configured by OpenTelemetry's standard variables.

OTEL_EXPORTER_OTLP_ENDPOINT     the collector, such as http://localhost:4318; no spans are made if it is unset
OTEL_TRACES_SAMPLER_ARG         the share of requests that are traced; 1 by default
"""

from collections.abc import Mapping
from typing import TypedDict

from configs.errors import ConfigError

ENDPOINT_VARIABLE, SAMPLE_RATE_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER_ARG"


class TracingOptions(TypedDict, total=False):
    """BentoML's settings of tracing."""

    excluded_urls: str
    exporter_type: str
    sample_rate: float
    otlp: dict[str, str]


# Spans that nobody collects would cost more than the risk.
NO_SPANS: TracingOptions = {"excluded_urls": ".*"}


def tracing_options(environment: Mapping[str, str]) -> TracingOptions:
    """BentoML's settings of tracing. Raises ConfigError for an invalid sample rate, or if no exporter is installed."""
    endpoint = environment.get(ENDPOINT_VARIABLE)
    if not endpoint:
        return NO_SPANS
    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: F401 - BentoML imports it only once it serves
    except ModuleNotFoundError:
        message = f"{ENDPOINT_VARIABLE} is set, but no exporter of spans is installed."
        raise ConfigError(message, "In the folder of Oarlock's source: pip install '.[tracing]'") from None
    otlp = {"protocol": "http", "endpoint": f"{endpoint.rstrip('/')}/v1/traces"}
    sample_rate = _parse_sample_rate(environment.get(SAMPLE_RATE_VARIABLE, "1"))
    return {"exporter_type": "otlp", "sample_rate": sample_rate, "otlp": otlp}


def _parse_sample_rate(text: str) -> float:
    try:
        sample_rate = float(text)
    except ValueError:
        sample_rate = -1.0
    if not 0 <= sample_rate <= 1:
        raise ConfigError(f"{SAMPLE_RATE_VARIABLE} is {text!r}.", "Set it to a share between 0 and 1.")
    return sample_rate
