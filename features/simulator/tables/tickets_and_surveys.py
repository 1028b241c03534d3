"""What the account says: tickets, which show incidents and slow support, and surveys, which show the total mood."""

import numpy as np

from features.simulator.model.churn_causes import PART
from features.simulator.model.population import account_ids
from features.simulator.model.trajectories import Life, in_service, severities
from features.simulator.tables.table_builder import Columns, Text, identifiers, recorded, spread

SEVERITIES = ("low", "normal", "high", "urgent")
KINDS = ("how_to", "request", "billing", "defect")
KIND_SHARES = (0.5, 0.2, 0.1, 0.2)
LATE_SHARE = 0.03
SURVEY_WEEKS = 12  # one round a quarter
ASKED = 3  # people a round
RESPONDENTS = ("person-1", "person-2", "person-3", "person-4")
ANSWERED_SHARE = 0.2
SCALES = {"nps": (0, 10), "csat": (1, 7)}


def tickets(life: Life, generator: np.random.Generator) -> Columns:
    """Demanding accounts write many and quiet ones few, whatever their risk; incidents bring more, and worse."""
    week, account, opened = spread(generator.poisson(_ticket_rate(life)), life.setting.world, generator=generator)
    serving = in_service(life, account, day=np.floor(opened))
    week, account, opened = week[serving], account[serving], opened[serving]
    size = len(week)
    bad, tardy = severities(life, "incident")[week, account], severities(life, "slow_support")[week, account]
    answered = opened + generator.lognormal(-2.0, 0.9, size) * (1 + 3 * tardy)
    mood = np.clip(np.round(4.3 - 0.9 * tardy - 0.6 * bad + generator.normal(0.0, 1.1, size)), 1, 5)
    ordinary = generator.choice(len(KINDS), size, p=KIND_SHARES)
    defect = (bad > 0) & (generator.random(size) < 0.6)
    return {
        "account_id": Text(account, account_ids(life.setting.population)),
        "ticket_id": identifiers("T", account),
        "opened_at": opened,
        "first_response_at": answered,
        "resolved_at": answered + generator.lognormal(0.2, 1.0, size) * (1 + 2.5 * tardy + bad),
        "severity": Text(np.clip(generator.poisson(0.9 + 0.8 * bad), 0, 3), np.array(SEVERITIES)),
        "kind": Text(np.where(defect, KINDS.index("defect"), ordinary), np.array(KINDS)),
        "escalated": generator.random(size) < 0.04 + 0.10 * (tardy > 0) + 0.05 * (bad > 0),
        "csat": np.where(generator.random(size) < 0.3, mood, np.nan),
        "recorded_at": recorded(opened, LATE_SHARE, generator=generator),
    }


def surveys(life: Life, generator: np.random.Generator) -> Columns:
    """Some people are asked each quarter, few answer, and the unhappy least; the score is the mood and noise."""
    week, account, sent, respondent = _asked(life, generator)
    size = len(week)
    mood = _mood(life)[week, account] + generator.normal(0.0, 0.8, size)
    answers = generator.random(size) < ANSWERED_SHARE * np.exp(-0.25 * np.maximum(mood, 0))
    kind = (generator.random(size) < 0.3).astype(int)
    low, high = np.array(list(SCALES.values()))[kind].T
    score = np.where(kind == 0, 8.2 - 1.1 * mood, 5.6 - 0.7 * mood) + generator.normal(0.0, 1.3, size)
    return {
        "account_id": Text(account, account_ids(life.setting.population)),
        "respondent_id": Text(respondent, np.array(RESPONDENTS)),
        "kind": Text(kind, np.array(list(SCALES))),
        "sent_at": sent,
        "answered_at": np.where(answers, sent + generator.exponential(2.5, size), np.nan),
        "score": np.where(answers, np.clip(np.round(score), low, high), np.nan),
    }


def _ticket_rate(life: Life) -> np.ndarray:
    """Tickets a week, (weeks, accounts)."""
    world, population = life.setting.world, life.setting.population
    temper = np.where(population.demanding, 4.0, np.where(population.quiet, 0.4, 1.0))
    young = np.exp(-np.maximum(world.starts[: world.weeks, None] - population.start_day, 0) / 60)
    trouble = 1.6 * severities(life, "incident") + 0.5 * severities(life, "slow_support")
    return 0.06 * np.sqrt(population.seats) * temper * (1 + trouble + young)


def _asked(life: Life, generator: np.random.Generator) -> tuple[np.ndarray, ...]:
    """When which person is asked, in a quarterly round of its own for each account, and never in its first month."""
    world, population = life.setting.world, life.setting.population
    turn = generator.integers(0, SURVEY_WEEKS, len(population.number))
    round_now = np.arange(world.weeks)[:, None] % SURVEY_WEEKS == turn
    week, account, sent = spread(np.where(round_now, ASKED, 0), world, generator=generator)
    # A round asks different people: the first is drawn, the others follow in turn.
    first = np.repeat(generator.integers(0, len(RESPONDENTS), len(sent) // ASKED), ASKED)
    respondent = (first + np.arange(len(sent)) % ASKED) % len(RESPONDENTS)
    day = np.floor(sent)
    asked = in_service(life, account, day=day) & in_service(life, account, day=day - 30)
    return week[asked], account[asked], sent[asked], respondent[asked]


def _mood(life: Life) -> np.ndarray:
    """All logit parts somebody there could name, (weeks, accounts): a symptom, not a cause."""
    hidden = [PART[part] for part in ("base", "contract", "unseen")]
    return life.parts.sum(axis=1) - life.parts[:, hidden].sum(axis=1)
