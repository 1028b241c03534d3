"""Adoption: how much, how widely and how steadily the product is used."""

from features.signals.declaration import signal


@signal(unit="events", days=(7, 28, 91), empty=0, actionable=True)
def events(usage, days):
    """Events recorded in the last {days} days."""
    return usage.quantity.sum(where=usage.age <= days)


@signal(unit="x", days=(7, 28), reach=2, actionable=True)
def events_trend(usage, days):
    """Events in the last {days} days, relative to the {days} days before."""
    recent = usage.quantity.sum(where=usage.age <= days).fill_null(0)
    return recent / usage.quantity.sum(where=(usage.age > days) & (usage.age <= 2 * days)).nullif(0)


@signal(unit="days", days=(7, 28, 91), empty=0, actionable=True)
def active_days(usage, days):
    """Days with at least one event in the last {days} days."""
    return usage.occurred_at.truncate("D").nunique(where=usage.age <= days)


@signal(unit="kinds", days=(28, 91), empty=0, actionable=True)
def event_kinds(usage, days):
    """Different kinds of events used in the last {days} days."""
    return usage.event.nunique(where=usage.age <= days)


@signal(unit="kinds", days=(28,), reach=2, empty=0, actionable=True)
def event_kinds_change(usage, days):
    """Different kinds of events in the last {days} days, less those in the {days} days before."""
    before = (usage.age > days) & (usage.age <= 2 * days)
    return usage.event.nunique(where=usage.age <= days) - usage.event.nunique(where=before)


@signal(unit="days", days=(182,), actionable=True)
def days_since_event(usage, days):
    """Days since the last event, looking back {days} days."""
    return usage.age.min(where=usage.age <= days)


@signal(unit="people", days=(7, 28, 91), actionable=True)
def active_users(presence, days):
    """People active on an average day with anyone active, in the last {days} days."""
    return presence.people.mean(where=presence.age <= days)


@signal(unit="people", days=(28, 91), actionable=True)
def peak_active_users(presence, days):
    """The most people active on one day of the last {days} days."""
    return presence.people.max(where=presence.age <= days)


@signal(unit="x", days=(28,), reach=2, actionable=True)
def active_users_trend(presence, days):
    """People active on an average day of the last {days} days, relative to the {days} days before."""
    recent = presence.people.mean(where=presence.age <= days)
    return recent / presence.people.mean(where=(presence.age > days) & (presence.age <= 2 * days)).nullif(0)


@signal(unit="x", days=(28,), actionable=True)
def active_users_unevenness(presence, days):
    """Spread of the people active a day, relative to their mean, in the last {days} days."""
    people = presence.people
    return people.std(where=presence.age <= days) / people.mean(where=presence.age <= days).nullif(0)


@signal(unit="share", days=(28, 91), actionable=True)
def seat_utilisation(active_users, seats, days):  # noqa: ARG001 - the window is in the inputs' names
    """People active on an average day of the last {days} days, as a share of the seats paid for."""
    return active_users / seats.nullif(0)


@signal(unit="events", days=(28,), actionable=True)
def events_per_active_user(events, active_users, days):  # noqa: ARG001 - the window is in the inputs' names
    """Events in the last {days} days for each person active on an average day."""
    return events / active_users.nullif(0)
