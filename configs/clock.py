"""The clock: the only place that reads the time."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current instant, UTC without a zone, like every instant in Oarlock."""
    return datetime.now(UTC).replace(tzinfo=None)


def today(observed_until: datetime | None) -> datetime:
    """The midnight at which today began, or the last day of a data set that ends at `observed_until`."""
    return (observed_until or now()).replace(hour=0, minute=0, second=0, microsecond=0)
