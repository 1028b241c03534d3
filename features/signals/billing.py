"""Billing: what the account pays, at what price, how that changed, and whether it pays on time."""

from features.signals.base import signal


@signal(unit="MRR", moves="MRR {moved} from {before} to {now} in 364 days", past=("mrr", "mrr_change_364d"))
def mrr(subscriptions):
    """Monthly recurring revenue (MRR) now, after discount."""
    return subscriptions.mrr.sum(where=subscriptions.ended_at.isnull())


@signal(
    unit="x",
    days=(91, 182, 364),
    label="MRR vs. {days} days ago",
    moves="MRR {moved} from {before} to {now} in {days} days",
    past=("mrr", "mrr_change_{days}d"),
)
def mrr_change(subscriptions, days):
    """MRR now, divided by MRR {days} days ago."""
    earlier = (subscriptions.age >= days) & (subscriptions.ended_at.isnull() | (subscriptions.ended_at_age < days))
    current = subscriptions.mrr.sum(where=subscriptions.ended_at.isnull())
    return current / subscriptions.mrr.sum(where=earlier).nullif(0)


@signal(unit="share", actionable=True, label="largest current discount")
def discount(subscriptions):
    """Largest discount on a current subscription, as a share of the list price."""
    return subscriptions.discount.max(where=subscriptions.ended_at.isnull())


@signal(unit="share", label="discount lost since its highest")
def discount_lost(subscriptions):
    """Largest discount so far minus the largest one now, each as a share of the list price."""
    current = subscriptions.discount.max(where=subscriptions.ended_at.isnull())
    return subscriptions.discount.max() - current


@signal(unit="MRR per seat", actionable=True)
def price_per_seat(mrr, seats):
    """MRR per seat paid for."""
    return mrr / seats.nullif(0)


@signal(
    unit="x",
    days=(182, 364),
    label="price per seat vs. {days} days ago",
    moves="the price per seat {moved} from {before} to {now} in {days} days",
    past=("price_per_seat", "price_per_seat_change_{days}d"),
)
def price_per_seat_change(mrr_change, seats_change, days):  # noqa: ARG001 - the window is in the inputs' names
    """MRR per seat now, divided by that of {days} days ago."""
    return mrr_change / seats_change.nullif(0)


@signal(unit="times", days=(182, 364), empty=0, label="MRR decreases, last {days} days")
def downsells(mrr_steps, days):
    """Days in the last {days} days on which MRR went down."""
    return mrr_steps.count(where=(mrr_steps.step < 0) & (mrr_steps.age <= days))


@signal(unit="times", days=(182, 364), empty=0, label="MRR increases, last {days} days")
def upsells(mrr_steps, days):
    """Days in the last {days} days on which MRR went up."""
    return mrr_steps.count(where=(mrr_steps.step > 0) & (mrr_steps.age <= days))


@signal(unit="MRR", days=(91, 364), empty=0, label="MRR lost to decreases, last {days} days")
def contraction(mrr_steps, days):
    """Sum of the decreases of MRR in the last {days} days."""
    return -mrr_steps.step.sum(where=(mrr_steps.step < 0) & (mrr_steps.age <= days))


@signal(
    unit="days",
    label="days since last MRR decrease",
    text="MRR last went down {value} days ago",
    absent="MRR is not known to have gone down",
)
def days_since_downsell(mrr_steps):
    """Days since MRR last went down."""
    return mrr_steps.age.min(where=mrr_steps.step < 0)


@signal(
    unit="days",
    label="days since last MRR increase",
    text="MRR last went up {value} days ago",
    absent="MRR is not known to have gone up",
)
def days_since_upsell(mrr_steps):
    """Days since MRR last went up."""
    return mrr_steps.age.min(where=mrr_steps.step > 0)


@signal(unit="days", empty=0, actionable=True, direction=1, text="the oldest unpaid invoice is {value} days past due")
def days_past_due(bills):
    """Days that the most overdue unpaid invoice is past its due date, 0 if none is overdue."""
    return bills.due_at_age.max(where=bills.paid_at.isnull() & (bills.due_at_age > 0))


