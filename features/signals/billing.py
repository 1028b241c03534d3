"""Billing: what is paid, at what discount, and how that moved."""

from features.signals.declaration import signal


@signal(unit="MRR")
def mrr(subscriptions):
    """Monthly recurring revenue now, after discount."""
    return subscriptions.mrr.sum(where=subscriptions.ended_at.isnull())


@signal(unit="x", days=(91, 182))
def mrr_change(subscriptions, days):
    """Monthly recurring revenue now, relative to that of {days} days ago."""
    then = (subscriptions.age > days) & (subscriptions.ended_at.isnull() | (subscriptions.ended_at_age <= days))
    now = subscriptions.mrr.sum(where=subscriptions.ended_at.isnull())
    return now / subscriptions.mrr.sum(where=then).nullif(0)


@signal(unit="share", actionable=True)
def discount(subscriptions):
    """The largest discount on a running subscription, as a share of the list price."""
    return subscriptions.discount.max(where=subscriptions.ended_at.isnull())


@signal(unit="share")
def discount_lost(subscriptions):
    """The largest discount ever held, less the largest held now."""
    now = subscriptions.discount.max(where=subscriptions.ended_at.isnull())
    return subscriptions.discount.max() - now


@signal(unit="MRR per seat", actionable=True)
def price_per_seat(mrr, seats):
    """Monthly recurring revenue for each seat paid for."""
    return mrr / seats.nullif(0)
