"""Adoption: how much, how widely and how steadily the product is used."""

from functools import reduce

from features.signals.base import signal
from features.tables.derived import HALF_YEAR_DAYS, TWO_YEARS_DAYS

YEAR_DAYS = 364  # whole weeks, so that the same days of the week are compared


@signal(
    unit="events",
    days=(7, 28, 91),
    empty=0,
    actionable=True,
    moves="usage {moved} from {before} to {now} events in {days} days",
    past=("events_{days}d", "events_trend_{days}d"),
)
def events(usage_days, days):
    """Usage events in the last {days} days."""
    return usage_days.events.sum(where=usage_days.days_ago <= days)


@signal(
    unit="x",
    days=(7, 28, 91),
    windows_back=2,
    actionable=True,
    label="usage vs. the previous {days} days",
    moves="usage {moved} from {before} to {now} events in {days} days",
    past=("events_{days}d", "events_trend_{days}d"),
)
def events_trend(usage_days, days):
    """Usage events in the last {days} days, divided by those in the {days} days before."""
    events, ago = usage_days.events, usage_days.days_ago
    before = events.sum(where=(ago > days) & (ago <= 2 * days))
    return events.sum(where=ago <= days).fill_null(0) / before.nullif(0)


@signal(
    unit="share",
    days=(28,),
    windows_back=6,
    actionable=True,
    label="usage as a share of its best month",
    text="usage is {value} of its best month",
)
def events_share_of_peak(usage_days, days):
    """Usage events in the last {days} days, as a share of those in the best of the last six {days}-day periods."""
    events, ago = usage_days.events, usage_days.days_ago
    sums = [events.sum(where=(ago > n * days) & (ago <= (n + 1) * days)).fill_null(0) for n in range(6)]
    peak = reduce(lambda best, total: (total > best).ifelse(total, best), sums)
    return sums[0] / peak.nullif(0)


@signal(unit="share", days=(28, 91), actionable=True, label="share of events on weekdays, last {days} days")
def weekday_event_share(usage_days, days):
    """Share of the usage events of the last {days} days that happened from Monday to Friday."""
    events, recent = usage_days.events, usage_days.days_ago <= days
    weekday = usage_days.day.day_of_week.index() < 5
    return events.sum(where=recent & weekday).fill_null(0) / events.sum(where=recent).nullif(0)


@signal(
    unit="days",
    days=(7, 28, 91),
    empty=0,
    actionable=True,
    moves="usage {moved} from {before} to {now} active days in {days} days",
    past=("active_days_{days}d", "active_days_91d"),
)
def active_days(usage_days, days):
    """Days with at least one usage event in the last {days} days."""
    return usage_days.count(where=usage_days.days_ago <= days)


@signal(unit="weeks", days=(91,), empty=0, actionable=True)
def active_weeks(usage_days, days):
    """Weeks, counted back from the snapshot, with at least one usage event in the last {days} days."""
    return (usage_days.age / 7).floor().nunique(where=usage_days.age < days)


@signal(
    unit="days",
    days=(182,),
    actionable=True,
    label="days since last use",
    text="last used {value} days ago",
    absent="not used in {days} days",
)
def days_since_event(usage_days, days):
    """Days since the last usage event; empty if there was none in the last {days} days."""
    return usage_days.age.min(where=usage_days.days_ago <= days)


@signal(
    unit="days",
    days=(91,),
    days_back=HALF_YEAR_DAYS,
    actionable=True,
    label="longest gap in usage (days), last {days} days",
)
def longest_usage_gap(usage_gaps, days):
    """Longest time from an active day's last event to the next one's, in days, in the last {days} days or up to now."""
    spell = usage_gaps.gap.max(where=usage_gaps.age <= days)
    open_spell = usage_gaps.age.min()
    return (spell > open_spell).ifelse(spell, open_spell)


@signal(unit="days", days=(364,), label="average days between active days, last {days} days")
def average_usage_gap(usage_pauses, days):
    """Average days between two days with usage, in the last {days} days."""
    recent = usage_pauses.days_ago <= days
    spread = usage_pauses.days_ago.max(where=recent) - usage_pauses.days_ago.min(where=recent)
    return spread / (usage_pauses.count(where=recent) - 1).nullif(0)


