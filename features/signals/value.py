"""Value: what the account gets for what it pays."""

from features.signals.base import signal


@signal(unit="events per MRR", days=(28, 91), actionable=True)
def events_for_the_money(events, mrr, days):  # noqa: ARG001 - the window is in the inputs' names
    """Events in the last {days} days for each unit of monthly recurring revenue."""
    return events / mrr.nullif(0)


@signal(unit="x", days=(91,), reach=2, actionable=True)
def events_for_the_money_trend(events_trend, mrr_change, days):  # noqa: ARG001 - the window is in the inputs' names
    """Events for each unit of monthly recurring revenue, relative to {days} days ago."""
    return events_trend / mrr_change.nullif(0)


@signal(unit="kinds per MRR", days=(91,), actionable=True)
def event_kinds_for_the_money(event_kinds, mrr, days):  # noqa: ARG001 - the window is in the inputs' names
    """Different kinds of events in the last {days} days for each unit of monthly recurring revenue."""
    return event_kinds / mrr.nullif(0)


@signal(unit="MRR per person", days=(28, 91), actionable=True)
def cost_per_active_user(mrr, active_users, days):  # noqa: ARG001 - the window is in the inputs' names
    """Monthly recurring revenue for each person active on an average day of the last {days} days."""
    return mrr / active_users.nullif(0)


@signal(unit="MRR", days=(28, 91), actionable=True)
def shelfware(mrr, seat_utilisation, days):  # noqa: ARG001 - the window is in the inputs' names
    """Monthly recurring revenue paid for seats that nobody uses on an average day of the last {days} days."""
    idle = 1 - seat_utilisation
    return mrr * (idle > 0).ifelse(idle, 0)


@signal(unit="share", actionable=True)
def goals_attained(milestones):
    """Share of the planned milestones `first_value` and `live` that have been reached."""
    goal = milestones.milestone.isin(["first_value", "live"])
    return milestones.count(where=goal & milestones.reached_at.notnull()) / milestones.count(where=goal).nullif(0)


@signal(unit="days")
def days_since_first_value(milestones):
    """Days since the milestone `first_value` was reached."""
    return milestones.reached_at_age.max(where=milestones.milestone == "first_value")


@signal(unit="share")
def time_with_value(days_since_first_value, known_for):
    """Share of the account's life that lies after its first value."""
    return days_since_first_value / known_for.nullif(0)


@signal(unit="days")
def contract_left_after_first_value(days_since_first_value, days_to_renewal):
    """Days from the first value to the end of the paid term that runs now."""
    return days_since_first_value + days_to_renewal
