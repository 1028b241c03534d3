"""Sentiment: what people at the account answer in surveys, how recent that is, and whether they answer at all."""

from features.signals.base import signal


@signal(
    unit="points of 10",
    actionable=True,
    label="latest NPS answer",
    text="the latest NPS answer is {value} of 10",
    absent="no NPS answer is known",
)
def last_nps(answers):
    """Latest NPS answer: how likely they are to recommend the product, 0 to 10."""
    return answers.score.max(where=answers.kind == "nps")


@signal(unit="days", label="days since latest NPS answer", absent="no NPS answer is known")
def last_nps_age(answers):
    """Days since the latest NPS answer."""
    return answers.age.min(where=answers.kind == "nps")


@signal(
    unit="points of 7",
    actionable=True,
    label="latest CSAT answer",
    text="the latest CSAT answer is {value} of 7",
    absent="no CSAT answer is known",
)
def last_csat(answers):
    """Latest CSAT answer: how satisfied they are, 1 to 7."""
    return answers.score.max(where=answers.kind == "csat")


@signal(unit="days", label="days since latest CSAT answer", absent="no CSAT answer is known")
def last_csat_age(answers):
    """Days since the latest CSAT answer."""
    return answers.age.min(where=answers.kind == "csat")


@signal(unit="points of 7", actionable=True, label="latest CES answer", absent="no CES answer is known")
def last_ces(answers):
    """Latest CES answer: how easy something was, 1 to 7."""
    return answers.score.max(where=answers.kind == "ces")


@signal(unit="days", label="days since latest CES answer", absent="no CES answer is known")
def last_ces_age(answers):
    """Days since the latest CES answer."""
    return answers.age.min(where=answers.kind == "ces")


@signal(
    unit="points of 10",
    days=(182, 364),
    actionable=True,
    label="average NPS answer, last {days} days",
    moves="the average NPS answer {moved} from {before} to {now} of 10 in {days} days",
    past=("nps_mean_{days}d", "nps_change_{days}d"),
    absent="no NPS answer in {days} days",
)
def nps_mean(surveys, days):
    """Average NPS answer (0 to 10) in the last {days} days."""
    return surveys.score.mean(where=(surveys.kind == "nps") & (surveys.answered_at_age <= days))


@signal(
    unit="points of 10",
    days=(182,),
    windows_back=2,
    actionable=True,
    label="change in NPS answers vs. the previous {days} days",
    moves="the average NPS answer {moved} from {before} to {now} of 10 in {days} days",
    past=("nps_mean_{days}d", "nps_change_{days}d"),
)
def nps_change(surveys, days):
    """Average NPS answer in the last {days} days, minus that in the {days} days before."""
    nps, age = surveys.kind == "nps", surveys.answered_at_age
    return surveys.score.mean(where=nps & (age <= days)) - surveys.score.mean(
        where=nps & (age > days) & (age <= 2 * days)
    )


@signal(
    unit="points of 10",
    days=(182,),
    actionable=True,
    label="range of NPS answers, last {days} days",
    absent="no NPS answer in {days} days",
)
def nps_range(surveys, days):
    """Highest minus lowest NPS answer in the last {days} days."""
    recent = (surveys.kind == "nps") & (surveys.answered_at_age <= days)
    return surveys.score.max(where=recent) - surveys.score.min(where=recent)


@signal(unit="share", days=(182, 364), actionable=True, label="share of NPS detractors, last {days} days")
def detractor_share(surveys, days):
    """Share of the NPS answers in the last {days} days that were 6 or lower."""
    scored = (surveys.kind == "nps") & surveys.score.notnull() & (surveys.answered_at_age <= days)
    return surveys.count(where=scored & (surveys.score <= 6)) / surveys.count(where=scored).nullif(0)


@signal(unit="share", days=(182, 364), label="share of NPS promoters, last {days} days")
def promoter_share(surveys, days):
    """Share of the NPS answers in the last {days} days that were 9 or 10."""
    scored = (surveys.kind == "nps") & surveys.score.notnull() & (surveys.answered_at_age <= days)
    return surveys.count(where=scored & (surveys.score >= 9)) / surveys.count(where=scored).nullif(0)


@signal(
    unit="points of 7",
    days=(182,),
    actionable=True,
    label="average CSAT answer, last {days} days",
    moves="the average CSAT answer {moved} from {before} to {now} of 7 in {days} days",
    past=("csat_mean_{days}d", "csat_change_{days}d"),
    absent="no CSAT answer in {days} days",
)
def csat_mean(surveys, days):
    """Average CSAT answer (1 to 7) in the last {days} days."""
    return surveys.score.mean(where=(surveys.kind == "csat") & (surveys.answered_at_age <= days))


@signal(
    unit="points of 7",
    days=(182,),
    windows_back=2,
    actionable=True,
    label="change in CSAT answers vs. the previous {days} days",
    moves="the average CSAT answer {moved} from {before} to {now} of 7 in {days} days",
    past=("csat_mean_{days}d", "csat_change_{days}d"),
)
def csat_change(surveys, days):
    """Average CSAT answer in the last {days} days, minus that in the {days} days before."""
    csat, age = surveys.kind == "csat", surveys.answered_at_age
    return surveys.score.mean(where=csat & (age <= days)) - surveys.score.mean(
        where=csat & (age > days) & (age <= 2 * days)
    )


@signal(
    unit="points of 7",
    days=(182,),
    actionable=True,
    label="average CES answer, last {days} days",
    absent="no CES answer in {days} days",
)
def ces_mean(surveys, days):
    """Average CES answer (1 to 7) in the last {days} days."""
    return surveys.score.mean(where=(surveys.kind == "ces") & (surveys.answered_at_age <= days))


@signal(unit="surveys", days=(182,), empty=0)
def surveys_sent(surveys, days):
    """Surveys sent to the account in the last {days} days."""
    return surveys.count(where=surveys.age <= days)


@signal(unit="share", days=(182, 364), actionable=True)
def survey_response_rate(surveys, days):
    """Share of the surveys sent in the last {days} days that have been answered."""
    answered = surveys.count(where=surveys.answered_at.notnull() & (surveys.age <= days))
    return answered / surveys.count(where=surveys.age <= days).nullif(0)


@signal(unit="surveys", days=(182,), empty=0, actionable=True)
def unanswered_surveys(surveys, days):
    """Surveys sent in the last {days} days that have not been answered."""
    return surveys.count(where=surveys.answered_at.isnull() & (surveys.age <= days))


@signal(unit="0 or 1", actionable=True, label="has never answered a survey", absent="no survey was sent")
def never_answered_survey(surveys):
    """1 if the account has been surveyed but never answered, 0 if it has answered; empty if never surveyed."""
    return (surveys.count(where=surveys.answered_at.notnull()) == 0).cast("float64")


@signal(unit="people", days=(182,), empty=0, actionable=True)
def survey_respondents(surveys, days):
    """Distinct people who answered a survey in the last {days} days; anonymous answers are left out."""
    return surveys.respondent_id.nunique(where=surveys.answered_at_age <= days)


@signal(
    unit="days",
    days=(364,),
    label="average survey response time (days), last {days} days",
    absent="no survey was answered in {days} days",
)
def survey_response_days(surveys, days):
    """Average days from sending to answering, over surveys answered in the last {days} days."""
    return (surveys.sent_at_age - surveys.answered_at_age).mean(where=surveys.answered_at_age <= days)


@signal(unit="days", actionable=True, label="days since last survey answer", absent="no survey answer is known")
def days_since_survey_answer(surveys):
    """Days since the last survey answer of any kind."""
    return surveys.answered_at_age.min()