@signal(
    unit="x",
    days=(364,),
    actionable=True,
    label="time since last use vs. the usual gap",
    text="time since last use is {value} the usual gap",
)
def usage_gap_vs_average(usage_pauses, days):
    """Days since the last day with usage, divided by the average days between such days in the last {days} days."""
    recent = usage_pauses.days_ago <= days
    last = usage_pauses.days_ago.min(where=recent)
    spread = usage_pauses.days_ago.max(where=recent) - last
    return last * (usage_pauses.count(where=recent) - 1) / spread.nullif(0)


@signal(
    unit="share",
    days=(91,),
    days_back=TWO_YEARS_DAYS,
    label="share of past days with {days} days without usage after them",
)
def long_pause_share(usage_pauses, days):
    """Of the days since the first usage in two years, the share with no usage in the {days} days that followed them."""
    beyond = (usage_pauses.pause > days).ifelse(usage_pauses.pause - days, 0)
    return beyond.sum() / (usage_pauses.days_ago.max() - days).clip(lower=0).nullif(0)


@signal(
    unit="days",
    days=(91,),
    days_back=TWO_YEARS_DAYS,
    label="active days in the {days} days after this date last year",
)
def active_days_last_year(usage_pauses, days):
    """Days with usage in the {days} days from 364 days ago on; empty for accounts that are newer than that."""
    followed = (usage_pauses.days_ago <= YEAR_DAYS) & (usage_pauses.days_ago > YEAR_DAYS - days)
    return (usage_pauses.days_ago.max() > YEAR_DAYS).ifelse(usage_pauses.count(where=followed), None)


@signal(unit="x", days=(28, 91), actionable=True, label="variation of daily usage, last {days} days")
def daily_events_cv(usage_days, days):
    """Coefficient of variation (standard deviation / mean) of usage events per active day, last {days} days."""
    daily = usage_days.events
    return daily.std(where=usage_days.days_ago <= days) / daily.mean(where=usage_days.days_ago <= days).nullif(0)


@signal(
    unit="types",
    days=(28, 91),
    empty=0,
    actionable=True,
    moves="event types in use {moved} from {before} to {now} in {days} days",
    past=("event_types_{days}d", "event_types_change_{days}d"),
)
def event_types(usage_kinds, days):
    """Distinct event types used in the last {days} days."""
    return usage_kinds.count(where=usage_kinds.days_ago <= days)


@signal(
    unit="types",
    days=(28,),
    windows_back=2,
    empty=0,
    actionable=True,
    label="change in event types vs. the previous {days} days",
    moves="event types in use {moved} from {before} to {now} in {days} days",
    past=("event_types_{days}d", "event_types_change_{days}d"),
)
def event_types_change(usage_kinds, days):
    """Distinct event types used in the last {days} days, minus those used in the {days} days before."""
    before = usage_kinds[f"days_ago_before_{days}d"] <= 2 * days
    return usage_kinds.count(where=usage_kinds.days_ago <= days) - usage_kinds.count(where=before)


@signal(unit="types", days=(28,), days_back=HALF_YEAR_DAYS, empty=0, actionable=True)
def new_event_types(usage_kinds, days):
    """Event types used in the last {days} days, but not earlier in the last 182 days."""
    return usage_kinds.count(where=usage_kinds.first_days_ago <= days)


@signal(
    unit="types",
    days=(28, 91),
    days_back=HALF_YEAR_DAYS,
    empty=0,
    actionable=True,
    label="event types not used for {days} days",
)
def dropped_event_types(usage_kinds, days):
    """Event types used in the last 182 days, but not in the last {days} days."""
    return usage_kinds.count(where=usage_kinds.days_ago > days)


@signal(unit="share", days=(28,), actionable=True, label="share of the most used event type, last {days} days")
def top_event_type_share(usage_kinds, days):
    """Share of the usage events of the last {days} days that belong to the most used event type."""
    return usage_kinds[f"events_{days}d"].max() / usage_kinds[f"events_{days}d"].sum().nullif(0)


@signal(
    unit="users",
    days=(7, 28, 91),
    actionable=True,
    label="average daily active users, last {days} days",
    moves="daily active users {moved} from {before} to {now} within {days} days",
    past=("daily_active_users_{days}d", "daily_active_users_trend_{days}d"),
)
def daily_active_users(presence, days):
    """Average number of distinct users active per day in the last {days} days, over days with any active user."""
    return presence.people.mean(where=presence.days_ago <= days)


