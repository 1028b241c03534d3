"""Sentiment: what the account's people say when asked, how old that is, and whether they answer at all."""

from features.signals.base import signal


@signal(unit="points of 10", actionable=True)
def last_nps(answers):
    """The last answer to how likely they are to recommend the product."""
    return answers.score.max(where=answers.kind == "nps")


@signal(unit="days")
def last_nps_age(answers):
    """Days since the last NPS answer."""
    return answers.age.min(where=answers.kind == "nps")


@signal(unit="points of 7", actionable=True)
def last_csat(answers):
    """The last answer to how satisfied they are."""
    return answers.score.max(where=answers.kind == "csat")


@signal(unit="days")
def last_csat_age(answers):
    """Days since the last CSAT answer."""
    return answers.age.min(where=answers.kind == "csat")


@signal(unit="points of 7", actionable=True)
def last_ces(answers):
    """The last answer to how easy something was."""
    return answers.score.max(where=answers.kind == "ces")


@signal(unit="days")
def last_ces_age(answers):
    """Days since the last CES answer."""
    return answers.age.min(where=answers.kind == "ces")


@signal(unit="points of 10", days=(182, 364), actionable=True)
def nps_mean(surveys, days):
    """Mean NPS score answered in the last {days} days."""
    return surveys.score.mean(where=(surveys.kind == "nps") & (surveys.answered_at_age <= days))


@signal(unit="points of 10", days=(182,), reach=2, actionable=True)
def nps_change(surveys, days):
    """Mean NPS score answered in the last {days} days, less that of the {days} days before."""
    nps, age = surveys.kind == "nps", surveys.answered_at_age
    return surveys.score.mean(where=nps & (age <= days)) - surveys.score.mean(
        where=nps & (age > days) & (age <= 2 * days)
    )


@signal(unit="points of 10", days=(182,), actionable=True)
def nps_disagreement(surveys, days):
    """The highest NPS score answered in the last {days} days, less the lowest."""
    recent = (surveys.kind == "nps") & (surveys.answered_at_age <= days)
    return surveys.score.max(where=recent) - surveys.score.min(where=recent)


@signal(unit="share", days=(182, 364), actionable=True)
def detractor_share(surveys, days):
    """Share of the NPS scores answered in the last {days} days that were 6 or less."""
    given = (surveys.kind == "nps") & surveys.score.notnull() & (surveys.answered_at_age <= days)
    return surveys.count(where=given & (surveys.score <= 6)) / surveys.count(where=given).nullif(0)


@signal(unit="share", days=(182, 364))
def promoter_share(surveys, days):
    """Share of the NPS scores answered in the last {days} days that were 9 or 10."""
    given = (surveys.kind == "nps") & surveys.score.notnull() & (surveys.answered_at_age <= days)
    return surveys.count(where=given & (surveys.score >= 9)) / surveys.count(where=given).nullif(0)


@signal(unit="points of 7", days=(182,), actionable=True)
def csat_mean(surveys, days):
    """Mean CSAT score answered in the last {days} days."""
    return surveys.score.mean(where=(surveys.kind == "csat") & (surveys.answered_at_age <= days))


@signal(unit="points of 7", days=(182,), reach=2, actionable=True)
def csat_change(surveys, days):
    """Mean CSAT score answered in the last {days} days, less that of the {days} days before."""
    csat, age = surveys.kind == "csat", surveys.answered_at_age
    return surveys.score.mean(where=csat & (age <= days)) - surveys.score.mean(
        where=csat & (age > days) & (age <= 2 * days)
    )


@signal(unit="points of 7", days=(182,), actionable=True)
def ces_mean(surveys, days):
    """Mean CES score answered in the last {days} days."""
    return surveys.score.mean(where=(surveys.kind == "ces") & (surveys.answered_at_age <= days))


@signal(unit="surveys", days=(182,), empty=0)
def surveys_sent(surveys, days):
    """Surveys sent to the account in the last {days} days."""
    return surveys.count(where=surveys.age <= days)


@signal(unit="share", days=(182, 364), actionable=True)
def surveys_answered_share(surveys, days):
    """Share of the surveys sent in the last {days} days that have been answered."""
    answered = surveys.count(where=surveys.answered_at.notnull() & (surveys.age <= days))
    return answered / surveys.count(where=surveys.age <= days).nullif(0)


@signal(unit="surveys", days=(182,), empty=0, actionable=True)
def surveys_unanswered(surveys, days):
    """Surveys sent in the last {days} days that nobody has answered."""
    return surveys.count(where=surveys.answered_at.isnull() & (surveys.age <= days))


@signal(unit="0 or 1", actionable=True)
def never_answered(surveys):
    """1 where the account was asked and has never answered a survey, 0 where it has; empty where it was never asked."""
    return (surveys.count(where=surveys.answered_at.notnull()) == 0).cast("float64")


@signal(unit="people", days=(182,), empty=0, actionable=True)
def respondents(surveys, days):
    """Different people who answered a survey in the last {days} days."""
    return surveys.respondent_id.nunique(where=surveys.answered_at_age <= days)


@signal(unit="days", days=(364,))
def days_to_answer(surveys, days):
    """Mean days from sending to answering, over the surveys answered in the last {days} days."""
    return (surveys.sent_at_age - surveys.answered_at_age).mean(where=surveys.answered_at_age <= days)


@signal(unit="days", actionable=True)
def days_since_answer(surveys):
    """Days since anyone last answered a survey of any kind."""
    return surveys.answered_at_age.min()
