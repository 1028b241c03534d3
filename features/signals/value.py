"""Value: what the account gets for what it pays."""

from features.signals.base import signal


@signal(
    unit="events per MRR",
    days=(28, 91),
    actionable=True,
    label="usage per unit of spend, last {days} days",
    moves="usage per unit of spend {moved} from {before} to {now} events in {days} days",
    past=("events_per_mrr_{days}d", "events_per_mrr_trend_{days}d"),
)
def events_per_mrr(events, mrr, days):  # noqa: ARG001 - the window is in the inputs' names
    """Usage events in the last {days} days per unit of monthly recurring revenue (MRR)."""
    return events / mrr.nullif(0)


@signal(
    unit="x",
    days=(91,),
    windows_back=2,
    actionable=True,
    label="usage per unit of spend vs. the previous {days} days",
    moves="usage per unit of spend {moved} from {before} to {now} events in {days} days",
    past=("events_per_mrr_{days}d", "events_per_mrr_trend_{days}d"),
)
def events_per_mrr_trend(events_trend, mrr_change, days):  # noqa: ARG001 - the window is in the inputs' names
    """Usage events per unit of MRR in the last {days} days, divided by those in the {days} days before."""
    return events_trend / mrr_change.nullif(0)


@signal(unit="types per MRR", days=(91,), actionable=True, label="event types per unit of spend, last {days} days")
def event_types_per_mrr(event_types, mrr, days):  # noqa: ARG001 - the window is in the inputs' names
    """Distinct event types used in the last {days} days per unit of MRR."""
    return event_types / mrr.nullif(0)


@signal(unit="MRR per user", days=(28, 91), actionable=True, label="spend per daily active user, last {days} days")
def cost_per_active_user(mrr, daily_active_users, days):  # noqa: ARG001 - the window is in the inputs' names
    """MRR per average daily active user in the last {days} days."""
    return mrr / daily_active_users.nullif(0)


@signal(unit="MRR", days=(28, 91), actionable=True, label="spend on unused seats, last {days} days")
def unused_seat_mrr(mrr, seat_utilisation, days):  # noqa: ARG001 - the window is in the inputs' names
    """MRR paid for seats that are not used on an average day of the last {days} days."""
    unused = 1 - seat_utilisation
    return mrr * (unused > 0).ifelse(unused, 0)


@signal(unit="share", actionable=True, label="share of key milestones reached")
def key_milestones_reached_share(milestones):
    """Share of the planned milestones `first_value` and `live` that have been reached."""
    goal = milestones.milestone.isin(["first_value", "live"])
    return milestones.count(where=goal & milestones.reached_at.notnull()) / milestones.count(where=goal).nullif(0)


@signal(unit="days", text="first value was {value} days ago", absent="first value has not been reached")
def days_since_first_value(milestones):
    """Days since the milestone `first_value` was reached."""
    return milestones.reached_at_age.max(where=milestones.milestone == "first_value")


@signal(unit="share")
def share_of_life_since_first_value(days_since_first_value, account_age):
    """Share of the account's age that lies after the milestone `first_value`."""
    return days_since_first_value / account_age.nullif(0)


@signal(unit="days")
def days_from_first_value_to_renewal(days_since_first_value, days_until_renewal):
    """Days from the milestone `first_value` to the end of the current paid term."""
    return days_since_first_value + days_until_renewal
