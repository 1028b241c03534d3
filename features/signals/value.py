"""Value: what the account gets for what it pays."""

from features.signals.declaration import signal


@signal(unit="events per MRR", days=(28, 91), actionable=True)
def events_for_the_money(events, mrr, days):  # noqa: ARG001 - the window is in the inputs' names
    """Events in the last {days} days for each unit of monthly recurring revenue."""
    return events / mrr.nullif(0)


@signal(unit="MRR per person", days=(28,), actionable=True)
def cost_per_active_user(mrr, active_users, days):  # noqa: ARG001 - the window is in the inputs' names
    """Monthly recurring revenue for each person active on an average day of the last {days} days."""
    return mrr / active_users.nullif(0)
