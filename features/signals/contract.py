"""Contract: what was agreed, for how long, when it ends, and whether notice was given."""

from features.signals.base import signal


@signal(unit="days", text="renews in {value} days", absent="no day of renewal is known")
def days_until_renewal(subscriptions):
    """Days until the first paid term of the current subscriptions ends, negative once it has ended."""
    return (-subscriptions.renews_at_age).min(where=subscriptions.ended_at.isnull())


@signal(unit="months", label="contract term (months)", text="the contract term is {value} months")
def term_months(subscriptions):
    """Longest term of the current subscriptions, in months."""
    return subscriptions.term_months.max(where=subscriptions.ended_at.isnull())


@signal(unit="share", label="share of the contract term elapsed", text="{value} of the contract term has elapsed")
def term_elapsed_share(subscriptions):
    """Elapsed share of the current term that is furthest along, 0 at its start and 1 at its end."""
    length = subscriptions.started_at_age - subscriptions.renews_at_age
    return (subscriptions.started_at_age / length.nullif(0)).max(where=subscriptions.ended_at.isnull())


@signal(unit="days", label="days as a customer", text="customer for {value} days")
def tenure(subscriptions):
    """Days since the first subscription started."""
    return subscriptions.age.max()


@signal(unit="terms", label="subscription starts and renewals")
def renewals(subscriptions):
    """Distinct days on which a subscription started or was renewed."""
    return subscriptions.started_at.date().nunique()


@signal(unit="subscriptions", actionable=True)
def active_subscriptions(subscriptions):
    """Current subscriptions, plans and add-ons together."""
    return subscriptions.ended_at.isnull().sum()


@signal(unit="plans", label="distinct plans and add-ons so far")
def distinct_plans(subscriptions):
    """Distinct plans and add-ons so far."""
    return subscriptions.plan.nunique()


@signal(kind="category", label="current plan")
def plan(current_plans):
    """Current plan; if there are several, one with seats, and of those the last in alphabetical order."""
    return current_plans.plan.max()


@signal(
    unit="share",
    actionable=True,
    label="share of subscriptions on auto-renewal",
    text="{value} of the subscriptions renew automatically",
)
def auto_renew_share(subscriptions):
    """Share of the current subscriptions that renew automatically."""
    return subscriptions.auto_renew.cast("float64").mean(where=subscriptions.ended_at.isnull())


@signal(
    unit="seats",
    actionable=True,
    moves="seats {moved} from {before} to {now} in 364 days",
    past=("seats", "seats_change_364d"),
)
def seats(subscriptions):
    """Seats paid for now."""
    return subscriptions.seats.sum(where=subscriptions.ended_at.isnull())


@signal(
    unit="x",
    days=(182, 364),
    label="seats vs. {days} days ago",
    moves="seats {moved} from {before} to {now} in {days} days",
    past=("seats", "seats_change_{days}d"),
)
def seats_change(subscriptions, days):
    """Seats paid for now, divided by those of {days} days ago."""
    earlier = (subscriptions.age >= days) & (subscriptions.ended_at.isnull() | (subscriptions.ended_at_age < days))
    current = subscriptions.seats.sum(where=subscriptions.ended_at.isnull())
    return current / subscriptions.seats.sum(where=earlier).nullif(0)


@signal(unit="days", label="days since last renewal", text="last renewed {value} days ago")
def days_since_renewal(subscriptions):
    """Days since the newest current subscription started or was renewed."""
    return subscriptions.age.min(where=subscriptions.ended_at.isnull())


@signal(unit="share", label="share of MRR that renews within 91 days", text="{value} of MRR renews within 91 days")
def mrr_renewing_share(subscriptions):
    """Share of MRR whose paid term ends within the next 91 days or has already ended."""
    running = subscriptions.ended_at.isnull()
    ending = subscriptions.mrr.sum(where=running & (subscriptions.renews_at_age >= -91)).fill_null(0)
    return ending / subscriptions.mrr.sum(where=running).nullif(0)


@signal(unit="subscriptions", actionable=True, label="add-ons")
def add_ons(subscriptions):
    """Current subscriptions without seats."""
    return subscriptions.count(where=subscriptions.ended_at.isnull() & subscriptions.seats.isnull())


@signal(unit="notices", empty=0, direction=1, label="cancellation notices", text="{value} cancellation notices")
def notices_given(notices):
    """Cancellation notices so far, given by the account or by us."""
    return notices.count()


@signal(unit="notices", empty=0, label="cancellations for failed payment")
def involuntary_notices(notices):
    """Cancellation notices so far that were due to a failed payment."""
    return notices.count(where=~notices.voluntary)


@signal(
    unit="days",
    label="days since last cancellation notice",
    text="gave notice {value} days ago",
    absent="no notice was given",
)
def days_since_notice(notices):
    """Days since the last cancellation notice."""
    return notices.age.min()


@signal(unit="days", text="gave notice; leaves in {value} days", absent="no notice was given")
def days_until_cancellation(notices):
    """Days until the next cancellation takes effect, once notice was given."""
    return (-notices.effective_at_age).min(where=notices.effective_at_age <= 0)
