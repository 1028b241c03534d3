"""Contract: what was agreed, for how long, when it is up, and whether notice was given."""

from features.signals.base import signal


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


@signal(unit="x", days=(182, 364))
def seats_change(subscriptions, days):
    """Seats paid for now, relative to those of {days} days ago."""
    then = (subscriptions.age > days) & (subscriptions.ended_at.isnull() | (subscriptions.ended_at_age <= days))
    now = subscriptions.seats.sum(where=subscriptions.ended_at.isnull())
    return now / subscriptions.seats.sum(where=then).nullif(0)


@signal(unit="days")
def days_since_renewal(subscriptions):
    """Days since the newest running subscription was started or renewed."""
    return subscriptions.age.min(where=subscriptions.ended_at.isnull())


@signal(unit="share")
def mrr_up_for_renewal(subscriptions):
    """Share of the monthly recurring revenue whose paid term ends within the coming 91 days, or has ended."""
    running = subscriptions.ended_at.isnull()
    ending = subscriptions.mrr.sum(where=running & (subscriptions.renews_at_age >= -91)).fill_null(0)
    return ending / subscriptions.mrr.sum(where=running).nullif(0)


@signal(unit="subscriptions", actionable=True)
def add_ons(subscriptions):
    """Running subscriptions that carry no seats."""
    return subscriptions.count(where=subscriptions.ended_at.isnull() & subscriptions.seats.isnull())


@signal(unit="notices", empty=0, direction=1)
def notices_given(notices):
    """Times the account said so far that it will leave, or was told it must."""
    return notices.count()


@signal(unit="notices", empty=0)
def involuntary_notices(notices):
    """Notices so far that came from a failed payment, not from a wish to leave."""
    return notices.count(where=~notices.voluntary)


@signal(unit="days")
def days_since_notice(notices):
    """Days since notice was last given."""
    return notices.age.min()


@signal(unit="days")
def days_to_leaving(notices):
    """Days until the first notice that still lies ahead takes effect."""
    return (-notices.effective_at_age).min(where=notices.effective_at_age <= 0)
