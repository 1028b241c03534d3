"""The clock: the only place that reads the time."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current instant, UTC without a zone, like every instant in Oarlock."""
    return datetime.now(UTC).replace(tzinfo=None)


def format_instant(instant: datetime) -> str:
    """An instant without a zone, which is UTC, in the form of RFC 3339.

    >>> format_instant(datetime(2026, 7, 1, 7, 30))
    '2026-07-01T07:30:00Z'
    """
    return f"{instant.isoformat()}Z"


def parse_instant(text: str) -> datetime:
    """An instant of RFC 3339 as UTC without a zone; a text without a zone is UTC.

    >>> parse_instant("2026-07-01T09:30:00+02:00")
    datetime.datetime(2026, 7, 1, 7, 30)
    """
    instant = datetime.fromisoformat(text)
    return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant


def today(observed_until: datetime | None) -> datetime:
    """The midnight at which today began, or the last day of a data set that ends at `observed_until`."""
    return (observed_until or now()).replace(hour=0, minute=0, second=0, microsecond=0)
