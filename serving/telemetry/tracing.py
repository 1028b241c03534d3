"""Tracing: BentoML's own spans, sent by OpenTelemetry's standard variables to a collector where one is named.

OTEL_EXPORTER_OTLP_ENDPOINT     the collector, such as http://localhost:4318; without it no span is made
OTEL_TRACES_SAMPLER_ARG         the share of requests that are traced, 1 where left out
"""

from collections.abc import Mapping
from typing import Any

from configs.errors import ConfigError

ENDPOINT, SHARE = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER_ARG"
# Spans that nobody collects cost more than the risk.
NO_SPANS = {"excluded_urls": ".*"}


def tracing_options(environment: Mapping[str, str]) -> dict[str, Any]:
    """BentoML's settings of tracing. Raises ConfigError for a share that is none, or without what sends spans."""
    endpoint = environment.get(ENDPOINT)
    if not endpoint:
        return NO_SPANS
    try:
        import opentelemetry.exporter.otlp.proto.http  # noqa: F401 - BentoML imports it only once it serves
    except ModuleNotFoundError:
        hint = "pip install oarlock[tracing]"
        raise ConfigError(f"{ENDPOINT} is set, but nothing is installed that sends spans.", hint) from None
    otlp = {"protocol": "http", "endpoint": f"{endpoint.rstrip('/')}/v1/traces"}
    return {"exporter_type": "otlp", "sample_rate": _share(environment.get(SHARE, "1")), "otlp": otlp}


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigError(f"{SHARE} is {text!r}.", "It is a share between 0 and 1.")
    return share
