"""Support: how much help the account needs, how soon it gets it, and what is still open."""

from features.signals.base import signal


@signal(
    unit="tickets",
    days=(28, 91, 182),
    empty=0,
    moves="tickets {moved} from {before} to {now} in {days} days",
    past=("tickets_opened_{days}d", "tickets_trend_{days}d"),
)
def tickets_opened(tickets, days):
    """Tickets opened in the last {days} days."""
    return tickets.count(where=tickets.age <= days)


@signal(
    unit="x",
    days=(28, 91),
    windows_back=2,
    label="tickets opened vs. the previous {days} days",
    moves="tickets {moved} from {before} to {now} in {days} days",
    past=("tickets_opened_{days}d", "tickets_trend_{days}d"),
)
def tickets_trend(tickets, days):
    """Tickets opened in the last {days} days, divided by those opened in the {days} days before."""
    before = tickets.count(where=(tickets.age > days) & (tickets.age <= 2 * days))
    return tickets.count(where=tickets.age <= days) / before.nullif(0)


@signal(unit="tickets", days=(91,))
def tickets_per_seat(tickets_opened, seats, days):  # noqa: ARG001 - the window is in the inputs' names
    """Tickets opened in the last {days} days per seat paid for."""
    return tickets_opened / seats.nullif(0)


@signal(
    unit="days",
    label="days since last ticket",
    text="the last ticket was {value} days ago",
    absent="no ticket is known",
)
def days_since_ticket(tickets):
    """Days since the last ticket was opened."""
    return tickets.age.min()


@signal(unit="tickets", days=(28, 91), empty=0, actionable=True, label="high or urgent tickets, last {days} days")
def severe_tickets(tickets, days):
    """Tickets of severity high or urgent opened in the last {days} days."""
    return tickets.count(where=tickets.severity.isin(["high", "urgent"]) & (tickets.age <= days))


@signal(unit="share", days=(182,), actionable=True, label="share of high or urgent tickets, last {days} days")
def severe_ticket_share(tickets, days):
    """Share of the tickets opened in the last {days} days that had severity high or urgent."""
    severe = tickets.count(where=tickets.severity.isin(["high", "urgent"]) & (tickets.age <= days))
    return severe / tickets.count(where=tickets.age <= days).nullif(0)


@signal(unit="share", days=(182,), actionable=True, label="share of how-to questions, last {days} days")
def how_to_ticket_share(tickets, days):
    """Share of the tickets opened in the last {days} days that asked how to do something."""
    how_to = tickets.count(where=(tickets.kind == "how_to") & (tickets.age <= days))
    return how_to / tickets.count(where=tickets.age <= days).nullif(0)


@signal(unit="share", days=(182,), actionable=True, label="share of tickets about defects, last {days} days")
def defect_ticket_share(tickets, days):
    """Share of the tickets opened in the last {days} days that reported a defect."""
    defects = tickets.count(where=(tickets.kind == "defect") & (tickets.age <= days))
    return defects / tickets.count(where=tickets.age <= days).nullif(0)


@signal(unit="tickets", days=(182,), empty=0, actionable=True)
def billing_tickets(tickets, days):
    """Tickets about billing opened in the last {days} days."""
    return tickets.count(where=(tickets.kind == "billing") & (tickets.age <= days))


@signal(unit="tickets", days=(182,), empty=0)
def feature_requests(tickets, days):
    """Tickets with a feature request opened in the last {days} days."""
    return tickets.count(where=(tickets.kind == "request") & (tickets.age <= days))


@signal(
    unit="hours",
    days=(91,),
    actionable=True,
    label="average first response time (hours), last {days} days",
    absent="no ticket was answered in {days} days",
)
def first_response_hours(tickets, days):
    """Average hours to the first human response, over tickets opened and answered in the last {days} days."""
    waited = (tickets.opened_at_age - tickets.first_response_at_age) * 24
    return waited.mean(where=tickets.age <= days)


@signal(
    unit="hours",
    days=(91,),
    actionable=True,
    label="slowest first response (hours), last {days} days",
    absent="no ticket was answered in {days} days",
)
def slowest_first_response_hours(tickets, days):
    """Longest time to the first human response, in hours, over tickets opened in the last {days} days."""
    waited = (tickets.opened_at_age - tickets.first_response_at_age) * 24
    return waited.max(where=tickets.age <= days)


