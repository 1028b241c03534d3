"""Billing: what is paid, at what price, how that moved, and whether it is paid in time."""

from features.signals.base import signal


@signal(unit="MRR")
def mrr(subscriptions):
    """Monthly recurring revenue now, after discount."""
    return subscriptions.mrr.sum(where=subscriptions.ended_at.isnull())


@signal(unit="x", days=(91, 182, 364))
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


@signal(unit="x", days=(182, 364))
def price_per_seat_change(mrr_change, seats_change, days):  # noqa: ARG001 - the window is in the inputs' names
    """Monthly recurring revenue for each seat, relative to that of {days} days ago."""
    return mrr_change / seats_change.nullif(0)


@signal(unit="times", days=(182, 364), empty=0)
def downsells(mrr_steps, days):
    """Times the monthly recurring revenue went down in the last {days} days."""
    return mrr_steps.count(where=(mrr_steps.step < 0) & (mrr_steps.age <= days))


@signal(unit="times", days=(182, 364), empty=0)
def upsells(mrr_steps, days):
    """Times the monthly recurring revenue went up in the last {days} days."""
    return mrr_steps.count(where=(mrr_steps.step > 0) & (mrr_steps.age <= days))


@signal(unit="MRR", days=(91, 364), empty=0)
def contraction(mrr_steps, days):
    """Monthly recurring revenue given up in the steps down of the last {days} days."""
    return -mrr_steps.step.sum(where=(mrr_steps.step < 0) & (mrr_steps.age <= days))


@signal(unit="days")
def days_since_downsell(mrr_steps):
    """Days since the monthly recurring revenue last went down."""
    return mrr_steps.age.min(where=mrr_steps.step < 0)


@signal(unit="days")
def days_since_upsell(mrr_steps):
    """Days since the monthly recurring revenue last went up."""
    return mrr_steps.age.min(where=mrr_steps.step > 0)


@signal(unit="days", empty=0, actionable=True, direction=1)
def days_past_due(invoices):
    """Days by which the unpaid invoice longest overdue is past its due day, 0 where none is."""
    return invoices.due_at_age.max(where=invoices.paid_at.isnull() & (invoices.due_at_age > 0))


@signal(unit="invoices", empty=0, actionable=True)
def overdue_invoices(invoices):
    """Unpaid invoices past their due day."""
    return invoices.count(where=invoices.paid_at.isnull() & (invoices.due_at_age > 0))


@signal(unit="invoices", empty=0, actionable=True)
def failed_payments(invoices):
    """Unpaid invoices more than 30 days past their due day."""
    return invoices.count(where=invoices.paid_at.isnull() & (invoices.due_at_age > 30))


@signal(unit="money", empty=0, actionable=True)
def overdue_amount(invoices):
    """What the unpaid invoices past their due day ask for."""
    return invoices.amount.sum(where=invoices.paid_at.isnull() & (invoices.due_at_age > 0))


@signal(unit="months", actionable=True)
def months_overdue(overdue_amount, mrr):
    """What is overdue, in months of monthly recurring revenue."""
    return overdue_amount / mrr.nullif(0)


@signal(unit="share", days=(182, 364), actionable=True)
def late_payment_share(invoices, days):
    """Share of the invoices due in the last {days} days that were paid more than a day late or are unpaid."""
    due = (invoices.due_at_age > 1) & (invoices.due_at_age <= days)
    late = invoices.paid_at.isnull() | (invoices.due_at_age - invoices.paid_at_age > 1)
    return invoices.count(where=due & late) / invoices.count(where=due).nullif(0)


@signal(unit="days", days=(182, 364), actionable=True)
def payment_delay(invoices, days):
    """Mean days from due to paid, over the invoices paid in the last {days} days; negative where paid early."""
    return (invoices.due_at_age - invoices.paid_at_age).mean(where=invoices.paid_at_age <= days)


@signal(unit="days", days=(182,), reach=2, actionable=True)
def payment_delay_change(invoices, days):
    """Mean days from due to paid in the last {days} days, less that of the {days} days before."""
    late, age = invoices.due_at_age - invoices.paid_at_age, invoices.paid_at_age
    return late.mean(where=age <= days) - late.mean(where=(age > days) & (age <= 2 * days))


@signal(unit="days")
def days_since_payment(invoices):
    """Days since an invoice was last paid."""
    return invoices.paid_at_age.min()


@signal(unit="invoices", days=(182,), empty=0)
def invoices_sent(invoices, days):
    """Invoices sent in the last {days} days."""
    return invoices.count(where=invoices.age <= days)


@signal(unit="x", days=(91,), reach=4, actionable=True)
def bill_shock(invoices, days):
    """The largest invoice of the last {days} days, relative to the mean of those in the nine months before."""
    before = (invoices.age > days) & (invoices.age <= 4 * days)
    return invoices.amount.max(where=invoices.age <= days) / invoices.amount.mean(where=before).nullif(0)
