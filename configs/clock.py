"""The clock: the one place that asks what time it is."""

from datetime import UTC, datetime


def now() -> datetime:
    """This instant, UTC without a zone, as every instant in Oarlock."""
    return datetime.now(UTC).replace(tzinfo=None)


def today(observed_until: datetime | None) -> datetime:
    """The midnight that began the day a data set is looked at: today, or the day a finished data set ends."""
    return (observed_until or now()).replace(hour=0, minute=0, second=0, microsecond=0)
