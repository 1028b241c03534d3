"""Contract: what was agreed, for how long, and when it is up."""

from features.signals.declaration import signal


@signal(unit="days")
def days_to_renewal(subscriptions):
    """Days until the first of the running subscriptions reaches the end of its paid term."""
    return (-subscriptions.renews_at_age).min(where=subscriptions.ended_at.isnull())


@signal(unit="months")
def term_months(subscriptions):
    """Length of the longest running term, in months."""
    return subscriptions.term_months.max(where=subscriptions.ended_at.isnull())


@signal(unit="share")
def term_passed(subscriptions):
    """How far the running term furthest along has come, from 0 at its start to 1 at its end."""
    length = subscriptions.started_at_age - subscriptions.renews_at_age
    return (subscriptions.started_at_age / length.nullif(0)).max(where=subscriptions.ended_at.isnull())


@signal(unit="days")
def tenure(subscriptions):
    """Days since the first subscription started."""
    return subscriptions.age.max()


@signal(unit="terms")
def renewals(subscriptions):
    """Different days on which a subscription was started or renewed so far."""
    return subscriptions.started_at.nunique()


@signal(unit="subscriptions", actionable=True)
def running_subscriptions(subscriptions):
    """Subscriptions running now, plans and add-ons together."""
    return subscriptions.ended_at.isnull().sum()


@signal(unit="plans")
def plans_tried(subscriptions):
    """Different plans and add-ons held so far."""
    return subscriptions.plan.nunique()


@signal(kind="category")
def plan(subscriptions):
    """The plan running now (of several, the one that carries seats)."""
    return subscriptions.plan.max(where=subscriptions.ended_at.isnull() & subscriptions.seats.notnull())


@signal(unit="share", actionable=True)
def auto_renewing(subscriptions):
    """Share of the running subscriptions that renew by themselves."""
    return subscriptions.auto_renew.cast("float64").mean(where=subscriptions.ended_at.isnull())


@signal(unit="seats", actionable=True)
def seats(subscriptions):
    """Seats paid for now."""
    return subscriptions.seats.sum(where=subscriptions.ended_at.isnull())


@signal(unit="x", days=(182,))
def seats_change(subscriptions, days):
    """Seats paid for now, relative to those of {days} days ago."""
    then = (subscriptions.age > days) & (subscriptions.ended_at.isnull() | (subscriptions.ended_at_age <= days))
    now = subscriptions.seats.sum(where=subscriptions.ended_at.isnull())
    return now / subscriptions.seats.sum(where=then).nullif(0)
