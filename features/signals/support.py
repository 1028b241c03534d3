"""Support: how much help the account needs, how soon it gets it, and what is still open."""

from features.signals.base import signal


@signal(unit="tickets", days=(28, 91, 182), empty=0)
def tickets_opened(tickets, days):
    """Tickets opened in the last {days} days."""
    return tickets.count(where=tickets.age <= days)


@signal(unit="x", days=(28, 91), reach=2)
def tickets_trend(tickets, days):
    """Tickets opened in the last {days} days, relative to the {days} days before."""
    before = tickets.count(where=(tickets.age > days) & (tickets.age <= 2 * days))
    return tickets.count(where=tickets.age <= days) / before.nullif(0)


@signal(unit="tickets", days=(91,))
def tickets_per_seat(tickets_opened, seats, days):  # noqa: ARG001 - the window is in the inputs' names
    """Tickets opened in the last {days} days for each seat paid for."""
    return tickets_opened / seats.nullif(0)


@signal(unit="days")
def days_since_ticket(tickets):
    """Days since the last ticket was opened."""
    return tickets.age.min()


@signal(unit="tickets", days=(28, 91), empty=0, actionable=True)
def severe_tickets(tickets, days):
    """Tickets of severity high or urgent opened in the last {days} days."""
    return tickets.count(where=tickets.severity.isin(["high", "urgent"]) & (tickets.age <= days))


@signal(unit="share", days=(182,), actionable=True)
def severe_ticket_share(tickets, days):
    """Share of the tickets opened in the last {days} days that were high or urgent."""
    severe = tickets.count(where=tickets.severity.isin(["high", "urgent"]) & (tickets.age <= days))
    return severe / tickets.count(where=tickets.age <= days).nullif(0)


@signal(unit="share", days=(182,), actionable=True)
def how_to_share(tickets, days):
    """Share of the tickets opened in the last {days} days that asked how to do something."""
    how_to = tickets.count(where=(tickets.kind == "how_to") & (tickets.age <= days))
    return how_to / tickets.count(where=tickets.age <= days).nullif(0)


@signal(unit="share", days=(182,), actionable=True)
def defect_share(tickets, days):
    """Share of the tickets opened in the last {days} days that reported a defect."""
    defects = tickets.count(where=(tickets.kind == "defect") & (tickets.age <= days))
    return defects / tickets.count(where=tickets.age <= days).nullif(0)


@signal(unit="tickets", days=(182,), empty=0, actionable=True)
def billing_tickets(tickets, days):
    """Tickets about billing opened in the last {days} days."""
    return tickets.count(where=(tickets.kind == "billing") & (tickets.age <= days))


@signal(unit="tickets", days=(182,), empty=0)
def requests(tickets, days):
    """Requests for something the product lacks, opened as tickets in the last {days} days."""
    return tickets.count(where=(tickets.kind == "request") & (tickets.age <= days))


@signal(unit="hours", days=(91,), actionable=True)
def first_response(tickets, days):
    """Mean hours until a person answered, over the tickets opened in the last {days} days that were answered."""
    waited = (tickets.opened_at_age - tickets.first_response_at_age) * 24
    return waited.mean(where=tickets.age <= days)


@signal(unit="hours", days=(91,), actionable=True)
def slowest_first_response(tickets, days):
    """The most hours until a person answered a ticket opened in the last {days} days."""
    waited = (tickets.opened_at_age - tickets.first_response_at_age) * 24
    return waited.max(where=tickets.age <= days)


@signal(unit="tickets", empty=0, actionable=True)
def tickets_awaiting_response(tickets):
    """Tickets open now that no person has answered yet."""
    return tickets.count(where=tickets.first_response_at.isnull() & tickets.resolved_at.isnull())


@signal(unit="days", days=(91, 182), actionable=True)
def resolution(tickets, days):
    """Mean days from opening to resolving, over the tickets resolved in the last {days} days."""
    return (tickets.opened_at_age - tickets.resolved_at_age).mean(where=tickets.resolved_at_age <= days)


@signal(unit="days", days=(91,), reach=2, actionable=True)
def resolution_change(tickets, days):
    """Mean days to resolve the tickets resolved in the last {days} days, less that of the {days} days before."""
    took, age = tickets.opened_at_age - tickets.resolved_at_age, tickets.resolved_at_age
    return took.mean(where=age <= days) - took.mean(where=(age > days) & (age <= 2 * days))


@signal(unit="tickets", empty=0, actionable=True)
def open_tickets(tickets):
    """Tickets open now."""
    return tickets.count(where=tickets.resolved_at.isnull())


@signal(unit="tickets", empty=0, actionable=True)
def open_severe_tickets(tickets):
    """Tickets of severity high or urgent open now."""
    return tickets.count(where=tickets.resolved_at.isnull() & tickets.severity.isin(["high", "urgent"]))


@signal(unit="days", actionable=True)
def oldest_open_ticket(tickets):
    """Days since the oldest ticket open now was opened."""
    return tickets.age.max(where=tickets.resolved_at.isnull())


@signal(unit="tickets", days=(28, 91), empty=0, actionable=True)
def backlog_growth(tickets, days):
    """Tickets opened in the last {days} days, less those resolved in them."""
    return tickets.count(where=tickets.age <= days) - tickets.count(where=tickets.resolved_at_age <= days)


@signal(unit="tickets", days=(182,), empty=0, actionable=True)
def escalated_tickets(tickets, days):
    """Tickets resolved in the last {days} days that had been escalated."""
    return tickets.count(where=tickets.escalated & (tickets.resolved_at_age <= days))


@signal(unit="share", days=(182,), actionable=True)
def escalated_share(tickets, days):
    """Share of the tickets resolved in the last {days} days that had been escalated."""
    return tickets.escalated.cast("float64").mean(where=tickets.resolved_at_age <= days)


@signal(unit="points of 5", days=(91, 182), actionable=True)
def ticket_csat(tickets, days):
    """Mean satisfaction given on the tickets resolved in the last {days} days."""
    return tickets.csat.mean(where=tickets.resolved_at_age <= days)


@signal(unit="share", days=(182,), actionable=True)
def low_ticket_csat_share(tickets, days):
    """Share of the satisfaction scores on tickets resolved in the last {days} days that were 1 or 2 of 5."""
    given = tickets.csat.notnull() & (tickets.resolved_at_age <= days)
    return tickets.count(where=given & (tickets.csat <= 2)) / tickets.count(where=given).nullif(0)


@signal(unit="days")
def ticket_csat_age(tickets):
    """Days since the last ticket on which satisfaction was given was resolved."""
    return tickets.resolved_at_age.min(where=tickets.csat.notnull())
