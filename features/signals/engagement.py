"""Engagement: how often we contact the account, what for, and whether it answers.

Plays in progress were chosen because of the risk, so they are not signals of it.
"""

from features.signals.base import signal


@signal(
    unit="touches",
    days=(28, 91, 182),
    empty=0,
    actionable=True,
    label="touches, last {days} days",
    moves="touches {moved} from {before} to {now} in {days} days",
    past=("touches_made_{days}d", "touches_trend_{days}d"),
)
def touches_made(touches, days):
    """Touches (calls, emails, meetings and other contacts by our team) in the last {days} days."""
    return touches.count(where=touches.age <= days)


@signal(
    unit="x",
    days=(91,),
    windows_back=2,
    actionable=True,
    label="touches vs. the previous {days} days",
    moves="touches {moved} from {before} to {now} in {days} days",
    past=("touches_made_{days}d", "touches_trend_{days}d"),
)
def touches_trend(touches, days):
    """Touches in the last {days} days, divided by those in the {days} days before."""
    before = touches.count(where=(touches.age > days) & (touches.age <= 2 * days))
    return touches.count(where=touches.age <= days) / before.nullif(0)


@signal(unit="types", days=(182,), empty=0, actionable=True, label="types of touches, last {days} days")
def touch_types(touches, days):
    """Distinct types of touches in the last {days} days, such as call, email or meeting."""
    return touches.kind.nunique(where=touches.age <= days)


@signal(unit="touches", days=(91,), empty=0, actionable=True, label="touches not about selling, last {days} days")
def value_touches(touches, days):
    """Touches in the last {days} days that were not about selling."""
    return touches.count(where=~touches.commercial & (touches.age <= days))


@signal(unit="share", days=(91, 182), actionable=True, label="share of touches about selling, last {days} days")
def commercial_touch_share(touches, days):
    """Share of the touches in the last {days} days that were about selling."""
    return touches.commercial.cast("float64").mean(where=touches.age <= days)


@signal(unit="touches", days=(91, 182), empty=0, actionable=True)
def conversations(touches, days):
    """Business reviews, calls and meetings in the last {days} days."""
    return touches.count(where=touches.kind.isin(["qbr", "call", "meeting"]) & (touches.age <= days))


@signal(
    unit="days",
    actionable=True,
    label="days since last touch",
    text="the last touch was {value} days ago",
    absent="no touch is known",
)
def days_since_touch(touches):
    """Days since the last touch."""
    return touches.age.min()


@signal(
    unit="days",
    actionable=True,
    label="days since last touch not about selling",
    absent="no touch that was not about selling is known",
)
def days_since_value_touch(touches):
    """Days since the last touch that was not about selling."""
    return touches.age.min(where=~touches.commercial)


@signal(
    unit="days",
    actionable=True,
    label="days since last conversation",
    text="the last conversation was {value} days ago",
    absent="no conversation is known",
)
def days_since_conversation(touches):
    """Days since the last business review, call or meeting."""
    return touches.age.min(where=touches.kind.isin(["qbr", "call", "meeting"]))


@signal(
    unit="days",
    actionable=True,
    label="days since last business review",
    text="the last business review was {value} days ago",
    absent="no business review is known",
)
def days_since_qbr(touches):
    """Days since the last business review."""
    return touches.age.min(where=touches.kind == "qbr")


@signal(unit="days", actionable=True, label="days since last answered touch", absent="no answered touch is known")
def days_since_answered_touch(touches):
    """Days since the last touch that was answered or attended; the last 14 days are left out."""
    return touches.age.min(where=touches.responded)


@signal(
    unit="share",
    days=(91, 182),
    actionable=True,
    label="response rate to touches, last {days} days",
    moves="the share of answered touches {moved} from {before} to {now} in {days} days",
    past=("touch_response_rate_{days}d", "touch_response_rate_change_{days}d"),
)
def touch_response_rate(touches, days):
    """Share of the touches in the last {days} days that were answered or attended; the last 14 days are left out."""
    return touches.responded.cast("float64").mean(where=touches.age <= days)


@signal(
    unit="share",
    days=(91,),
    windows_back=2,
    actionable=True,
    label="change in response rate to touches vs. the previous {days} days",
    moves="the share of answered touches {moved} from {before} to {now} in {days} days",
    past=("touch_response_rate_{days}d", "touch_response_rate_change_{days}d"),
)
def touch_response_rate_change(touches, days):
    """Touch response rate of the last {days} days, without the last 14, minus that of the {days} days before."""
    answered = touches.responded.cast("float64")
    before = (touches.age > days) & (touches.age <= 2 * days)
    return answered.mean(where=touches.age <= days) - answered.mean(where=before)


@signal(unit="touches", days=(182,), empty=0, actionable=True, label="no-shows, last {days} days")
def no_shows(touches, days):
    """Reviews, calls, meetings and trainings in the last {days} days not attended; the last 14 days are left out."""
    live = touches.kind.isin(["qbr", "call", "meeting", "training"])
    return touches.count(where=live & ~touches.responded & (touches.age <= days))


@signal(unit="touches", empty=0, actionable=True, label="unanswered touches in a row")
def consecutive_unanswered_touches(unanswered):
    """Touches without an answer since the last answered one; the last 14 days are left out."""
    return unanswered.count()


@signal(unit="days", empty=0, actionable=True, label="days without an answer", text="no answer for {value} days")
def days_without_answer(unanswered):
    """Days since the first unanswered touch after the last answered one, 0 if the last one was answered."""
    return unanswered.age.max()


@signal(
    unit="days",
    days=(364,),
    label="average days between touches, last {days} days",
    absent="fewer than two touches in {days} days",
)
def average_touch_gap(touches, days):
    """Average days between touches in the last {days} days."""
    recent = touches.age <= days
    spread = touches.age.max(where=recent) - touches.age.min(where=recent)
    return spread / (touches.count(where=recent) - 1).nullif(0)


@signal(
    unit="x",
    actionable=True,
    label="time since last touch vs. the usual gap",
    text="time since last touch is {value} the usual gap",
)
def touch_gap_vs_average(days_since_touch, average_touch_gap_364d):
    """Days since the last touch, divided by the average days between touches in the last 364 days."""
    return days_since_touch / average_touch_gap_364d.nullif(0)
