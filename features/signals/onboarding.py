"""Onboarding: the plan to get started, the progress on it, and what is late.

A milestone has no date of planning, so the plan counts as known from the start unless `recorded_at` says otherwise.
"""

from features.signals.base import signal


@signal(unit="milestones", empty=0, label="planned milestones")
def milestones_planned(milestones):
    """Milestones in the account's onboarding plan."""
    return milestones.count()


@signal(unit="milestones", empty=0, actionable=True, label="milestones reached so far")
def milestones_reached(milestones):
    """Milestones reached so far."""
    return milestones.count(where=milestones.reached_at.notnull())


@signal(unit="milestones", days=(28, 91), empty=0, actionable=True, label="milestones reached, last {days} days")
def recent_milestones_reached(milestones, days):
    """Milestones reached in the last {days} days."""
    return milestones.count(where=milestones.reached_at_age <= days)


@signal(unit="share", actionable=True, label="share of milestones reached")
def milestones_reached_share(milestones):
    """Share of the planned milestones that have been reached."""
    return milestones.count(where=milestones.reached_at.notnull()) / milestones.count().nullif(0)


@signal(unit="milestones", empty=0, actionable=True, label="overdue milestones", text="{value} milestones are overdue")
def milestones_overdue(milestones):
    """Milestones past their planned date that have not been reached."""
    return milestones.count(where=milestones.reached_at.isnull() & (milestones.due_at_age > 0))


@signal(unit="days", empty=0, actionable=True, label="days the most overdue milestone is late")
def milestone_days_past_due(milestones):
    """Days that the most overdue milestone is past its planned date, 0 if none is overdue."""
    return milestones.due_at_age.max(where=milestones.reached_at.isnull() & (milestones.due_at_age > 0))


@signal(unit="days", actionable=True, absent="no planned milestone is to come")
def days_until_next_milestone(milestones):
    """Days until the planned date of the next milestone."""
    return (-milestones.due_at_age).min(where=milestones.reached_at.isnull() & (milestones.due_at_age <= 0))


@signal(unit="days", label="average milestone delay (days)")
def milestone_delay(milestones):
    """Average days from planned date to completion of the milestones reached so far, negative if early."""
    return (milestones.due_at_age - milestones.reached_at_age).mean()


@signal(unit="share", actionable=True, label="share of milestones reached late")
def late_milestone_share(milestones):
    """Share of the reached milestones with a planned date that were reached more than a day late."""
    dated = milestones.reached_at.notnull() & milestones.due_at.notnull()
    late = milestones.count(where=dated & (milestones.due_at_age - milestones.reached_at_age > 1))
    return late / milestones.count(where=dated).nullif(0)


@signal(unit="days", actionable=True, label="days since last milestone", absent="no milestone was reached")
def days_since_milestone(milestones):
    """Days since a milestone was last reached."""
    return milestones.reached_at_age.min()


@signal(
    unit="days",
    actionable=True,
    label="days onboarding has been stalled",
    text="onboarding has stalled for {value} days",
)
def onboarding_stalled_days(milestones_overdue, days_since_milestone, account_age):
    """Days since a milestone was reached (or since account creation) if another is overdue, else 0."""
    return (milestones_overdue > 0).ifelse(days_since_milestone.fill_null(account_age), 0)


@signal(
    unit="days",
    label="days from start to first value",
    text="first value came after {value} days",
    absent="first value has not been reached",
)
def days_to_first_value(account_age, days_since_first_value):
    """Days from account creation to the milestone `first_value`."""
    return account_age - days_since_first_value


@signal(unit="days", actionable=True)
def days_waiting_for_first_value(account_age, days_since_first_value):
    """Days since account creation if the milestone `first_value` has not been reached, else 0."""
    return days_since_first_value.isnull().ifelse(account_age, 0)


@signal(unit="days", label="days since go-live", text="went live {value} days ago", absent="no go-live is known")
def days_since_go_live(milestones):
    """Days since the milestone `live` was reached."""
    return milestones.reached_at_age.max(where=milestones.milestone == "live")


@signal(unit="days", label="days from start to go-live", absent="no go-live is known")
def days_to_go_live(account_age, days_since_go_live):
    """Days from account creation to the milestone `live`."""
    return account_age - days_since_go_live


@signal(unit="sessions", days=(91, 182), empty=0, actionable=True, label="training sessions offered, last {days} days")
def trainings(touches, days):
    """Training sessions offered to the account in the last {days} days."""
    return touches.count(where=(touches.kind == "training") & (touches.age <= days))


@signal(unit="sessions", days=(182,), empty=0, actionable=True, label="training sessions attended, last {days} days")
def trainings_attended(touches, days):
    """Training sessions in the last {days} days that the account attended; the last 14 days are left out."""
    return touches.count(where=(touches.kind == "training") & touches.responded & (touches.age <= days))


@signal(unit="days", actionable=True, label="days since last training session", absent="no training session is known")
def days_since_training(touches):
    """Days since the last training session."""
    return touches.age.min(where=touches.kind == "training")