@signal(unit="users", days=(28, 91), actionable=True)
def peak_daily_active_users(presence, days):
    """Highest number of distinct users active on one day of the last {days} days."""
    return presence.people.max(where=presence.days_ago <= days)


@signal(
    unit="x",
    days=(28, 91),
    windows_back=2,
    actionable=True,
    label="daily active users vs. the previous {days} days",
    moves="daily active users {moved} from {before} to {now} within {days} days",
    past=("daily_active_users_{days}d", "daily_active_users_trend_{days}d"),
)
def daily_active_users_trend(presence, days):
    """Average daily active users in the last {days} days, divided by those in the {days} days before."""
    recent = presence.people.mean(where=presence.days_ago <= days)
    return recent / presence.people.mean(where=(presence.days_ago > days) & (presence.days_ago <= 2 * days)).nullif(0)


@signal(unit="x", days=(28,), actionable=True, label="variation of daily active users, last {days} days")
def daily_active_users_cv(presence, days):
    """Coefficient of variation (standard deviation / mean) of daily active users, last {days} days."""
    people = presence.people
    return people.std(where=presence.days_ago <= days) / people.mean(where=presence.days_ago <= days).nullif(0)


@signal(
    unit="share",
    days=(28, 91),
    actionable=True,
    label="average day's users as a share of the busiest day's, last {days} days",
)
def daily_active_users_share_of_peak(daily_active_users, peak_daily_active_users, days):  # noqa: ARG001 - the window is in the inputs' names
    """Average daily active users in the last {days} days, as a share of those on the busiest day."""
    return daily_active_users / peak_daily_active_users.nullif(0)


@signal(unit="users", days=(28, 91), empty=0, actionable=True)
def distinct_users(usage_people, days):
    """Distinct users active in the last {days} days."""
    return usage_people.count(where=usage_people.days_ago <= days)


@signal(unit="users", days=(28,), days_back=HALF_YEAR_DAYS, empty=0, actionable=True)
def new_users(usage_people, days):
    """Distinct users active in the last {days} days, but not earlier in the last 182 days."""
    return usage_people.count(where=usage_people.first_days_ago <= days)


@signal(
    unit="users",
    days=(28, 91),
    days_back=HALF_YEAR_DAYS,
    empty=0,
    actionable=True,
    label="users inactive for {days} days",
)
def lost_users(usage_people, days):
    """Distinct users active in the last 182 days, but not in the last {days} days."""
    return usage_people.count(where=usage_people.days_ago > days)


@signal(unit="share", days=(28,), actionable=True, label="share of events by the most active user, last {days} days")
def top_user_share(usage_people, days):
    """Share of the usage events of the last {days} days made by the most active user."""
    return usage_people[f"events_{days}d"].max() / usage_people[f"events_{days}d"].sum().nullif(0)


@signal(unit="user-days", days=(28,), empty=0, actionable=True, label="user-days, last {days} days")
def user_days(presence, days):
    """Active users per day, summed over the last {days} days."""
    return presence.people.sum(where=presence.days_ago <= days)


@signal(unit="days", days=(28,), actionable=True)
def active_days_per_user(user_days, distinct_users, days):  # noqa: ARG001 - the window is in the inputs' names
    """Average number of active days per distinct user in the last {days} days."""
    return user_days / distinct_users.nullif(0)


@signal(
    unit="share",
    days=(28, 91),
    actionable=True,
    text="{value} of the seats are in use on an average active day, last {days} days",
)
def seat_utilisation(daily_active_users, seats, days):  # noqa: ARG001 - the window is in the inputs' names
    """Average daily active users in the last {days} days, as a share of the seats paid for."""
    return daily_active_users / seats.nullif(0)


@signal(
    unit="share", days=(28,), actionable=True, label="share of employees active on an average day, last {days} days"
)
def active_employee_share(daily_active_users, employees, days):  # noqa: ARG001 - the window is in the inputs' names
    """Average daily active users in the last {days} days, as a share of the account's employees."""
    return daily_active_users / employees.nullif(0)


@signal(unit="events", days=(28,), actionable=True, label="events per daily active user, last {days} days")
def events_per_active_user(events, daily_active_users, days):  # noqa: ARG001 - the window is in the inputs' names
    """Usage events in the last {days} days per average daily active user."""
    return events / daily_active_users.nullif(0)
