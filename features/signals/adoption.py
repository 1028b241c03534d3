"""Adoption: how much, how widely and how steadily the product is used."""

from functools import reduce

from features.signals.base import signal
from features.tables.derived import HALF_A_YEAR


@signal(unit="events", days=(7, 28, 91), empty=0, actionable=True)
def events(usage_days, days):
    """Events recorded in the last {days} days."""
    return usage_days.events.sum(where=usage_days.days_ago <= days)


@signal(unit="x", days=(7, 28, 91), reach=2, actionable=True)
def events_trend(usage_days, days):
    """Events in the last {days} days, relative to the {days} days before."""
    events, ago = usage_days.events, usage_days.days_ago
    before = events.sum(where=(ago > days) & (ago <= 2 * days))
    return events.sum(where=ago <= days).fill_null(0) / before.nullif(0)


@signal(unit="x", days=(28,), reach=6, actionable=True)
def events_of_peak(usage_days, days):
    """Events in the last {days} days, relative to the best of the last six stretches of {days} days."""
    events, ago = usage_days.events, usage_days.days_ago
    sums = [events.sum(where=(ago > n * days) & (ago <= (n + 1) * days)).fill_null(0) for n in range(6)]
    peak = reduce(lambda best, one: (one > best).ifelse(one, best), sums)
    return sums[0] / peak.nullif(0)


@signal(unit="share", days=(28, 91), actionable=True)
def weekday_share(usage_days, days):
    """Share of the events of the last {days} days that fell on Monday to Friday."""
    events, recent = usage_days.events, usage_days.days_ago <= days
    weekday = usage_days.day.day_of_week.index() < 5
    return events.sum(where=recent & weekday).fill_null(0) / events.sum(where=recent).nullif(0)


@signal(unit="days", days=(7, 28, 91), empty=0, actionable=True)
def active_days(usage_days, days):
    """Days with at least one event in the last {days} days."""
    return usage_days.count(where=usage_days.days_ago <= days)


@signal(unit="weeks", days=(91,), empty=0, actionable=True)
def active_weeks(usage_days, days):
    """Weeks, counted back from now, with at least one event in the last {days} days."""
    return (usage_days.age / 7).floor().nunique(where=usage_days.age < days)


@signal(unit="days", days=(182,), actionable=True)
def days_since_event(usage_days, days):
    """Days since the last event, looking back {days} days."""
    return usage_days.age.min(where=usage_days.days_ago <= days)


@signal(unit="days", days=(91,), back=HALF_A_YEAR, actionable=True)
def longest_quiet_spell(usage_gaps, days):
    """The longest stretch without an event in the last {days} days, the one that lasts until now included."""
    spell = usage_gaps.gap.max(where=usage_gaps.age <= days)
    open_spell = usage_gaps.age.min()
    return (spell > open_spell).ifelse(spell, open_spell)


@signal(unit="x", days=(28, 91), actionable=True)
def events_unevenness(usage_days, days):
    """Spread of the events an active day, relative to their mean, in the last {days} days."""
    daily = usage_days.events
    return daily.std(where=usage_days.days_ago <= days) / daily.mean(where=usage_days.days_ago <= days).nullif(0)


@signal(unit="kinds", days=(28, 91), empty=0, actionable=True)
def event_kinds(usage_kinds, days):
    """Different kinds of events used in the last {days} days."""
    return usage_kinds.count(where=usage_kinds.days_ago <= days)


@signal(unit="kinds", days=(28,), reach=2, empty=0, actionable=True)
def event_kinds_change(usage_kinds, days):
    """Different kinds of events in the last {days} days, less those in the {days} days before."""
    before = usage_kinds[f"days_ago_before_{days}d"] <= 2 * days
    return usage_kinds.count(where=usage_kinds.days_ago <= days) - usage_kinds.count(where=before)


@signal(unit="kinds", days=(28,), back=HALF_A_YEAR, empty=0, actionable=True)
def new_event_kinds(usage_kinds, days):
    """Kinds of events used for the first time in half a year in the last {days} days."""
    return usage_kinds.count(where=usage_kinds.first_days_ago <= days)


