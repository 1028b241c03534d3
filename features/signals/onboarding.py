"""Onboarding: the plan to get started, how far the account has come on it, and where it hangs.

A milestone carries no instant of planning, so the plan counts as known from the start unless `recorded_at` says more.
"""

from features.signals.base import signal


@signal(unit="milestones", empty=0)
def milestones_planned(milestones):
    """Milestones in the account's plan."""
    return milestones.count()


@signal(unit="milestones", empty=0, actionable=True)
def milestones_reached(milestones):
    """Milestones reached so far."""
    return milestones.count(where=milestones.reached_at.notnull())


@signal(unit="milestones", days=(28, 91), empty=0, actionable=True)
def milestones_reached_lately(milestones, days):
    """Milestones reached in the last {days} days."""
    return milestones.count(where=milestones.reached_at_age <= days)


@signal(unit="share", actionable=True)
def milestones_reached_share(milestones):
    """Share of the planned milestones that have been reached."""
    return milestones.count(where=milestones.reached_at.notnull()) / milestones.count().nullif(0)


@signal(unit="milestones", empty=0, actionable=True)
def milestones_overdue(milestones):
    """Milestones that are past their planned day and not reached."""
    return milestones.count(where=milestones.reached_at.isnull() & (milestones.due_at_age > 0))


@signal(unit="days", empty=0, actionable=True)
def longest_overdue(milestones):
    """Days by which the milestone longest overdue is past its planned day, 0 where none is."""
    return milestones.due_at_age.max(where=milestones.reached_at.isnull() & (milestones.due_at_age > 0))


@signal(unit="days", actionable=True)
def days_to_next_milestone(milestones):
    """Days until the next milestone that is planned and not reached is due."""
    return (-milestones.due_at_age).min(where=milestones.reached_at.isnull() & (milestones.due_at_age <= 0))


@signal(unit="days")
def milestone_delay(milestones):
    """Mean days by which the milestones reached so far came after their planned day, negative where before."""
    return (milestones.due_at_age - milestones.reached_at_age).mean()


@signal(unit="share", actionable=True)
def late_milestone_share(milestones):
    """Share of the milestones reached so far that came more than a day after their planned day."""
    both = milestones.reached_at.notnull() & milestones.due_at.notnull()
    late = milestones.count(where=both & (milestones.due_at_age - milestones.reached_at_age > 1))
    return late / milestones.count(where=both).nullif(0)


@signal(unit="days", actionable=True)
def days_since_milestone(milestones):
    """Days since the last milestone was reached."""
    return milestones.reached_at_age.min()


@signal(unit="days", actionable=True)
def onboarding_stalled(milestones_overdue, days_since_milestone, known_for):
    """Days without a milestone reached while one is overdue, 0 where none is overdue."""
    return (milestones_overdue > 0).ifelse(days_since_milestone.fill_null(known_for), 0)


@signal(unit="days")
def days_to_first_value(known_for, days_since_first_value):
    """Days from becoming an account to the milestone `first_value`."""
    return known_for - days_since_first_value


@signal(unit="days", actionable=True)
def waiting_for_first_value(known_for, days_since_first_value):
    """Days since it became an account without the milestone `first_value`, 0 where it was reached."""
    return days_since_first_value.isnull().ifelse(known_for, 0)


@signal(unit="days")
def days_since_live(milestones):
    """Days since the milestone `live` was reached."""
    return milestones.reached_at_age.max(where=milestones.milestone == "live")


@signal(unit="days")
def days_to_live(known_for, days_since_live):
    """Days from becoming an account to the milestone `live`."""
    return known_for - days_since_live


@signal(unit="trainings", days=(91, 182), empty=0, actionable=True)
def trainings(touches, days):
    """Trainings offered to the account in the last {days} days."""
    return touches.count(where=(touches.kind == "training") & (touches.age <= days))


@signal(unit="trainings", days=(182,), empty=0, actionable=True)
def trainings_attended(touches, days):
    """Trainings of the last {days} days that the account came to, as far as that is settled."""
    return touches.count(where=(touches.kind == "training") & touches.responded & (touches.age <= days))


@signal(unit="days", actionable=True)
def days_since_training(touches):
    """Days since the last training."""
    return touches.age.min(where=touches.kind == "training")
