"""How risks are served."""

from typing import Annotated

from pydantic import Field

from configs.sections.section import Days, Section


class ServingSettings(Section):
    """How risks are served."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: Annotated[int, Field(ge=1, le=65535)] = 3000
    """The port to listen on."""
    workers: Annotated[int, Field(ge=1)] = 1
    """Processes that answer requests."""
    stale_after_days: Days = 3
    """Signals older than this make a risk `stale`."""
    stale_after_days_by_family: dict[str, Days] = {}
    """Limits of single families."""
    max_accounts_per_request: Annotated[int, Field(ge=1)] = 10_000
    """The most accounts in one request."""
    max_accounts_in_flight: Annotated[int, Field(ge=1)] = 20_000
    """The accounts of all requests that a worker computes at a time; more are refused at once with 503."""
    request_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 5.0
    """A request that takes longer is refused with 503, and what it would have returned is not recorded."""
    max_body_bytes: Annotated[int, Field(ge=1_000)] = 1_000_000
    """The largest body of a request."""
    max_head_bytes: Annotated[int, Field(ge=1_000)] = 32_000
    """The largest line and headers of a request."""
    max_connections: Annotated[int, Field(ge=1)] = 1_000
    """The open connections of a worker; beyond, the one that has waited longest without a request is closed."""
    head_timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    """The line and headers of a request arrive within it, or the connection is closed."""
    idle_timeout_seconds: Annotated[float, Field(gt=0)] = 5.0
    """A connection without a request is kept this long; behind a load balancer, longer than it keeps its own."""
    response_timeout_seconds: Annotated[float, Field(gt=0)] = 60.0
    """A client that has not taken a response within it is disconnected."""
    poll_seconds: Annotated[float, Field(gt=0)] = 2.0
    """How often a worker looks for a new champion."""
    idempotency_hours: Annotated[float, Field(gt=0)] = 24.0
    """How long the response to a request with an idempotency key is kept."""
    idempotency_max_bytes: Annotated[int, Field(ge=0)] = 256_000_000
    """How many bytes of such responses are kept; the oldest are removed first."""
    keep_denied_days: Days = 90
    """How long the audit keeps denied requests. What people did is kept for ever."""

    def max_signal_age_days(self, family: str) -> int:
        """How old the signals of a family may be before a risk is stale."""
        return self.stale_after_days_by_family.get(family, self.stale_after_days)