@signal(unit="tickets", empty=0, actionable=True, label="open tickets without a response")
def tickets_awaiting_response(tickets):
    """Open tickets without a human response."""
    return tickets.count(where=tickets.first_response_at.isnull() & tickets.resolved_at.isnull())


@signal(
    unit="days",
    days=(91, 182),
    actionable=True,
    label="average resolution time (days), last {days} days",
    moves="the average time to resolve a ticket {moved} from {before} to {now} days",
    past=("resolution_days_{days}d", "resolution_days_change_{days}d"),
    absent="no ticket was resolved in {days} days",
)
def resolution_days(tickets, days):
    """Average days from opening to resolution, over tickets resolved in the last {days} days."""
    return (tickets.opened_at_age - tickets.resolved_at_age).mean(where=tickets.resolved_at_age <= days)


@signal(
    unit="days",
    days=(91,),
    windows_back=2,
    actionable=True,
    label="change in resolution time (days) vs. the previous {days} days",
    moves="the average time to resolve a ticket {moved} from {before} to {now} days",
    past=("resolution_days_{days}d", "resolution_days_change_{days}d"),
)
def resolution_days_change(tickets, days):
    """Average resolution time of tickets resolved in the last {days} days, minus that of the {days} days before."""
    took, age = tickets.opened_at_age - tickets.resolved_at_age, tickets.resolved_at_age
    return took.mean(where=age <= days) - took.mean(where=(age > days) & (age <= 2 * days))


@signal(unit="tickets", empty=0, actionable=True, text="{value} open tickets")
def open_tickets(tickets):
    """Tickets that are open now."""
    return tickets.count(where=tickets.resolved_at.isnull())


@signal(unit="tickets", empty=0, actionable=True, label="open high or urgent tickets")
def open_severe_tickets(tickets):
    """Tickets of severity high or urgent that are open now."""
    return tickets.count(where=tickets.resolved_at.isnull() & tickets.severity.isin(["high", "urgent"]))


@signal(unit="days", actionable=True, label="age of the oldest open ticket (days)", absent="no ticket is open")
def oldest_open_ticket_age(tickets):
    """Days since the oldest ticket that is still open was opened."""
    return tickets.age.max(where=tickets.resolved_at.isnull())


@signal(unit="tickets", days=(28, 91), empty=0, actionable=True, label="growth of the ticket backlog, last {days} days")
def ticket_backlog_growth(tickets, days):
    """Tickets opened minus tickets resolved in the last {days} days."""
    return tickets.count(where=tickets.age <= days) - tickets.count(where=tickets.resolved_at_age <= days)


@signal(unit="tickets", days=(182,), empty=0, actionable=True)
def escalated_tickets(tickets, days):
    """Tickets resolved in the last {days} days that had been escalated."""
    return tickets.count(where=tickets.escalated & (tickets.resolved_at_age <= days))


@signal(unit="share", days=(182,), actionable=True, label="share of escalated tickets, last {days} days")
def escalated_ticket_share(tickets, days):
    """Share of the tickets resolved in the last {days} days that had been escalated."""
    return tickets.escalated.cast("float64").mean(where=tickets.resolved_at_age <= days)


@signal(
    unit="points of 5",
    days=(91, 182),
    actionable=True,
    label="average ticket CSAT, last {days} days",
    absent="no ticket was rated in {days} days",
)
def ticket_csat(tickets, days):
    """Average satisfaction score (1 to 5) on the tickets resolved in the last {days} days."""
    return tickets.csat.mean(where=tickets.resolved_at_age <= days)


@signal(unit="share", days=(182,), actionable=True, label="share of low ticket CSAT scores, last {days} days")
def low_ticket_csat_share(tickets, days):
    """Share of the satisfaction scores on tickets resolved in the last {days} days that were 1 or 2 of 5."""
    scored = tickets.csat.notnull() & (tickets.resolved_at_age <= days)
    return tickets.count(where=scored & (tickets.csat <= 2)) / tickets.count(where=scored).nullif(0)


@signal(unit="days", label="days since last ticket CSAT score", absent="no rating of a ticket is known")
def ticket_csat_age(tickets):
    """Days since the last ticket with a satisfaction score was resolved."""
    return tickets.resolved_at_age.min(where=tickets.csat.notnull())
