"""Engagement: how often we are in touch, what for, and whether the account answers.

Plays under way are treatments chosen because of the risk, so they are no signals of it.
"""

from features.signals.base import signal


@signal(unit="touches", days=(28, 91, 182), empty=0, actionable=True)
def touches_made(touches, days):
    """Times the account was contacted in the last {days} days."""
    return touches.count(where=touches.age <= days)


@signal(unit="x", days=(91,), reach=2, actionable=True)
def touches_trend(touches, days):
    """Times the account was contacted in the last {days} days, relative to the {days} days before."""
    before = touches.count(where=(touches.age > days) & (touches.age <= 2 * days))
    return touches.count(where=touches.age <= days) / before.nullif(0)


@signal(unit="kinds", days=(182,), empty=0, actionable=True)
def touch_kinds(touches, days):
    """Different kinds of touches in the last {days} days."""
    return touches.kind.nunique(where=touches.age <= days)


@signal(unit="touches", days=(91,), empty=0, actionable=True)
def value_touches(touches, days):
    """Touches of the last {days} days that were about value, not about selling."""
    return touches.count(where=~touches.commercial & (touches.age <= days))


@signal(unit="share", days=(91, 182), actionable=True)
def commercial_share(touches, days):
    """Share of the touches of the last {days} days that were about selling."""
    return touches.commercial.cast("float64").mean(where=touches.age <= days)


@signal(unit="touches", days=(91, 182), empty=0, actionable=True)
def conversations(touches, days):
    """Business reviews, calls and meetings in the last {days} days."""
    return touches.count(where=touches.kind.isin(["qbr", "call", "meeting"]) & (touches.age <= days))


@signal(unit="days", actionable=True)
def days_since_touch(touches):
    """Days since the account was last contacted."""
    return touches.age.min()


@signal(unit="days", actionable=True)
def days_since_value_touch(touches):
    """Days since the last touch that was about value, not about selling."""
    return touches.age.min(where=~touches.commercial)


@signal(unit="days", actionable=True)
def days_since_conversation(touches):
    """Days since the last business review, call or meeting."""
    return touches.age.min(where=touches.kind.isin(["qbr", "call", "meeting"]))


@signal(unit="days", actionable=True)
def days_since_qbr(touches):
    """Days since the last business review."""
    return touches.age.min(where=touches.kind == "qbr")


@signal(unit="days", actionable=True)
def days_since_answered_touch(touches):
    """Days since the last touch that the account answered or came to, as far as that is settled."""
    return touches.age.min(where=touches.responded)


@signal(unit="share", days=(91, 182), actionable=True)
def answered_share(touches, days):
    """Share of the touches of the last {days} days that the account answered or came to, as far as that is settled."""
    return touches.responded.cast("float64").mean(where=touches.age <= days)


@signal(unit="share", days=(91,), reach=2, actionable=True)
def answered_share_change(touches, days):
    """Share of the touches of the last {days} days that were answered, less that of the {days} days before."""
    answered = touches.responded.cast("float64")
    before = (touches.age > days) & (touches.age <= 2 * days)
    return answered.mean(where=touches.age <= days) - answered.mean(where=before)


@signal(unit="touches", days=(182,), empty=0, actionable=True)
def no_shows(touches, days):
    """Business reviews, calls, meetings and trainings of the last {days} days that the account did not come to."""
    live = touches.kind.isin(["qbr", "call", "meeting", "training"])
    return touches.count(where=live & ~touches.responded & (touches.age <= days))


@signal(unit="touches", empty=0, actionable=True)
def unanswered_in_a_row(unanswered):
    """Touches without an answer since the last answered one, as far as that is settled."""
    return unanswered.count()


@signal(unit="days", empty=0, actionable=True)
def going_dark(unanswered):
    """Days since the first touch without an answer after the last answered one, 0 where the last was answered."""
    return unanswered.age.max()


@signal(unit="days", days=(364,))
def usual_gap(touches, days):
    """Mean days between touches in the last {days} days."""
    recent = touches.age <= days
    spread = touches.age.max(where=recent) - touches.age.min(where=recent)
    return spread / (touches.count(where=recent) - 1).nullif(0)


@signal(unit="x", actionable=True)
def cadence_breach(days_since_touch, usual_gap_364d):
    """Days since the last touch, relative to the mean days between touches in the last year."""
    return days_since_touch / usual_gap_364d.nullif(0)
