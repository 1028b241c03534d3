"""The sentence that answers: how much of the recurring revenue was kept, gross and net, and of how many accounts."""

from features.retention.rates import RateInterval
from features.retention.report import RetentionReport
from serving.pages.formats import format_day, format_money, format_percent


def answer_retention(report: RetentionReport, currency: str | None) -> str:
    """What was kept of the revenue of the period's start."""
    everybody, since = report.everybody, format_day(report.since)
    if everybody is None:
        return f"No account paid on {since}, so there was nothing to keep."
    start = format_money(everybody.start / 100, currency)
    return (
        f"Of {start} a month that {everybody.accounts:,} accounts paid on {since},"
        f" {describe_rate(everybody.gross)} was kept, and {describe_rate(everybody.net)} with their expansion."
    )


def describe_rate(interval: RateInterval) -> str:
    """A rate with its interval, or why it has none.

    >>> describe_rate(RateInterval(0.9, 0.85, 0.94))
    '90.0\\xa0% (85.0 to 94.0\\xa0%)'
    """
    rate = format_percent(interval.rate)
    if interval.low is None or interval.high is None:
        return f"{rate} (too few for an interval)"
    return f"{rate} ({interval.low * 100:.1f} to {format_percent(interval.high)})"