@signal(unit="invoices", empty=0, actionable=True, text="{value} overdue invoices")
def overdue_invoices(bills):
    """Unpaid invoices past their due date; a credit note is none."""
    return bills.count(where=bills.paid_at.isnull() & (bills.due_at_age > 0))


@signal(
    unit="invoices",
    empty=0,
    actionable=True,
    label="invoices over 30 days past due",
    text="{value} invoices over 30 days past due",
)
def failed_payments(bills):
    """Unpaid invoices more than 30 days past their due date."""
    return bills.count(where=bills.paid_at.isnull() & (bills.due_at_age > 30))


@signal(unit="money", empty=0, actionable=True, text="{value} is overdue")
def overdue_amount(bills):
    """Total amount of the unpaid invoices past their due date."""
    return bills.amount.sum(where=bills.paid_at.isnull() & (bills.due_at_age > 0))


@signal(unit="months", actionable=True, label="overdue amount in months of MRR")
def overdue_months_of_mrr(overdue_amount, mrr):
    """Months of MRR that are overdue: the overdue amount divided by MRR."""
    return overdue_amount / mrr.nullif(0)


@signal(
    unit="share",
    days=(182, 364),
    actionable=True,
    label="share of invoices paid late, last {days} days",
    text="{value} of the invoices of {days} days were paid late",
)
def late_payment_share(bills, days):
    """Share of the invoices due in the last {days} days, over a day ago, that were paid over a day late or not yet."""
    due = (bills.due_at_age > 1) & (bills.due_at_age <= days)
    late = bills.paid_at.isnull() | (bills.due_at_age - bills.paid_at_age > 1)
    return bills.count(where=due & late) / bills.count(where=due).nullif(0)


@signal(
    unit="days",
    days=(182, 364),
    actionable=True,
    label="average payment delay (days), last {days} days",
    moves="the average payment delay {moved} from {before} to {now} days",
    past=("payment_delay_{days}d", "payment_delay_change_{days}d"),
)
def payment_delay(bills, days):
    """Average days from due date to payment, over invoices paid in the last {days} days, negative if early."""
    return (bills.due_at_age - bills.paid_at_age).mean(where=bills.paid_at_age <= days)


@signal(
    unit="days",
    days=(182,),
    windows_back=2,
    actionable=True,
    label="change in payment delay (days) vs. the previous {days} days",
    moves="the average payment delay {moved} from {before} to {now} days",
    past=("payment_delay_{days}d", "payment_delay_change_{days}d"),
)
def payment_delay_change(bills, days):
    """Average payment delay in the last {days} days, minus that in the {days} days before."""
    late, age = bills.due_at_age - bills.paid_at_age, bills.paid_at_age
    return late.mean(where=age <= days) - late.mean(where=(age > days) & (age <= 2 * days))


@signal(
    unit="days",
    label="days since last payment",
    text="the last payment was {value} days ago",
    absent="no payment is known",
)
def days_since_payment(bills):
    """Days since an invoice was last paid."""
    return bills.paid_at_age.min()


@signal(unit="invoices", days=(182,), empty=0)
def invoices_sent(bills, days):
    """Invoices sent in the last {days} days, without credit notes and invoices of nothing."""
    return bills.count(where=bills.age <= days)


@signal(
    unit="x",
    days=(91,),
    windows_back=4,
    actionable=True,
    label="largest invoice of the last {days} days vs. the average before",
    text="largest invoice of the last {days} days is {value} the average before",
)
def largest_invoice_vs_average(bills, days):
    """Largest invoice of the last {days} days, divided by the average invoice of the nine months before."""
    before = (bills.age > days) & (bills.age <= 4 * days)
    return bills.amount.max(where=bills.age <= days) / bills.amount.mean(where=before).nullif(0)