@signal(unit="kinds", days=(28, 91), back=HALF_A_YEAR, empty=0, actionable=True)
def dropped_event_kinds(usage_kinds, days):
    """Kinds of events used in the last half year, but not in the last {days} days."""
    return usage_kinds.count(where=usage_kinds.days_ago > days)


@signal(unit="share", days=(28,), actionable=True)
def main_event_kind_share(usage_kinds, days):
    """Share of the events of the last {days} days that the most used kind made up."""
    return usage_kinds[f"events_{days}d"].max() / usage_kinds[f"events_{days}d"].sum().nullif(0)


@signal(unit="people", days=(7, 28, 91), actionable=True)
def active_users(presence, days):
    """People active on an average day with anyone active, in the last {days} days."""
    return presence.people.mean(where=presence.days_ago <= days)


@signal(unit="people", days=(28, 91), actionable=True)
def peak_active_users(presence, days):
    """The most people active on one day of the last {days} days."""
    return presence.people.max(where=presence.days_ago <= days)


@signal(unit="x", days=(28, 91), reach=2, actionable=True)
def active_users_trend(presence, days):
    """People active on an average day of the last {days} days, relative to the {days} days before."""
    recent = presence.people.mean(where=presence.days_ago <= days)
    return recent / presence.people.mean(where=(presence.days_ago > days) & (presence.days_ago <= 2 * days)).nullif(0)


@signal(unit="x", days=(28,), actionable=True)
def active_users_unevenness(presence, days):
    """Spread of the people active a day, relative to their mean, in the last {days} days."""
    people = presence.people
    return people.std(where=presence.days_ago <= days) / people.mean(where=presence.days_ago <= days).nullif(0)


@signal(unit="share", days=(28, 91), actionable=True)
def stickiness(active_users, peak_active_users, days):  # noqa: ARG001 - the window is in the inputs' names
    """People active on an average day of the last {days} days, as a share of the most on one day."""
    return active_users / peak_active_users.nullif(0)


@signal(unit="people", days=(28, 91), empty=0, actionable=True)
def different_users(usage_people, days):
    """Different people who did something in the last {days} days."""
    return usage_people.count(where=usage_people.days_ago <= days)


@signal(unit="people", days=(28,), back=HALF_A_YEAR, empty=0, actionable=True)
def new_users(usage_people, days):
    """People who did something for the first time in half a year in the last {days} days."""
    return usage_people.count(where=usage_people.first_days_ago <= days)


@signal(unit="people", days=(28, 91), back=HALF_A_YEAR, empty=0, actionable=True)
def lost_users(usage_people, days):
    """People who did something in the last half year, but nothing in the last {days} days."""
    return usage_people.count(where=usage_people.days_ago > days)


@signal(unit="share", days=(28,), actionable=True)
def main_user_share(usage_people, days):
    """Share of the events of the last {days} days that the busiest person made."""
    return usage_people[f"events_{days}d"].max() / usage_people[f"events_{days}d"].sum().nullif(0)


@signal(unit="person-days", days=(28,), empty=0, actionable=True)
def user_days(presence, days):
    """The people active each day, added up over the last {days} days."""
    return presence.people.sum(where=presence.days_ago <= days)


@signal(unit="days", days=(28,), actionable=True)
def days_per_user(user_days, different_users, days):  # noqa: ARG001 - the window is in the inputs' names
    """Days of the last {days} on which an average person who did something was active."""
    return user_days / different_users.nullif(0)


@signal(unit="share", days=(28, 91), actionable=True)
def seat_utilisation(active_users, seats, days):  # noqa: ARG001 - the window is in the inputs' names
    """People active on an average day of the last {days} days, as a share of the seats paid for."""
    return active_users / seats.nullif(0)


@signal(unit="share", days=(28,), actionable=True)
def employees_reached(active_users, employees, days):  # noqa: ARG001 - the window is in the inputs' names
    """People active on an average day of the last {days} days, as a share of those who work at the account."""
    return active_users / employees.nullif(0)


@signal(unit="events", days=(28,), actionable=True)
def events_per_active_user(events, active_users, days):  # noqa: ARG001 - the window is in the inputs' names
    """Events in the last {days} days for each person active on an average day."""
    return events / active_users.nullif(0)
